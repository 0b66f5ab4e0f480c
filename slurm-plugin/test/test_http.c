// SPDX-License-Identifier: GPL-2.0-or-later
#include "fixture.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "http.h"

static struct fixture_server server;
static char error[ASBB_ERROR_MAX];

static int _begin(void **state)
{
	(void)state;
	fixture_server_start(&server);
	return 0;
}

static int _end(void **state)
{
	(void)state;
	fixture_server_stop(&server);
	return 0;
}

static struct asbb_http *_pool(int connections)
{
	const struct asbb_http_options options = { .connections = connections, .connect_timeout_ms = 500 };
	struct asbb_http *http = asbb_http_create(&options, error);

	assert_non_null(http);
	return http;
}

static enum asbb_rc _get_on(struct asbb_http *http, struct asbb_connection *connection, const char *path, int ms,
			    struct asbb_http_answer *answer)
{
	char url[128];
	const struct asbb_http_request request = { .method = "GET", .url = url };

	assert_true(snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", server.port, path) > 0);
	return asbb_http_call(http, connection, &request, asbb_monotonic_ms() + ms, answer);
}

static enum asbb_rc _get(struct asbb_http *http, const char *path, int ms, struct asbb_http_answer *answer)
{
	struct asbb_connection *connection = asbb_http_take(http, asbb_monotonic_ms() + 10000);
	enum asbb_rc rc;

	assert_non_null(connection);
	rc = _get_on(http, connection, path, ms, answer);
	asbb_http_give(http, connection);
	return rc;
}

static void what_servers_do(void **state)
{
	static const struct {
		const char *path;
		enum asbb_rc rc;
		int status;
		size_t len;
	} cases[] = {
		{ "/ok", ASBB_OK, 200, 2 },
		{ "/fits", ASBB_OK, 200, ASBB_BODY_MAX },
		{ "/big", ASBB_BAD_RESPONSE, 0, 0 },
		{ "/half", ASBB_BAD_RESPONSE, 0, 0 },
		{ "/nohttp", ASBB_BAD_RESPONSE, 0, 0 },
		{ "/headers", ASBB_BAD_RESPONSE, 0, 0 },
		{ "/redirect", ASBB_OK, 302, 5 },
		{ "/status/500", ASBB_OK, 500, 2 },
		{ "/status/429", ASBB_OK, 429, 2 },
		{ "/hangup", ASBB_UNREACHABLE, 0, 0 },
		{ "/ok", ASBB_OK, 200, 2 },
	};
	struct asbb_http *http = _pool(1);
	struct asbb_http_answer answer;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		enum asbb_rc rc = _get(http, cases[i].path, 5000, &answer);

		if (rc != cases[i].rc || answer.status != cases[i].status || answer.len != cases[i].len)
			fail_msg("%s: %s, %d, %zu bytes", cases[i].path, asbb_rc_name(rc), answer.status, answer.len);
		assert_int_equal(answer.body[answer.len], '\0');
	}
	asbb_http_destroy(http);
}

static void the_deadline_holds(void **state)
{
	static const char *const paths[] = { "/slow", "/drip" };
	struct asbb_http *http = _pool(1);
	struct asbb_http_answer answer;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		int64_t began_ms = asbb_monotonic_ms();

		assert_int_equal(_get(http, paths[i], 300, &answer), ASBB_TIMEOUT);
		assert_in_range(asbb_monotonic_ms() - began_ms, 290, 1000);
	}
	assert_int_equal(_get(http, "/ok", 0, &answer), ASBB_TIMEOUT);
	assert_int_equal(_get(http, "/ok", -5, &answer), ASBB_TIMEOUT);
	assert_int_equal(_get(http, "/ok", 5000, &answer), ASBB_OK);
	asbb_http_destroy(http);
}

static void waiting_for_a_connection_has_a_deadline_too(void **state)
{
	struct asbb_http *http = _pool(1);
	struct asbb_connection *connection = asbb_http_take(http, asbb_monotonic_ms() + 100);
	int64_t began_ms = asbb_monotonic_ms();

	(void)state;
	assert_non_null(connection);
	assert_null(asbb_http_take(http, began_ms + 150));
	assert_in_range(asbb_monotonic_ms() - began_ms, 149, 1000);
	asbb_http_give(http, connection);
	assert_ptr_equal(asbb_http_take(http, began_ms), connection);
	asbb_http_give(http, connection);
	asbb_http_destroy(http);
}

