// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An API for benchmarks that admits everything, at once or after LATENCY_MS: tool_answer [LATENCY_MS]. Prints its port; ends
 * when its standard input does. It knows no more HTTP than the plugin speaks.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX	65536
#define ANSWER_MAX	4096
#define HOLD_ID_LEN	36
#define STACK_BYTES	(256 * 1024)
#define BACKLOG		64

/* As long as what the service answers, for the plugin to read all of it. */
static const char VERDICT[] =
	"{\"available\":true,\"decision\":\"admitted\",\"estimated_cost\":3.06,\"hold_amount\":3.672,\"hold_id\":\"%.36s\","
	"\"transaction_id\":\"%.36s\",\"expires_at\":\"2030-01-02T02:00:00Z\",\"budget_remaining\":996.328,"
	"\"message\":\"$3.672 held for this job; account physics has $996.328 left.\",\"recommendation\":null,\"wall_time\":\"01:00:00\","
	"\"details\":{\"account\":{\"budget_limit\":1000,\"budget_used\":0,\"budget_held\":3.672,\"budget_available\":996.328,"
	"\"budget_unconfirmed\":0},\"estimate\":{\"source\":\"catalogue\",\"price_date\":\"2030-01-01\",\"confidence\":\"high\","
	"\"instance_types\":[\"c5.18xlarge\"],\"nodes\":1,\"wall_time\":\"01:00:00\",\"line_items\":[{\"name\":\"c5.18xlarge\","
	"\"quantity\":1,\"unit_price\":3.06,\"amount\":3.06}],\"low\":3.06,\"high\":3.06}}}";

static struct timespec latency;

/* Returns where the body begins once all of a request is there, NULL when the client has hung up. */
static const char *_read_request(int fd, char *text)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = read(fd, text + len, REQUEST_MAX - len);
		const char *body, *length;

		if (n <= 0)
			return NULL;
		len += (size_t)n;
		text[len] = '\0';
		body = strstr(text, "\r\n\r\n");
		if (!body)
			continue;
		length = strcasestr(text, "\r\nContent-Length:");
		if (!length || length > body || (size_t)(text + len - body - 4) >= strtoul(length + 17, NULL, 10))
			return body + 4;
	}
}

static bool _answer(int fd, const char *request)
{
	const char *found = strstr(request, "\"hold_id\":\"");
	const char *hold_id = found && strlen(found) > 11 + HOLD_ID_LEN ? found + 11 : "00000000-0000-4000-8000-000000000000";
	char body[ANSWER_MAX], answer[ANSWER_MAX + 256];
	int n = snprintf(body, sizeof(body), VERDICT, hold_id, hold_id);

	if (n < 0 || (size_t)n >= sizeof(body))
		return false;
	n = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", n, body);
	if (n < 0 || (size_t)n >= sizeof(answer))
		return false;
	if (latency.tv_sec || latency.tv_nsec)
		nanosleep(&latency, NULL);
	return write(fd, answer, (size_t)n) == n;
}

static void *_serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char *request = malloc(REQUEST_MAX + 1);
	const char *body;

	while (request && (body = _read_request(fd, request)) && _answer(fd, body))
		;
	free(request);
	close(fd);
	return NULL;
}

static void *_accept(void *arg)
{
	int listener = *(int *)arg, yes = 1;
	pthread_attr_t detached;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&detached, STACK_BYTES);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		if (pthread_create(&thread, &detached, _serve, (void *)(intptr_t)fd) != 0)
			close(fd);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	long ms = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pthread_t thread;
	char byte;

	latency = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, size) != 0 || listen(listener, BACKLOG) != 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &size) != 0 ||
	    pthread_create(&thread, NULL, _accept, &listener) != 0) {
		perror("tool_answer");
		return 1;
	}
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
