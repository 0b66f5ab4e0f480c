// SPDX-License-Identifier: GPL-2.0-or-later
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"

#define LEAST "Endpoint=http://127.0.0.1:8080\nPartition=aws\n"

static enum asbb_rc _parse(const char *text, struct asbb_conf *conf, char *error)
{
	return asbb_conf_parse(text, strlen(text), "asbb.conf", conf, error);
}

static void _accept(const char *text, struct asbb_conf *conf)
{
	char error[ASBB_ERROR_MAX];
	enum asbb_rc rc = _parse(text, conf, error);

	if (rc != ASBB_OK)
		fail_msg("refused: %s", error);
}

static void defaults_are_the_contracts(void **state)
{
	struct asbb_conf conf;

	(void)state;
	_accept(LEAST, &conf);
	assert_string_equal(conf.endpoint, "http://127.0.0.1:8080");
	assert_string_equal(conf.host, "127.0.0.1:8080");
	assert_string_equal(conf.path, "");
	assert_string_equal(conf.region, "");
	assert_string_equal(conf.cluster, "");
	assert_int_equal(conf.timeout_ms, 1500);
	assert_int_equal(conf.connect_timeout_ms, 500);
	assert_int_equal(conf.partition_count, 1);
	assert_string_equal(conf.partitions[0].name, "aws");
	assert_int_equal(conf.partitions[0].fail_mode, ASBB_FAIL_CLOSED);
	assert_true(conf.enforce);
	assert_false(conf.notify);
	assert_int_equal(conf.on_refusal, ASBB_ON_REFUSAL_REFUSE);
	assert_int_equal(conf.breaker_failures, 3);
	assert_int_equal(conf.breaker_seconds, 30);
	assert_int_equal(conf.credentials, ASBB_CREDENTIALS_AUTO);
	assert_int_equal(conf.max_connections, 4);
	assert_int_equal(conf.unknown_account, ASBB_DENY);
	assert_int_equal(conf.cron_jobs, ASBB_DENY);
	assert_false(conf.allow_http);
}

static void every_key_is_taken(void **state)
{
	static const char text[] =
		"# the whole of it\r\n"
		"\n"
		"  ENDPOINT = \"https://abc.execute-api.eu-central-1.amazonaws.com/prod/api/v1/\"   # as the stack prints it\n"
		"cluster=hpc TimeoutMs=800 ConnectTimeoutMs=200\n"
		"Partition=aws FailMode=open\n"
		"partition=gpu failmode=CLOSED\n"
		"Partition=*\n"
		"Enforce=No Notify=YES OnRefusal=Drop\n"
		"BreakerFailures=5 BreakerSeconds=60 MaxConnections=8\n"
		"Credentials=file:/etc/asbb/credentials CaFile=\"/etc/my ca.pem\" SpoolFile=/srv/asbb.spool\n"
		"ExemptUsers=root,svc OperatorUsers=alice UnknownAccount=allow CronJobs=allow AllowHttp=yes";
	struct asbb_conf conf;

	(void)state;
	_accept(text, &conf);
	assert_string_equal(conf.endpoint, "https://abc.execute-api.eu-central-1.amazonaws.com/prod");
	assert_string_equal(conf.host, "abc.execute-api.eu-central-1.amazonaws.com");
	assert_string_equal(conf.path, "/prod");
	assert_string_equal(conf.region, "eu-central-1");
	assert_string_equal(conf.cluster, "hpc");
	assert_int_equal(conf.timeout_ms, 800);
	assert_int_equal(conf.connect_timeout_ms, 200);
	assert_int_equal(conf.partition_count, 3);
	assert_int_equal(conf.partitions[0].fail_mode, ASBB_FAIL_OPEN);
	assert_int_equal(conf.partitions[1].fail_mode, ASBB_FAIL_CLOSED);
	assert_string_equal(conf.partitions[2].name, "*");
	assert_false(conf.enforce);
	assert_true(conf.notify);
	assert_int_equal(conf.on_refusal, ASBB_ON_REFUSAL_DROP);
	assert_int_equal(conf.breaker_failures, 5);
	assert_int_equal(conf.breaker_seconds, 60);
	assert_int_equal(conf.max_connections, 8);
	assert_int_equal(conf.credentials, ASBB_CREDENTIALS_FILE);
	assert_string_equal(conf.credentials_file, "/etc/asbb/credentials");
	assert_string_equal(conf.ca_file, "/etc/my ca.pem");
	assert_string_equal(conf.spool_file, "/srv/asbb.spool");
	assert_string_equal(conf.exempt_users, "root,svc");
	assert_string_equal(conf.operator_users, "alice");
	assert_int_equal(conf.unknown_account, ASBB_ALLOW);
	assert_int_equal(conf.cron_jobs, ASBB_ALLOW);
	assert_true(conf.allow_http);
}