static void connections_are_kept_and_the_last_is_used_first(void **state)
{
	struct asbb_http *http = _pool(4);
	struct asbb_http_answer answer;

	(void)state;
	assert_int_equal(_get(http, "/ok", 5000, &answer), ASBB_OK);
	assert_int_equal(answer.connects, 1);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(_get(http, "/ok", 5000, &answer), ASBB_OK);
		assert_int_equal(answer.connects, 0);
	}
	asbb_http_destroy(http);
}

static void a_dead_kept_connection_is_replaced_once(void **state)
{
	struct asbb_http *http = _pool(1);
	struct asbb_http_answer answer;

	(void)state;
	/* "/close" hangs up behind its answer; "/once" when it is used again, which no client can foresee. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(_get(http, "/close", 5000, &answer), ASBB_OK);
		assert_int_equal(_get(http, "/once", 5000, &answer), ASBB_OK);
		assert_int_equal(_get(http, "/once", 5000, &answer), ASBB_OK);
		assert_int_equal(answer.connects, 1);
	}
	/* A new connection that dies is not tried again. */
	assert_int_equal(_get(http, "/hangup", 5000, &answer), ASBB_UNREACHABLE);
	asbb_http_destroy(http);
}

static void bodies_and_headers_arrive_as_they_are(void **state)
{
	static const char *const headers[] = { "content-type: application/json", "x-one: two" };
	struct asbb_http *http = _pool(1);
	struct asbb_connection *connection = asbb_http_take(http, asbb_monotonic_ms() + 100);
	char *body = asbb_connection_buffer(connection);
	char url[128];
	struct asbb_http_request request = {
		.method = "POST", .url = url, .headers = headers, .header_count = 2, .body = body, .body_len = 60000,
	};
	struct asbb_http_answer answer;

	(void)state;
	memset(body, 'b', 60000);
	assert_true(snprintf(url, sizeof(url), "http://127.0.0.1:%d/echo", server.port) > 0);
	assert_int_equal(asbb_http_call(http, connection, &request, asbb_monotonic_ms() + 5000, &answer), ASBB_OK);
	assert_non_null(strstr(answer.body, "\"method\": \"POST\""));
	assert_non_null(strstr(answer.body, "\"x-one\": \"two\""));
	assert_non_null(strstr(answer.body, "\"content-length\": \"60000\""));
	assert_null(strstr(answer.body, "expect"));
	request.method = "PUT";
	request.body_len = 0;
	assert_int_equal(asbb_http_call(http, connection, &request, asbb_monotonic_ms() + 5000, &answer), ASBB_OK);
	assert_non_null(strstr(answer.body, "\"method\": \"PUT\""));
	request.method = "GET";
	assert_int_equal(asbb_http_call(http, connection, &request, asbb_monotonic_ms() + 5000, &answer), ASBB_OK);
	assert_non_null(strstr(answer.body, "\"method\": \"GET\""));
	request.header_count = ASBB_HTTP_HEADERS_MAX + 1;
	assert_int_equal(asbb_http_call(http, connection, &request, asbb_monotonic_ms() + 5000, &answer), ASBB_INVALID);
	asbb_http_give(http, connection);
	asbb_http_destroy(http);
}

static void nobody_there(void **state)
{
	static const char *const urls[] = { "http://127.0.0.1:1/", "https://127.0.0.1:1/", "ftp://127.0.0.1/", "file:///etc/passwd" };
	static const enum asbb_rc rcs[] = { ASBB_UNREACHABLE, ASBB_UNREACHABLE, ASBB_BAD_RESPONSE, ASBB_BAD_RESPONSE };
	struct asbb_http *http = _pool(1);
	struct asbb_connection *connection = asbb_http_take(http, asbb_monotonic_ms() + 100);
	struct asbb_http_answer answer;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(urls); i++) {
		const struct asbb_http_request request = { .method = "GET", .url = urls[i] };

		assert_int_equal(asbb_http_call(http, connection, &request, asbb_monotonic_ms() + 2000, &answer), rcs[i]);
	}
	asbb_http_give(http, connection);
	asbb_http_destroy(http);
}

