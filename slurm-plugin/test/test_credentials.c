// SPDX-License-Identifier: GPL-2.0-or-later
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "credentials.h"

#define NOW_S 1700000000
#define KEYS "[default]\naws_access_key_id = AKIDONE\naws_secret_access_key=secret/one+\n"

static struct fixture_server server;
static char folder[256], path[300], url[300], error[ASBB_ERROR_MAX];

/* The environment, as name, value, name, value. */
static const char *environment[16];

static const char *_env(const char *name)
{
	for (size_t i = 0; i + 1 < COUNT_OF(environment) && environment[i]; i += 2) {
		if (strcmp(environment[i], name) == 0)
			return environment[i + 1];
	}
	return NULL;
}

static void _set_env(const char *const *pairs)
{
	memset(environment, 0, sizeof(environment));
	for (size_t i = 0; pairs[i]; i++)
		environment[i] = pairs[i];
}
#define ENV(...) _set_env((const char *const[]){ __VA_ARGS__, NULL })

static int _begin_all(void **state)
{
	(void)state;
	fixture_server_start(&server);
	return 0;
}

static int _end_all(void **state)
{
	(void)state;
	fixture_server_stop(&server);
	return 0;
}

static int _begin(void **state)
{
	(void)state;
	fixture_folder_make(folder);
	memset(environment, 0, sizeof(environment));
	fixture_server_get(&server, "/control/expires/2099-01-01T00:00:00Z", NULL, 0);
	fixture_server_get(&server, "/control/key/AKIDIMDS", NULL, 0);
	return snprintf(path, sizeof(path), "%s/credentials", folder) > 0 &&
			       snprintf(url, sizeof(url), "http://127.0.0.1:%d/", server.port) > 0 ? 0 : 1;
}

static int _end(void **state)
{
	(void)state;
	fixture_folder_remove(folder);
	return 0;
}

static struct asbb_credentials_store *_create(enum asbb_credentials_source source, const char *file)
{
	struct asbb_conf conf = { .credentials = source };

	memcpy(conf.credentials_file, file, strlen(file) + 1);
	return asbb_credentials_create(&conf, _env, error);
}

static void _expect(struct asbb_credentials_store *store, const char *access_key, const char *token)
{
	struct asbb_credentials credentials;

	if (!store)
		fail_msg("%s", error);
	assert_int_equal(asbb_credentials_get(store, &credentials), ASBB_OK);
	assert_string_equal(credentials.access_key, access_key);
	assert_string_equal(credentials.session_token, token);
}

static void _expect_refused(struct asbb_credentials_store *store, const char *says)
{
	assert_null(store);
	if (!strstr(error, says))
		fail_msg("\"%s\", not \"%s\"", error, says);
}

static void the_environment(void **state)
{
	struct asbb_credentials_store *store;

	(void)state;
	ENV("AWS_ACCESS_KEY_ID", "AKIDENV", "AWS_SECRET_ACCESS_KEY", "secret", "AWS_SESSION_TOKEN", "token");
	store = _create(ASBB_CREDENTIALS_AUTO, "");
	_expect(store, "AKIDENV", "token");
	assert_int_equal(asbb_credentials_refresh(store, NOW_S, error), ASBB_OK);
	asbb_credentials_destroy(store);
	store = _create(ASBB_CREDENTIALS_ENV, "");
	_expect(store, "AKIDENV", "token");
	asbb_credentials_destroy(store);
	ENV("AWS_ACCESS_KEY_ID", "AKIDENV");
	_expect_refused(_create(ASBB_CREDENTIALS_AUTO, ""), "the environment lacks");
	ENV("AWS_ACCESS_KEY_ID", "AKID ENV", "AWS_SECRET_ACCESS_KEY", "secret");
	_expect_refused(_create(ASBB_CREDENTIALS_ENV, ""), "check for blanks");
	ENV("AWS_ACCESS_KEY_ID", "AKID\r\nx: y", "AWS_SECRET_ACCESS_KEY", "secret");
	_expect_refused(_create(ASBB_CREDENTIALS_ENV, ""), "check for blanks");
}

static void files_and_profiles(void **state)
{
	struct asbb_credentials_store *store;

	(void)state;
	fixture_file_write(path, "# mine\r\n[ other ]\r\nAWS_ACCESS_KEY_ID=AKIDTWO\r\naws_secret_access_key = s\r\naws_session_token = t \r\nregion=x\r\n; c\nodd line\n" KEYS, 0600);
	store = _create(ASBB_CREDENTIALS_FILE, path);
	_expect(store, "AKIDONE", "");
	asbb_credentials_destroy(store);
	ENV("AWS_PROFILE", "other", "AWS_SHARED_CREDENTIALS_FILE", path);
	store = _create(ASBB_CREDENTIALS_AUTO, "");
	_expect(store, "AKIDTWO", "t");
	asbb_credentials_destroy(store);
	ENV("AWS_PROFILE", "third");
	_expect_refused(_create(ASBB_CREDENTIALS_FILE, path), "no keys in its profile [third]");
	ENV("HOME", "/nowhere");
	_expect_refused(_create(ASBB_CREDENTIALS_FILE, "/nowhere/file"), "cannot be read");
	_expect_refused(_create(ASBB_CREDENTIALS_FILE, folder), "cannot be read");
	fixture_file_write(path, "[default]\naws_access_key_id=A B\naws_secret_access_key=s\n", 0600);
	_expect_refused(_create(ASBB_CREDENTIALS_FILE, path), "no keys in its profile [default]");
}

