// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an admitted submission costs inside the plugin: tool_cost PORT CALLS, with tool_answer at PORT. Each job_submit() comes
 * behind a raw round trip of as many bytes over a kept-alive socket to the same server; what it takes beyond that is the
 * plugin's. Prints JSON: percentiles in microseconds.
 */
#include "fixture.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lend.h"

#define CALLS_MAX	1000000
#define WARM_UP_CALLS	500
#define HEADERS_BYTES	620	/* of a signed request, as the plugin sends it */
#define BODY_BYTES	180
#define ANSWER_MAX	8192

typedef int submit_fn(job_desc_msg_t *desc, uint32_t uid, char **message);

/* One of both sides: what is measured, and in what time. */
struct call {
	submit_fn *submit;
	int fd;
	const char *request;
	size_t len;
	double took_us;
};

static double _now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void _need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "tool_cost: %s\n", what);
	exit(1);
}

static void *_symbol(void *library, const char *name)
{
	void *symbol = dlsym(library, name);

	_need(symbol != NULL, name);
	return symbol;
}

static int _connect(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

	_need(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "nobody listens at this port");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	return fd;
}

static size_t _format_request(char *text, size_t size)
{
	int n = snprintf(text, size, "POST /api/v1/budget/check HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nx-padding: %0*d\r\n\r\n%0*d",
			 BODY_BYTES, HEADERS_BYTES - 90, 0, BODY_BYTES, 0);

	_need(n > 0 && (size_t)n < size, "the raw request is too long");
	return (size_t)n;
}

static void *_round_trip(void *arg)
{
	struct call *call = arg;
	char answer[ANSWER_MAX];
	double began_us = _now_us();

	/* The server answers with one write. */
	_need(write(call->fd, call->request, call->len) == (ssize_t)call->len && read(call->fd, answer, sizeof(answer)) > 0,
	      "the server has hung up");
	call->took_us = _now_us() - began_us;
	return NULL;
}

static void *_submit(void *arg)
{
	struct call *call = arg;
	char *message = NULL;
	job_desc_msg_t desc;
	double began_us;
	int rc;

	slurm_init_job_desc_msg(&desc);
	desc.name = (char *)"cost";
	desc.account = (char *)LENT_ACCOUNT;
	desc.partition = (char *)"aws";
	desc.time_limit = 60;
	desc.min_nodes = desc.max_nodes = 1;
	desc.user_id = getuid();
	began_us = _now_us();
	rc = call->submit(&desc, desc.user_id, &message);
	call->took_us = _now_us() - began_us;
	_need(rc == SLURM_SUCCESS && desc.admin_comment, "a submission was not admitted");
	slurm_xfree((void **)&desc.admin_comment);
	return NULL;
}

/* In a thread of its own, as slurmctld answers each client: what a library keeps by thread is then made anew each time. */
static double _in_a_thread(void *(*side)(void *), struct call *call)
{
	pthread_t thread;

	_need(pthread_create(&thread, NULL, side, call) == 0 && pthread_join(thread, NULL) == 0, "there is no thread");
	return call->took_us;
}

static int _compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void _print(const char *name, double *values, long count, const char *behind)
{
	qsort(values, (size_t)count, sizeof(*values), _compare);
	printf("{\"name\":\"%s\",\"p50\":%.1f,\"p99\":%.1f}%s\n", name, values[count / 2], values[count * 99 / 100], behind);
}

static void *_load(int port, const char *folder)
{
	char path[300], text[512];
	void *library = dlopen(PLUGIN_PATH, RTLD_NOW);

	_need(library != NULL, "the plugin cannot be loaded");
	_need(snprintf(path, sizeof(path), "%s/asbb.conf", folder) > 0 &&
	      snprintf(text, sizeof(text), "Endpoint=http://127.0.0.1:%d Region=eu-central-1 Credentials=env Cluster=hpc\nPartition=aws\n",
		       port) > 0, "paths");
	fixture_file_write(path, text, 0600);
	setenv("ASBB_CONF", path, 1);
	setenv("AWS_ACCESS_KEY_ID", "AKIDBENCH", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "a/secret+of/the+bench", 1);
	return library;
}

int main(int argc, char **argv)
{
	int port = argc == 3 ? (int)strtol(argv[1], NULL, 10) : 0;
	long calls = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
	double *raw_us, *submit_us, *own_us;
	char folder[256], request[1024];
	struct call call = { .request = request, .len = _format_request(request, sizeof(request)) };
	void *library;

	if (port <= 0 || calls < 1 || calls > CALLS_MAX)
		return 2;
	fixture_folder_make(folder);
	library = _load(port, folder);
	_need(((int (*)(void))_symbol(library, "init"))() == SLURM_SUCCESS, "init() failed");
	fixture_folder_remove(folder);
	call.submit = (submit_fn *)_symbol(library, "job_submit");
	call.fd = _connect(port);
	raw_us = calloc((size_t)calls, sizeof(double));
	submit_us = calloc((size_t)calls, sizeof(double));
	own_us = calloc((size_t)calls, sizeof(double));
	_need(raw_us && submit_us && own_us, "there is no memory");
	for (long i = -WARM_UP_CALLS; i < calls; i++) {
		double raw = _in_a_thread(_round_trip, &call);
		double whole = _in_a_thread(_submit, &call);

		if (i < 0)
			continue;
		raw_us[i] = raw;
		submit_us[i] = whole;
		own_us[i] = whole - raw;
	}
	((int (*)(void))_symbol(library, "fini"))();
	printf("[");
	_print("job_submit()", submit_us, calls, ",");
	_print("raw round trip", raw_us, calls, ",");
	_print("difference of each pair", own_us, calls, "]");
	return 0;
}