/* A name is looked up only when told to, and never within a call. */
static void names_are_looked_up_beforehand(void **state)
{
	char host[64], url[128];
	const struct asbb_http_options options = { .connections = 1, .connect_timeout_ms = 500, .pinned_host = host };
	const struct asbb_http_request request = { .method = "GET", .url = url };
	struct asbb_http_answer answer;
	struct asbb_connection *connection;
	struct asbb_http *http;

	(void)state;
	assert_true(snprintf(host, sizeof(host), "localhost:%d", server.port) > 0);
	assert_true(snprintf(url, sizeof(url), "http://%s/ok", host) > 0);
	http = asbb_http_create(&options, error);
	assert_non_null(http);
	connection = asbb_http_take(http, asbb_monotonic_ms() + 100);
	assert_int_equal(asbb_http_call(http, connection, &request, asbb_monotonic_ms() + 5000, &answer), ASBB_UNREACHABLE);
	assert_int_equal(asbb_http_resolve(http), ASBB_OK);
	assert_int_equal(asbb_http_call(http, connection, &request, asbb_monotonic_ms() + 5000, &answer), ASBB_OK);
	assert_int_equal(asbb_http_resolve(http), ASBB_OK);
	assert_int_equal(asbb_http_call(http, connection, &request, asbb_monotonic_ms() + 5000, &answer), ASBB_OK);
	assert_int_equal(answer.connects, 0);
	asbb_http_give(http, connection);
	asbb_http_destroy(http);

	memcpy(host, "nowhere.invalid", 16);
	http = asbb_http_create(&options, error);
	assert_int_equal(asbb_http_resolve(http), ASBB_UNREACHABLE);
	asbb_http_destroy(http);
	memcpy(host, "[::1]:80", 9);
	http = asbb_http_create(&options, error);
	assert_int_equal(asbb_http_resolve(http), ASBB_OK);
	asbb_http_destroy(http);
}

/*
 * Bits of the descriptors that are TCP sockets and stay open across exec. libcurl's own wake-up pair, which it makes without
 * asking us, leads nowhere and does not count.
 */
static uint64_t _leaky_sockets(int *sockets)
{
	uint64_t leaky = 0;

	*sockets = 0;
	for (int fd = 0; fd < 64; fd++) {
		int domain = 0;
		socklen_t size = sizeof(domain);

		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain == AF_UNIX)
			continue;
		(*sockets)++;
		if (!(fcntl(fd, F_GETFD) & FD_CLOEXEC))
			leaky |= (uint64_t)1 << fd;
	}
	return leaky;
}

static void sockets_close_on_exec(void **state)
{
	struct asbb_http *http = _pool(1);
	struct asbb_http_answer answer;
	int before, after;
	uint64_t inherited = _leaky_sockets(&before);

	(void)state;
	assert_int_equal(_get(http, "/ok", 5000, &answer), ASBB_OK);
	assert_true(_leaky_sockets(&after) == inherited);
	assert_int_equal(after, before + 1);
	asbb_http_destroy(http);
}

static enum asbb_rc _get_tls(const struct asbb_http_options *options, const char *name, int port, long connects)
{
	struct asbb_http *http = asbb_http_create(options, error);
	struct asbb_connection *connection;
	struct asbb_http_answer answer;
	char url[128];
	const struct asbb_http_request request = { .method = "GET", .url = url };
	enum asbb_rc rc = ASBB_ERROR;

	assert_non_null(http);
	assert_int_equal(asbb_http_resolve(http), ASBB_OK);
	assert_true(snprintf(url, sizeof(url), "https://%s:%d/ok", name, port) > 0);
	connection = asbb_http_take(http, asbb_monotonic_ms() + 100);
	for (int i = 0; i < 3; i++) {
		rc = asbb_http_call(http, connection, &request, asbb_monotonic_ms() + 10000, &answer);
		if (i > 0 && rc == ASBB_OK)
			assert_int_equal(answer.connects, connects);
	}
	asbb_http_give(http, connection);
	asbb_http_destroy(http);
	return rc;
}

