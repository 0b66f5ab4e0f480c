// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Threads at one guard while the API comes and goes and credentials change: for the thread sanitiser. Usage: tool_hammer
 * [milliseconds]. Exits 1 if a decision is not one that can be.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "guard.h"
#include "http.h"

#define THREADS 8

static struct asbb_guard *guard;
static atomic_bool stopping;
static atomic_int admitted, refused, failed_open, passed, wrong;

static void _log(void *arg, enum asbb_log_level level, const char *line)
{
	(void)arg;
	(void)level;
	(void)line;
}

static void _count(const struct asbb_decision *decision)
{
	switch (decision->action) {
	case ASBB_PASS:
		passed++;
		break;
	case ASBB_ADMIT:
		if (decision->failed_open)
			failed_open++;
		else
			admitted++;
		if (strlen(decision->hold_id) != ASBB_UUID_SIZE - 1)
			wrong++;
		break;
	case ASBB_REFUSE:
		refused++;
		if (!decision->message[0])
			wrong++;
		break;
	case ASBB_DROP_PARTITIONS:
	case ASBB_FAIL:
		wrong++;
		break;
	}
}

static void *_submit(void *arg)
{
	static const char *const accounts[] = { "physics", "poor", "physics", "wait5", "physics", "status500", "physics", "garbage" };
	static const char *const partitions[] = { "aws", "open", "local", "aws,local" };
	size_t n = (size_t)(uintptr_t)arg;

	while (!stopping) {
		struct asbb_decision decision;
		struct asbb_job job;
		struct asbb_change change;

		asbb_job_init(&job);
		job.account = accounts[n % COUNT_OF(accounts)];
		job.partition = partitions[n / 3 % COUNT_OF(partitions)];
		job.user = "alice";
		job.job_name = "hammer";
		asbb_guard_check(guard, &job, 1440938160, &decision);
		_count(&decision);
		asbb_change_init(&change);
		change.job_id = "12";
		change.nodes = 2;
		if (n % 5 == 0) {
			asbb_guard_modify(guard, &change, 1440938160, &decision);
			_count(&decision);
		}
		n++;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	long ms = argc > 1 ? strtol(argv[1], NULL, 10) : 6000;
	struct fixture_server server;
	pthread_t threads[THREADS];
	struct asbb_conf conf;
	char folder[256], credentials[300], text[1024], error[ASBB_ERROR_MAX] = "";
	int64_t until_ms;

	fixture_folder_make(folder);
	fixture_server_start(&server);
	if (snprintf(credentials, sizeof(credentials), "%s/credentials", folder) < 0 ||
	    snprintf(text, sizeof(text),
		     "Endpoint=http://localhost:%d Cluster=hpc Region=us-east-1 Credentials=file:%s\nBreakerSeconds=1 BreakerFailures=20\n"
		     "SpoolFile=%s/spool\nPartition=aws\nPartition=open FailMode=open\n",
		     server.port, credentials, folder) < 0)
		return 1;
	fixture_file_write(credentials, "[default]\naws_access_key_id=A\naws_secret_access_key=s\n", 0600);
	if (asbb_conf_parse(text, strlen(text), "asbb.conf", &conf, error) == ASBB_OK)
		guard = asbb_guard_create(&conf, _log, NULL, error);
	if (!guard) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	for (size_t i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, _submit, (void *)(uintptr_t)i) != 0)
			return 1;
	}
	until_ms = asbb_monotonic_ms() + ms;
	for (int i = 0; asbb_monotonic_ms() < until_ms; i++) {
		usleep(300000);
		fixture_file_write(credentials, i % 2 ? "[default]\naws_access_key_id=A\naws_secret_access_key=s\n" :
							"[default]\naws_access_key_id=B\naws_secret_access_key=longer\n", 0600);
		fixture_server_get(&server, i % 4 == 3 ? "/control/health/503" : "/control/health/200", NULL, 0);
	}
	stopping = true;
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	asbb_guard_destroy(guard);
	fixture_server_stop(&server);
	fixture_folder_remove(folder);
	printf("admitted %d, refused %d, failed open %d, passed %d, wrong %d\n", admitted, refused, failed_open, passed, wrong);
	return wrong || !admitted || !refused || !failed_open || !passed ? 1 : 0;
}
