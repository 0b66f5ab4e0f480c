// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Submit held jobs through libslurm, as fast as slurmctld takes them: storm PARTITION CLIENTS MILLISECONDS. Prints one JSON
 * object: how many were admitted and refused, in how many seconds, and how long one took.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

#define CLIENTS_MAX	64
#define SUBMISSIONS_MAX	200000	/* of one client */

struct client {
	pthread_t thread;
	const char *partition;
	double until_s;
	double *took_s;
	size_t admitted;
	size_t refused;
};

static double _now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int _submit(const char *partition)
{
	char *environment[] = { "PATH=/usr/bin:/bin", NULL };
	submit_response_msg_t *response = NULL;
	job_desc_msg_t desc;

	slurm_init_job_desc_msg(&desc);
	desc.name = "storm";
	desc.account = "physics";
	desc.partition = (char *)partition;
	desc.time_limit = 60;
	desc.min_nodes = desc.max_nodes = 1;
	desc.priority = 0;
	desc.user_id = getuid();
	desc.group_id = getgid();
	desc.work_dir = "/";
	desc.script = "#!/bin/sh\n";
	desc.environment = environment;
	desc.env_size = 1;
	if (slurm_submit_batch_job(&desc, &response) != SLURM_SUCCESS || !response)
		return errno;
	slurm_free_submit_response_response_msg(response);
	return SLURM_SUCCESS;
}

static void *_run(void *arg)
{
	struct client *client = arg;

	while (_now_s() < client->until_s && client->admitted + client->refused < SUBMISSIONS_MAX) {
		double began_s = _now_s();
		int rc = _submit(client->partition);

		client->took_s[client->admitted + client->refused] = _now_s() - began_s;
		if (rc == SLURM_SUCCESS) {
			client->admitted++;
		} else if (rc == ESLURM_ACCOUNTING_POLICY) {
			client->refused++;
		} else {
			fprintf(stderr, "%s\n", slurm_strerror(rc));
			exit(1);
		}
	}
	return NULL;
}

static int _compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int _report(const struct client *clients, long count, double seconds)
{
	size_t admitted = 0, refused = 0, n = 0;
	double *took_s;

	for (long i = 0; i < count; i++) {
		admitted += clients[i].admitted;
		refused += clients[i].refused;
	}
	took_s = calloc(admitted + refused + 1, sizeof(*took_s));
	if (!took_s)
		return 1;
	for (long i = 0; i < count; i++) {
		size_t own = clients[i].admitted + clients[i].refused;

		memcpy(took_s + n, clients[i].took_s, own * sizeof(*took_s));
		n += own;
	}
	qsort(took_s, n, sizeof(*took_s), _compare);
	printf("{\"admitted\":%zu,\"refused\":%zu,\"seconds\":%.6f,\"p50Ms\":%.3f,\"p99Ms\":%.3f}\n", admitted, refused, seconds,
	       took_s[n / 2] * 1e3, took_s[n * 99 / 100] * 1e3);
	free(took_s);
	return 0;
}

int main(int argc, char **argv)
{
	static struct client clients[CLIENTS_MAX];
	long count = argc == 4 ? strtol(argv[2], NULL, 10) : 0;
	double began_s;

	if (count < 1 || count > CLIENTS_MAX)
		return 2;
	slurm_init(NULL);
	began_s = _now_s();
	for (long i = 0; i < count; i++) {
		clients[i].partition = argv[1];
		clients[i].until_s = began_s + strtod(argv[3], NULL) / 1e3;
		clients[i].took_s = calloc(SUBMISSIONS_MAX, sizeof(double));
		if (!clients[i].took_s || pthread_create(&clients[i].thread, NULL, _run, &clients[i]) != 0)
			return 1;
	}
	for (long i = 0; i < count; i++)
		pthread_join(clients[i].thread, NULL);
	return _report(clients, count, _now_s() - began_s);
}