static void tls_is_verified_and_shaken_hands_for_once(void **state)
{
	struct fixture_server secure;
	char folder[256], certificate[300], host[64];
	struct asbb_http_options options = { .connections = 1, .connect_timeout_ms = 5000, .ca_file = certificate, .pinned_host = host,
					     .is_https = true };

	(void)state;
	fixture_folder_make(folder);
	assert_true(snprintf(certificate, sizeof(certificate), "%s/cert.pem", folder) > 0);
	fixture_certificate_make(certificate);
	fixture_server_start_tls(&secure, certificate);
	assert_true(snprintf(host, sizeof(host), "localhost:%d", secure.tls_port) > 0);
	assert_int_equal(_get_tls(&options, "localhost", secure.tls_port, 0), ASBB_OK);
	/* Nobody whom the system knows has signed it. */
	options.ca_file = NULL;
	assert_int_equal(_get_tls(&options, "localhost", secure.tls_port, 0), ASBB_UNREACHABLE);
	/* It is another's certificate. */
	options.ca_file = certificate;
	options.pinned_host = NULL;
	assert_int_equal(_get_tls(&options, "127.0.0.1", secure.tls_port, 0), ASBB_UNREACHABLE);
	fixture_server_stop(&secure);
	fixture_folder_remove(folder);
}

#define MANY 1000

static json_int_t _handshakes(const struct fixture_server *secure)
{
	char body[8192];
	json_t *root;
	json_int_t count;

	fixture_server_get(secure, "/state", body, sizeof(body));
	root = json_loads(body, 0, NULL);
	assert_non_null(root);
	count = json_integer_value(json_object_get(root, "handshakes"));
	json_decref(root);
	return count;
}

/* As submissions that come one after the other, each with a connection out of the pool. */
static void a_thousand_calls_are_one_handshake(void **state)
{
	struct fixture_server secure;
	char folder[256], certificate[300], url[128];
	const struct asbb_http_options options = { .connections = 4, .connect_timeout_ms = 5000, .ca_file = certificate };
	const struct asbb_http_request request = { .method = "GET", .url = url };
	struct asbb_http_answer answer;
	struct asbb_http *http;
	long connects = 0;

	(void)state;
	fixture_folder_make(folder);
	assert_true(snprintf(certificate, sizeof(certificate), "%s/cert.pem", folder) > 0);
	fixture_certificate_make(certificate);
	fixture_server_start_tls(&secure, certificate);
	assert_true(snprintf(url, sizeof(url), "https://localhost:%d/ok", secure.tls_port) > 0);
	http = asbb_http_create(&options, error);
	assert_non_null(http);
	for (int i = 0; i < MANY; i++) {
		struct asbb_connection *connection = asbb_http_take(http, asbb_monotonic_ms() + 1000);

		assert_non_null(connection);
		assert_int_equal(asbb_http_call(http, connection, &request, asbb_monotonic_ms() + 10000, &answer), ASBB_OK);
		connects += answer.connects;
		asbb_http_give(http, connection);
	}
	assert_int_equal(connects, 1);
	assert_int_equal(_handshakes(&secure), 1);
	asbb_http_destroy(http);
	fixture_server_stop(&secure);
	fixture_folder_remove(folder);
}

static void a_ca_file_that_is_not_there_is_said(void **state)
{
	const struct asbb_http_options options = { .connections = 1, .connect_timeout_ms = 500, .ca_file = "/nowhere/ca.pem" };

	(void)state;
	assert_null(asbb_http_create(&options, error));
	assert_string_equal(error, "CaFile cannot be read: check its path and mode");
}

static void *_hold_a_while(void *arg)
{
	struct asbb_http_answer answer;

	for (int i = 0; i < 20; i++)
		assert_int_equal(_get(arg, "/ok", 5000, &answer), ASBB_OK);
	return NULL;
}

static void threads_share_a_pool(void **state)
{
	struct asbb_http *http = _pool(2);
	pthread_t threads[8];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, _hold_a_while, http), 0);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		pthread_join(threads[i], NULL);
	asbb_http_destroy(http);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_servers_do),
		cmocka_unit_test(the_deadline_holds),
		cmocka_unit_test(waiting_for_a_connection_has_a_deadline_too),
		cmocka_unit_test(connections_are_kept_and_the_last_is_used_first),
		cmocka_unit_test(a_dead_kept_connection_is_replaced_once),
		cmocka_unit_test(bodies_and_headers_arrive_as_they_are),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(names_are_looked_up_beforehand),
		cmocka_unit_test(sockets_close_on_exec),
		cmocka_unit_test(tls_is_verified_and_shaken_hands_for_once),
		cmocka_unit_test(a_thousand_calls_are_one_handshake),
		cmocka_unit_test(a_ca_file_that_is_not_there_is_said),
		cmocka_unit_test(threads_share_a_pool),
	};

	return cmocka_run_group_tests_name("http", tests, _begin, _end);
}
