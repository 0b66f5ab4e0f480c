// SPDX-License-Identifier: GPL-2.0-or-later
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http.h"

#define USER_AGENT	"asbb-plugin/0.1"
#define PIN_MAX		(ASBB_ENDPOINT_MAX + 8 + ASBB_HTTP_ADDRESSES_MAX * (INET6_ADDRSTRLEN + 3))

struct asbb_connection {
	CURL *curl;
	struct asbb_connection *next;	/* while it is free */
	unsigned int generation;	/* of the addresses that curl was told */
	char pin[PIN_MAX];
	struct curl_slist pins[1];
	size_t header_bytes;
	size_t len;
	char request[ASBB_BODY_MAX + 1];
	char answer[ASBB_BODY_MAX + 1];
};

struct asbb_http {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct asbb_connection *free;	/* a stack, so that a few connections stay warm */
	struct asbb_connection *all;
	int count;
	int connect_timeout_ms;
	char ca_file[ASBB_PATH_MAX + 1];
	char host[ASBB_ENDPOINT_MAX + 1];	/* to look up; "" if that is not needed */
	char port[6];
	unsigned int generation;
	char pin[PIN_MAX];
};

int64_t asbb_monotonic_ms(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* slurmctld forks (prologs, mail): a child must not keep our sockets open. */
static curl_socket_t _open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)arg;
	(void)purpose;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t _count_header(char *data, size_t size, size_t n, void *arg)
{
	struct asbb_connection *connection = arg;

	(void)data;
	connection->header_bytes += size * n;
	return connection->header_bytes > ASBB_HTTP_HEADER_BYTES_MAX ? 0 : size * n;
}

/* Refusing an oversized body here makes curl fail the transfer for us. */
static size_t _append_body(char *data, size_t size, size_t n, void *arg)
{
	struct asbb_connection *connection = arg;

	if (size * n > ASBB_BODY_MAX - connection->len)
		return 0;
	memcpy(connection->answer + connection->len, data, size * n);
	connection->len += size * n;
	return size * n;
}

#define SET(option, value) (curl_easy_setopt(curl, (option), (value)) == CURLE_OK)

/* What is the same for every call of a connection. */
static bool _prepare(struct asbb_http *http, struct asbb_connection *connection)
{
	CURL *curl = connection->curl;

	return SET(CURLOPT_NOSIGNAL, 1L) && SET(CURLOPT_PROXY, "") && SET(CURLOPT_USERAGENT, USER_AGENT) &&
#if LIBCURL_VERSION_NUM >= 0x075500
	       SET(CURLOPT_PROTOCOLS_STR, "http,https") &&
#else
	       SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS)) &&
#endif
	       SET(CURLOPT_FOLLOWLOCATION, 0L) && SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	       SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) && SET(CURLOPT_SSL_VERIFYPEER, 1L) &&
	       SET(CURLOPT_SSL_VERIFYHOST, 2L) && (!http->ca_file[0] || SET(CURLOPT_CAINFO, http->ca_file)) &&
	       SET(CURLOPT_TCP_NODELAY, 1L) && SET(CURLOPT_TCP_KEEPALIVE, 1L) && SET(CURLOPT_MAXCONNECTS, 1L) &&
	       SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) && SET(CURLOPT_OPENSOCKETFUNCTION, _open_socket) &&
	       SET(CURLOPT_HEADERFUNCTION, _count_header) && SET(CURLOPT_HEADERDATA, connection) &&
	       SET(CURLOPT_WRITEFUNCTION, _append_body) && SET(CURLOPT_WRITEDATA, connection);
}

/* Split "host[:port]"; an address needs no looking up. */
static bool _read_pinned(struct asbb_http *http, const struct asbb_http_options *options)
{
	const char *host = options->pinned_host;
	size_t len = strcspn(host, ":");
	const char *port = host[len] ? host + len + 1 : options->is_https ? "443" : "80";
	unsigned char address[sizeof(struct in_addr)];

	if (host[0] == '[')
		return true;
	if (len >= sizeof(http->host) || strlen(port) >= sizeof(http->port))
		return false;
	memcpy(http->host, host, len);
	http->host[len] = '\0';
	memcpy(http->port, port, strlen(port) + 1);
	if (inet_pton(AF_INET, http->host, address) == 1)
		http->host[0] = '\0';
	return true;
}