static void a_file_for_all_to_read_is_refused(void **state)
{
	static const unsigned int modes[] = { 0604, 0644, 0602 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		fixture_file_write(path, KEYS, modes[i]);
		_expect_refused(_create(ASBB_CREDENTIALS_FILE, path), "is open to everybody: chmod 600");
	}
	fixture_file_write(path, KEYS, 0640);
	asbb_credentials_destroy(_create(ASBB_CREDENTIALS_FILE, path));
	assert_string_equal(error, "");
}

static void a_file_that_changes_is_read_again(void **state)
{
	struct asbb_credentials_store *store;
	char next[320];

	(void)state;
	fixture_file_write(path, KEYS, 0600);
	store = _create(ASBB_CREDENTIALS_FILE, path);
	_expect(store, "AKIDONE", "");
	assert_int_equal(asbb_credentials_refresh(store, NOW_S, error), ASBB_OK);
	/* Rewritten in place, of another length. */
	usleep(20000);
	fixture_file_write(path, KEYS "aws_session_token=new\n", 0600);
	assert_int_equal(asbb_credentials_refresh(store, NOW_S, error), ASBB_OK);
	_expect(store, "AKIDONE", "new");
	/* Replaced by a rename, as an agent does. */
	assert_true(snprintf(next, sizeof(next), "%s.new", path) > 0);
	fixture_file_write(next, "[default]\naws_access_key_id=AKIDSIX\naws_secret_access_key=s\n", 0600);
	assert_int_equal(rename(next, path), 0);
	assert_int_equal(asbb_credentials_refresh(store, NOW_S, error), ASBB_OK);
	_expect(store, "AKIDSIX", "");
	/* What is wrong is said once, and what was right stays. */
	usleep(20000);
	fixture_file_write(path, "[default]\naws_access_", 0600);
	assert_int_equal(asbb_credentials_refresh(store, NOW_S, error), ASBB_NO_CREDENTIALS);
	assert_int_equal(asbb_credentials_refresh(store, NOW_S, error), ASBB_OK);
	_expect(store, "AKIDSIX", "");
	usleep(20000);
	fixture_file_write(path, KEYS, 0644);
	assert_int_equal(asbb_credentials_refresh(store, NOW_S, error), ASBB_NO_CREDENTIALS);
	_expect(store, "AKIDSIX", "");
	unlink(path);
	assert_int_equal(asbb_credentials_refresh(store, NOW_S, error), ASBB_NO_CREDENTIALS);
	_expect(store, "AKIDSIX", "");
	fixture_file_write(path, KEYS, 0600);
	assert_int_equal(asbb_credentials_refresh(store, NOW_S, error), ASBB_OK);
	_expect(store, "AKIDONE", "");
	asbb_credentials_destroy(store);
}

static void imds_with_a_token_refreshed_ahead_of_expiry(void **state)
{
	struct asbb_credentials_store *store;
	struct asbb_credentials none;

	(void)state;
	ENV("AWS_EC2_METADATA_SERVICE_ENDPOINT", url);
	store = _create(ASBB_CREDENTIALS_AUTO, "");
	assert_non_null(store);
	assert_int_equal(asbb_credentials_get(store, &none), ASBB_NO_CREDENTIALS);
	fixture_server_get(&server, "/control/expires/2023-11-14T23:13:20Z", NULL, 0); /* NOW_S + 3600 */
	assert_int_equal(asbb_credentials_refresh(store, NOW_S, error), ASBB_OK);
	_expect(store, "AKIDIMDS", "session");
	fixture_server_get(&server, "/control/key/AKIDNEXT", NULL, 0);
	assert_int_equal(asbb_credentials_refresh(store, NOW_S + 2999, error), ASBB_OK);
	_expect(store, "AKIDIMDS", "session");
	assert_int_equal(asbb_credentials_refresh(store, NOW_S + 3000, error), ASBB_OK);
	_expect(store, "AKIDNEXT", "session");
	/* Refused by the API: asked for again, but not in a loop. */
	fixture_server_get(&server, "/control/expires/2099-01-01T00:00:00Z", NULL, 0);
	fixture_server_get(&server, "/control/key/AKIDLAST", NULL, 0);
	assert_int_equal(asbb_credentials_refresh(store, NOW_S + 3015, error), ASBB_OK);
	_expect(store, "AKIDLAST", "session");
	fixture_server_get(&server, "/control/key/AKIDMORE", NULL, 0);
	asbb_credentials_distrust(store);
	assert_int_equal(asbb_credentials_refresh(store, NOW_S + 3029, error), ASBB_OK);
	_expect(store, "AKIDLAST", "session");
	assert_int_equal(asbb_credentials_refresh(store, NOW_S + 3030, error), ASBB_OK);
	_expect(store, "AKIDMORE", "session");
	asbb_credentials_destroy(store);
	ENV("AWS_EC2_METADATA_DISABLED", "true");
	_expect_refused(_create(ASBB_CREDENTIALS_AUTO, ""), "AWS_EC2_METADATA_DISABLED is true");
}