static void wrong_lines_name_their_line_and_the_mend(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} cases[] = {
		{ LEAST "Endpiont=x\n", "asbb.conf:3: unknown key \"Endpiont\"" },
		{ LEAST "TimeoutMs=0\n", "asbb.conf:3: TimeoutMs=0 is not a whole number from 50 to 9000" },
		{ LEAST "TimeoutMs=9001\n", "from 50 to 9000" },
		{ LEAST "TimeoutMs=1e3\n", "from 50 to 9000" },
		{ LEAST "TimeoutMs=-1\n", "from 50 to 9000" },
		{ LEAST "TimeoutMs=99999999999999999999\n", "from 50 to 9000" },
		{ LEAST "ConnectTimeoutMs=9\n", "from 10 to 9000" },
		{ LEAST "BreakerFailures=0\n", "from 1 to 1000" },
		{ LEAST "BreakerSeconds=3601\n", "from 1 to 3600" },
		{ LEAST "MaxConnections=65\n", "from 1 to 64" },
		{ LEAST "Enforce=maybe\n", "neither \"yes\" nor \"no\"" },
		{ LEAST "OnRefusal=x\n", "neither \"refuse\" nor \"drop\"" },
		{ LEAST "UnknownAccount=yes\n", "neither \"deny\" nor \"allow\"" },
		{ LEAST "Notify=no\nNotify=no\n", "asbb.conf:4: Notify= was given before, on line 3" },
		{ LEAST "Credentials=vault\n", "none of auto, env, file:/path, imds, ecs" },
		{ LEAST "Credentials=file\n", "none of auto" },
		{ LEAST "Credentials=file:here\n", "absolute path" },
		{ LEAST "Credentials=env\n", "no Region=" },
		{ LEAST "CaFile=ca.pem\n", "absolute path" },
		{ LEAST "Region=us east\n", "is not Key=Value" },
		{ LEAST "Cluster=\"a b\"\n", "letters, digits" },
		{ LEAST "Partition=aws\n", "asbb.conf:3: Partition=aws was given before" },
		{ LEAST "Partition=a,b\n", "its own line" },
		{ LEAST "Partition=a Partition=b\n", "its own line" },
		{ LEAST "Partition=a FailMode=ajar\n", "neither \"closed\" nor \"open\"" },
		{ LEAST "Partition=a FailMode=open FailMode=open\n", "two FailMode=" },
		{ LEAST "Partition=a FailMode=open\n", "asbb.conf:3: FailMode=open needs a SpoolFile=" },
		{ LEAST "FailMode=open\n", "belongs behind Partition=" },
		{ LEAST "Cluster\n", "is not Key=Value" },
		{ LEAST "=x\n", "is not Key=Value" },
		{ LEAST "Cluster=\n", "has no value" },
		{ LEAST "Cluster=#x\n", "has no value" },
		{ LEAST "Cluster=\"hpc\n", "quote that does not end" },
		{ LEAST "Cluster=\"hpc\"x\n", "right behind its closing quote" },
		{ LEAST "Cluster=\"\"\n", "letters, digits" },
		{ LEAST "ExemptUsers=a,,b\n", "with a comma between" },
		{ LEAST "ExemptUsers=\"a, b\"\n", "with a comma between" },
		{ "Partition=aws\n", "there is no Endpoint=" },
		{ "", "there is no Endpoint=" },
		{ "Endpoint=http://127.0.0.1\n", "there is no Partition=" },
		{ "\nEndpoint=http://api.example.org\nPartition=a\n", "asbb.conf:2: Endpoint=http://api.example.org would send requests in the clear" },
		{ "Endpoint=http://127.0.0.1.example.org\nPartition=a\n", "in the clear" },
		{ "Endpoint=http://localhost.example.org\nPartition=a\n", "in the clear" },
		{ "Endpoint=http://127.0.0.1@example.org\nPartition=a\n", "without user or password" },
		{ "Endpoint=ftp://127.0.0.1\nPartition=a\n", "must begin with https://" },
		{ "Endpoint=127.0.0.1:8080\nPartition=a\n", "must begin with https://" },
		{ "Endpoint=http://\nPartition=a\n", "names no host" },
		{ "Endpoint=http://:80\nPartition=a\n", "names no host" },
		{ "Endpoint=http://127.0.0.1:0\nPartition=a\n", "a port that is none" },
		{ "Endpoint=http://127.0.0.1:65536\nPartition=a\n", "a port that is none" },
		{ "Endpoint=http://127.0.0.1:\nPartition=a\n", "a port that is none" },
		{ "Endpoint=http://127.0.0.1/a?b\nPartition=a\n", "in its path" },
		{ "Endpoint=https://api.example.org\nPartition=a\n", "Region= is needed" },
	};
	char error[ASBB_ERROR_MAX];
	struct asbb_conf conf;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		if (_parse(cases[i].text, &conf, error) != ASBB_INVALID)
			fail_msg("case %zu was accepted: %s", i, cases[i].text);
		if (!strstr(error, cases[i].says))
			fail_msg("case %zu says \"%s\", not \"%s\"", i, error, cases[i].says);
	}
}