struct asbb_http *asbb_http_create(const struct asbb_http_options *options, char error[ASBB_ERROR_MAX])
{
	const char *wrong = "there is no memory for connections";
	struct asbb_http *http = NULL;
	pthread_condattr_t monotonic;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		wrong = "libcurl cannot be started";
		goto done;
	}
	http = calloc(1, sizeof(*http));
	if (!http) {
		curl_global_cleanup();
		goto done;
	}
	http->connect_timeout_ms = options->connect_timeout_ms;
	pthread_mutex_init(&http->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&http->freed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (options->ca_file && options->ca_file[0]) {
		int n = snprintf(http->ca_file, sizeof(http->ca_file), "%s", options->ca_file);

		wrong = "CaFile cannot be read: check its path and mode";
		if (n < 0 || (size_t)n >= sizeof(http->ca_file) || access(http->ca_file, R_OK) != 0)
			goto done;
	}
	wrong = "the Endpoint's host is too long";
	if (options->pinned_host && !_read_pinned(http, options))
		goto done;
	wrong = "there is no memory for connections";
	http->all = calloc((size_t)options->connections, sizeof(*http->all));
	if (!http->all)
		goto done;
	for (; http->count < options->connections; http->count++) {
		struct asbb_connection *connection = &http->all[http->count];

		connection->curl = curl_easy_init();
		if (!connection->curl)
			goto done;
		if (!_prepare(http, connection)) {
			curl_easy_cleanup(connection->curl);
			wrong = "libcurl does not know an option that is needed: is it older than 7.61?";
			goto done;
		}
		connection->next = http->free;
		http->free = connection;
	}
	return http;
done:
	if (snprintf(error, ASBB_ERROR_MAX, "%s", wrong) < 0)
		error[0] = '\0';
	asbb_http_destroy(http);
	return NULL;
}

void asbb_http_destroy(struct asbb_http *http)
{
	if (!http)
		return;
	for (int i = 0; i < http->count; i++)
		curl_easy_cleanup(http->all[i].curl);
	free(http->all);
	pthread_cond_destroy(&http->freed);
	pthread_mutex_destroy(&http->lock);
	free(http);
	curl_global_cleanup();
}

/* "host:port:address,address", as CURLOPT_RESOLVE takes it. */
static bool _format_pin(const struct asbb_http *http, const struct addrinfo *list, char pin[PIN_MAX])
{
	int used = snprintf(pin, PIN_MAX, "%s:%s:", http->host, http->port);
	int count = 0;

	for (; list && count < ASBB_HTTP_ADDRESSES_MAX; list = list->ai_next) {
		char address[INET6_ADDRSTRLEN];
		bool is_v6 = list->ai_family == AF_INET6;
		const void *from = is_v6 ? (const void *)&((const struct sockaddr_in6 *)list->ai_addr)->sin6_addr :
					   (const void *)&((const struct sockaddr_in *)list->ai_addr)->sin_addr;
		int n;

		if ((!is_v6 && list->ai_family != AF_INET) || !inet_ntop(list->ai_family, from, address, sizeof(address)))
			continue;
		if (used < 0 || used >= PIN_MAX)
			return false;
		n = snprintf(pin + used, (size_t)(PIN_MAX - used), is_v6 ? "%s[%s]" : "%s%s", count ? "," : "", address);
		if (n < 0 || n >= PIN_MAX - used)
			return false;
		used += n;
		count++;
	}
	return count > 0;
}

enum asbb_rc asbb_http_resolve(struct asbb_http *http)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *list = NULL;
	char pin[PIN_MAX] = "";
	bool ok;

	if (!http->host[0])
		return ASBB_OK;
	if (getaddrinfo(http->host, http->port, &hints, &list) != 0)
		return ASBB_UNREACHABLE;
	ok = _format_pin(http, list, pin);
	freeaddrinfo(list);
	if (!ok)
		return ASBB_UNREACHABLE;
	pthread_mutex_lock(&http->lock);
	if (strcmp(http->pin, pin) != 0) {
		memcpy(http->pin, pin, sizeof(pin));
		http->generation++;
	}
	pthread_mutex_unlock(&http->lock);
	return ASBB_OK;
}

struct asbb_connection *asbb_http_take(struct asbb_http *http, int64_t deadline_ms)
{
	const struct timespec until = { .tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000 };
	struct asbb_connection *connection;

	pthread_mutex_lock(&http->lock);
	while (!http->free) {
		if (pthread_cond_timedwait(&http->freed, &http->lock, &until) != 0)
			break;
	}
	connection = http->free;
	if (connection)
		http->free = connection->next;
	pthread_mutex_unlock(&http->lock);
	return connection;
}

void asbb_http_give(struct asbb_http *http, struct asbb_connection *connection)
{
	pthread_mutex_lock(&http->lock);
	connection->next = http->free;
	http->free = connection;
	pthread_cond_signal(&http->freed);
	pthread_mutex_unlock(&http->lock);
}

char *asbb_connection_buffer(struct asbb_connection *connection)
{
	return connection->request;
}

/* Tell curl the newest addresses. Without any we say so ourselves: curl would ask a name server, and wait. */
static enum asbb_rc _pin(struct asbb_http *http, struct asbb_connection *connection)
{
	CURL *curl = connection->curl;
	bool is_new;

	if (!http->host[0])
		return ASBB_OK;
	pthread_mutex_lock(&http->lock);
	is_new = connection->generation != http->generation;
	if (is_new) {
		memcpy(connection->pin, http->pin, sizeof(connection->pin));
		connection->generation = http->generation;
	}
	pthread_mutex_unlock(&http->lock);
	if (connection->generation == 0)
		return ASBB_UNREACHABLE;
	if (!is_new)
		return ASBB_OK;
	connection->pins[0].data = connection->pin;
	connection->pins[0].next = NULL;
	return SET(CURLOPT_RESOLVE, connection->pins) ? ASBB_OK : ASBB_NOMEM;
}