static void imds_that_is_away_is_asked_again_later(void **state)
{
	struct asbb_credentials_store *store;

	(void)state;
	ENV("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
	store = _create(ASBB_CREDENTIALS_IMDS, "");
	assert_non_null(store);
	assert_int_equal(asbb_credentials_refresh(store, NOW_S, error), ASBB_NO_CREDENTIALS);
	assert_string_equal(error, "no answer from http://127.0.0.1:1/latest/api/token");
	assert_int_equal(asbb_credentials_refresh(store, NOW_S + 14, error), ASBB_OK);
	assert_int_equal(asbb_credentials_refresh(store, NOW_S + 15, error), ASBB_NO_CREDENTIALS);
	asbb_credentials_destroy(store);
}

static void containers(void **state)
{
	struct asbb_credentials_store *store;
	char task[320];

	(void)state;
	assert_true(snprintf(task, sizeof(task), "%scontainer", url) > 0);
	fixture_file_write(path, "Bearer task\n", 0600);
	ENV("AWS_CONTAINER_CREDENTIALS_FULL_URI", task, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path);
	store = _create(ASBB_CREDENTIALS_AUTO, "");
	assert_non_null(store);
	assert_int_equal(asbb_credentials_refresh(store, NOW_S, error), ASBB_OK);
	_expect(store, "AKIDTASK", "session");
	asbb_credentials_destroy(store);
	ENV("AWS_CONTAINER_CREDENTIALS_FULL_URI", task);
	store = _create(ASBB_CREDENTIALS_ECS, "");
	assert_int_equal(asbb_credentials_refresh(store, NOW_S, error), ASBB_NO_CREDENTIALS);
	assert_non_null(strstr(error, "no credentials at http://127.0.0.1"));
	asbb_credentials_destroy(store);
	ENV("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x");
	store = _create(ASBB_CREDENTIALS_AUTO, "");
	assert_non_null(store);
	asbb_credentials_destroy(store);
	ENV("AWS_CONTAINER_CREDENTIALS_FULL_URI", task, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "a\r\nx: y");
	_expect_refused(_create(ASBB_CREDENTIALS_ECS, ""), "cannot be a token");
	ENV("X", "");
	_expect_refused(_create(ASBB_CREDENTIALS_ECS, ""), "is slurmctld in a container?");
}

static void a_containers_token_goes_nowhere_else(void **state)
{
	static const char *const refused[] = {
		"http://example.org/x", "http://127.0.0.1.example.org/x", "http://localhost.example.org", "http://169.254.170.20/x",
		"ftp://127.0.0.1/", "http://127.",
	};
	static const char *const taken[] = {
		"http://127.0.0.1/x", "http://localhost:1/x", "http://169.254.170.2/x", "http://169.254.170.23/v1", "http://[::1]/x",
		"http://[fd00:ec2::23]/v1", "https://example.org/x",
	};

	(void)state;
	for (size_t i = 0; i + 1 < COUNT_OF(refused); i++) {
		ENV("AWS_CONTAINER_CREDENTIALS_FULL_URI", refused[i]);
		_expect_refused(_create(ASBB_CREDENTIALS_ECS, ""), "is neither https nor local");
	}
	for (size_t i = 0; i < COUNT_OF(taken); i++) {
		struct asbb_credentials_store *store;

		ENV("AWS_CONTAINER_CREDENTIALS_FULL_URI", taken[i]);
		store = _create(ASBB_CREDENTIALS_ECS, "");
		assert_non_null(store);
		asbb_credentials_destroy(store);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_environment, _begin, _end),
		cmocka_unit_test_setup_teardown(files_and_profiles, _begin, _end),
		cmocka_unit_test_setup_teardown(a_file_for_all_to_read_is_refused, _begin, _end),
		cmocka_unit_test_setup_teardown(a_file_that_changes_is_read_again, _begin, _end),
		cmocka_unit_test_setup_teardown(imds_with_a_token_refreshed_ahead_of_expiry, _begin, _end),
		cmocka_unit_test_setup_teardown(imds_that_is_away_is_asked_again_later, _begin, _end),
		cmocka_unit_test_setup_teardown(containers, _begin, _end),
		cmocka_unit_test_setup_teardown(a_containers_token_goes_nowhere_else, _begin, _end),
	};

	return cmocka_run_group_tests_name("credentials", tests, _begin_all, _end_all);
}