static void endpoints_that_are_local_or_allowed(void **state)
{
	static const struct {
		const char *text;
		const char *host;
	} cases[] = {
		{ "Endpoint=http://localhost:8080\nPartition=a", "localhost:8080" },
		{ "Endpoint=http://127.8.9.1:80\nPartition=a", "127.8.9.1" },
		{ "Endpoint=http://[::1]:8080\nPartition=a", "[::1]:8080" },
		{ "Endpoint=http://api.site:8080 AllowHttp=yes\nPartition=a", "api.site:8080" },
		{ "Endpoint=HTTPS://api.example.org:443 Region=us-east-1\nPartition=a", "api.example.org" },
	};
	struct asbb_conf conf;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		_accept(cases[i].text, &conf);
		assert_string_equal(conf.host, cases[i].host);
	}
}

static void limits_of_size(void **state)
{
	static char text[ASBB_CONF_FILE_MAX + 2];
	char error[ASBB_ERROR_MAX];
	struct asbb_conf conf;

	(void)state;
	memset(text, '#', sizeof(text));
	assert_int_equal(asbb_conf_parse(text, ASBB_CONF_LINE_MAX + 1, "f", &conf, error), ASBB_INVALID);
	assert_non_null(strstr(error, "the line is longer than 2048 bytes"));
	assert_int_equal(asbb_conf_parse(text, sizeof(text), "f", &conf, error), ASBB_INVALID);
	assert_non_null(strstr(error, "the file is longer than 65536 bytes"));
	assert_int_equal(asbb_conf_parse("a\0b", 3, "f", &conf, error), ASBB_INVALID);
	assert_non_null(strstr(error, "NUL"));
	text[0] = '\0';
	for (int i = 0; i <= ASBB_CONF_PARTITIONS_MAX; i++) {
		char line[32];

		assert_true(snprintf(line, sizeof(line), "Partition=p%d\n", i) > 0);
		memcpy(text + strlen(text), line, strlen(line) + 1);
	}
	assert_int_equal(asbb_conf_parse(text, strlen(text), "f", &conf, error), ASBB_INVALID);
	assert_non_null(strstr(error, "f:65: more than 64 partitions"));
}

static void files_are_read_and_folders_refused(void **state)
{
	char folder[256], path[300], error[ASBB_ERROR_MAX];
	struct asbb_conf conf;

	(void)state;
	fixture_folder_make(folder);
	assert_true(snprintf(path, sizeof(path), "%s/asbb.conf", folder) > 0);
	fixture_file_write(path, LEAST, 0600);
	assert_int_equal(asbb_conf_load(path, &conf, error), ASBB_OK);
	assert_string_equal(conf.partitions[0].name, "aws");
	fixture_file_write(path, "x\n", 0600);
	assert_int_equal(asbb_conf_load(path, &conf, error), ASBB_INVALID);
	assert_non_null(strstr(error, "/asbb.conf:1: \"x\" is not Key=Value"));
	assert_int_equal(asbb_conf_load(folder, &conf, error), ASBB_INVALID);
	assert_non_null(strstr(error, "is not a file"));
	fixture_folder_remove(folder);
	assert_int_equal(asbb_conf_load(path, &conf, error), ASBB_INVALID);
	assert_non_null(strstr(error, "cannot be read"));
}

static void the_example_is_valid_and_in_shadow_mode(void **state)
{
	struct asbb_conf conf;
	char error[ASBB_ERROR_MAX];

	(void)state;
	if (asbb_conf_load("asbb.conf.example", &conf, error) != ASBB_OK)
		fail_msg("%s", error);
	assert_false(conf.enforce);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_contracts),
		cmocka_unit_test(every_key_is_taken),
		cmocka_unit_test(wrong_lines_name_their_line_and_the_mend),
		cmocka_unit_test(endpoints_that_are_local_or_allowed),
		cmocka_unit_test(limits_of_size),
		cmocka_unit_test(files_are_read_and_folders_refused),
		cmocka_unit_test(the_example_is_valid_and_in_shadow_mode),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