static bool _set_request(struct asbb_connection *connection, const struct asbb_http_request *request)
{
	CURL *curl = connection->curl;

	if (!SET(CURLOPT_URL, request->url) || !SET(CURLOPT_CUSTOMREQUEST, NULL))
		return false;
	if (strcmp(request->method, "GET") == 0)
		return SET(CURLOPT_HTTPGET, 1L);
	return SET(CURLOPT_POST, 1L) && SET(CURLOPT_POSTFIELDSIZE, (long)request->body_len) &&
	       SET(CURLOPT_POSTFIELDS, request->body ? request->body : "") &&
	       (strcmp(request->method, "POST") == 0 || SET(CURLOPT_CUSTOMREQUEST, request->method));
}

static CURLcode _perform(struct asbb_http *http, struct asbb_connection *connection, int64_t deadline_ms)
{
	CURL *curl = connection->curl;
	int64_t left_ms = deadline_ms - asbb_monotonic_ms();
	int64_t connect_ms = left_ms < http->connect_timeout_ms ? left_ms : http->connect_timeout_ms;

	/* 0 would mean "no limit". */
	if (left_ms <= 0)
		return CURLE_OPERATION_TIMEDOUT;
	if (!SET(CURLOPT_TIMEOUT_MS, (long)left_ms) || !SET(CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms))
		return CURLE_OUT_OF_MEMORY;
	connection->header_bytes = 0;
	connection->len = 0;
	return curl_easy_perform(curl);
}

/* curl found out only by using it that the other side had closed a kept connection: nothing was answered, so ask again. */
static bool _was_dead(struct asbb_connection *connection, CURLcode code, long connects)
{
	return connects == 0 && connection->header_bytes == 0 && connection->len == 0 &&
	       (code == CURLE_GOT_NOTHING || code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR);
}

static enum asbb_rc _rc_of(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return ASBB_OK;
	case CURLE_OPERATION_TIMEDOUT:
		return ASBB_TIMEOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
		return ASBB_UNREACHABLE;
	case CURLE_OUT_OF_MEMORY:
		return ASBB_NOMEM;
	default:
		return ASBB_BAD_RESPONSE;
	}
}

/* OpenSSL writes without MSG_NOSIGNAL, and a plugin may neither die of SIGPIPE nor change its host's handlers. */
static bool _block_sigpipe(sigset_t *former)
{
	sigset_t pipe, pending;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigpending(&pending);
	pthread_sigmask(SIG_BLOCK, &pipe, former);
	return sigismember(&pending, SIGPIPE) == 1;
}

static void _restore_sigpipe(const sigset_t *former, bool was_pending)
{
	const struct timespec at_once = { 0 };
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	while (!was_pending && sigtimedwait(&pipe, NULL, &at_once) == -1 && errno == EINTR)
		;
	pthread_sigmask(SIG_SETMASK, former, NULL);
}

enum asbb_rc asbb_http_call(struct asbb_http *http, struct asbb_connection *connection, const struct asbb_http_request *request,
			    int64_t deadline_ms, struct asbb_http_answer *answer)
{
	enum asbb_rc rc = ASBB_ERROR;
	CURL *curl = connection->curl;
	/* "Expect:" keeps curl from waiting a second for "100 Continue"; it is not sent. */
	struct curl_slist nodes[ASBB_HTTP_HEADERS_MAX + 1] = { { .data = "Expect:" } };
	CURLcode code;
	sigset_t former;
	bool was_pending;
	long status = 0;

	memset(answer, 0, sizeof(*answer));
	answer->body = connection->answer;
	connection->answer[0] = '\0';
	if (request->header_count > ASBB_HTTP_HEADERS_MAX)
		return ASBB_INVALID;
	for (size_t i = 0; i < request->header_count; i++) {
		nodes[i].next = &nodes[i + 1];
		nodes[i + 1].data = (char *)request->headers[i];
	}
	rc = _pin(http, connection);
	if (rc != ASBB_OK)
		return rc;
	rc = ASBB_NOMEM;
	if (!_set_request(connection, request) || !SET(CURLOPT_HTTPHEADER, nodes) || !SET(CURLOPT_FRESH_CONNECT, 0L))
		goto done;
	was_pending = _block_sigpipe(&former);
	code = _perform(http, connection, deadline_ms);
	curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &answer->connects);
	if (_was_dead(connection, code, answer->connects) && SET(CURLOPT_FRESH_CONNECT, 1L)) {
		code = _perform(http, connection, deadline_ms);
		curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &answer->connects);
	}
	_restore_sigpipe(&former, was_pending);
	rc = _rc_of(code);
	connection->answer[rc == ASBB_OK ? connection->len : 0] = '\0';
	if (rc != ASBB_OK)
		goto done;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	answer->status = (int)status;
	answer->len = connection->len;
done:
	/* The list is on our stack. */
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
	return rc;
}
