// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "credentials.h"
#include "http.h"

#define PROFILE_MAX	128
#define URL_MAX		1024
#define HEADER_MAX	(ASBB_SESSION_TOKEN_MAX + 64)
#define IMDS		"http://169.254.169.254"
#define IMDS_ROLE_PATH	"/latest/meta-data/iam/security-credentials/"
#define IMDS_TTL	"x-aws-ec2-metadata-token-ttl-seconds: 21600"
#define CONTAINER	"http://169.254.170.2"
#define NEVER		INT64_MAX

/* A file as it was when it was read: any difference means that it may be another. */
struct file_mark {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct asbb_credentials_store {
	enum asbb_credentials_source source;
	char file[ASBB_PATH_MAX + 1];
	char profile[PROFILE_MAX + 1];
	char url[URL_MAX + 1];			/* of IMDS, or of the container's endpoint */
	char token[ASBB_SESSION_TOKEN_MAX + 1];	/* the container's, if it is in the environment */
	char token_file[ASBB_PATH_MAX + 1];
	struct asbb_http *http;
	struct file_mark mark;
	int64_t due_s;				/* of the background thread */
	int64_t tried_s;
	atomic_bool distrusted;
	pthread_mutex_t lock;			/* for what is below */
	bool known;
	struct asbb_credentials current;
};

static enum asbb_rc _cannot(char error[ASBB_ERROR_MAX], const char *format, const char *name)
{
	if (snprintf(error, ASBB_ERROR_MAX, format, name) < 0)
		error[0] = '\0';
	return ASBB_NO_CREDENTIALS;
}

/* Goes into a header: printable ASCII without blanks, so that nothing can be smuggled in. */
static bool _take(const char *value, size_t len, char *out, size_t size)
{
	if (len >= size)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (value[i] <= ' ' || value[i] > '~')
			return false;
	}
	memmove(out, value, len);
	out[len] = '\0';
	return true;
}

static bool _take_text(const char *value, char *out, size_t size)
{
	return _take(value, strlen(value), out, size);
}

/* A container's token is a whole value of a header, "Bearer ..." perhaps: blanks are fine in it, line ends are not. */
static bool _take_line(const char *value, char *out, size_t size)
{
	size_t len = strlen(value);

	if (len >= size)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < ' ' || value[i] > '~')
			return false;
	}
	memmove(out, value, len + 1);
	return true;
}

static void _publish(struct asbb_credentials_store *store, const struct asbb_credentials *credentials)
{
	pthread_mutex_lock(&store->lock);
	store->current = *credentials;
	store->known = true;
	pthread_mutex_unlock(&store->lock);
}

static enum asbb_rc _read_environment(struct asbb_credentials_store *store, asbb_getenv_fn *env, char error[ASBB_ERROR_MAX])
{
	enum asbb_rc rc = ASBB_NO_CREDENTIALS;
	struct asbb_credentials found = { 0 };
	const char *access_key = env("AWS_ACCESS_KEY_ID");
	const char *secret_key = env("AWS_SECRET_ACCESS_KEY");
	const char *token = env("AWS_SESSION_TOKEN");

	if (!access_key || !access_key[0] || !secret_key || !secret_key[0])
		_cannot(error, "the environment lacks %s: slurmctld needs both", "AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY");
	else if (!_take_text(access_key, found.access_key, sizeof(found.access_key)) ||
		 !_take_text(secret_key, found.secret_key, sizeof(found.secret_key)) ||
		 (token && !_take_text(token, found.session_token, sizeof(found.session_token))))
		_cannot(error, "the environment's %s cannot be a key: check for blanks", "AWS_ACCESS_KEY_ID, _SECRET_ACCESS_KEY or _SESSION_TOKEN");
	else
		rc = ASBB_OK;
	if (rc == ASBB_OK)
		_publish(store, &found);
	OPENSSL_cleanse(&found, sizeof(found));
	return rc;
}

static void _trim(const char **from, const char **to)
{
	while (*from < *to && (**from == ' ' || **from == '\t'))
		(*from)++;
	while (*to > *from && ((*to)[-1] == ' ' || (*to)[-1] == '\t' || (*to)[-1] == '\r'))
		(*to)--;
}

static bool _is(const char *from, const char *to, const char *word)
{
	return (size_t)(to - from) == strlen(word) && strncasecmp(from, word, strlen(word)) == 0;
}

/* One "key = value" of the profile. Keys that we do not know are other programs'. */
static bool _read_pair(const char *from, const char *to, struct asbb_credentials *found)
{
	const char *equals = memchr(from, '=', (size_t)(to - from));
	const char *key_end = equals, *value = equals ? equals + 1 : NULL;

	if (!equals)
		return true;
	_trim(&from, &key_end);
	_trim(&value, &to);
	if (_is(from, key_end, "aws_access_key_id"))
		return _take(value, (size_t)(to - value), found->access_key, sizeof(found->access_key));
	if (_is(from, key_end, "aws_secret_access_key"))
		return _take(value, (size_t)(to - value), found->secret_key, sizeof(found->secret_key));
	if (_is(from, key_end, "aws_session_token"))
		return _take(value, (size_t)(to - value), found->session_token, sizeof(found->session_token));
	return true;
}

/* The shared file's form: [profile] sections of key = value; # and ; begin comment lines. */
static bool _read_profile(const char *text, size_t len, const char *profile, struct asbb_credentials *found)
{
	const char *end = text + len;
	bool ours = false;

	while (text < end) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));
		const char *from = text, *to = line_end ? line_end : end;

		text = line_end ? line_end + 1 : end;
		_trim(&from, &to);
		if (from == to || *from == '#' || *from == ';')
			continue;
		if (*from == '[' && to[-1] == ']') {
			from++;
			to--;
			_trim(&from, &to);
			ours = (size_t)(to - from) == strlen(profile) && memcmp(from, profile, strlen(profile)) == 0;
		} else if (ours && !_read_pair(from, to, found)) {
			return false;
		}
	}
	return found->access_key[0] && found->secret_key[0];
}

static bool _mark(const struct stat *st, struct file_mark *mark)
{
	struct file_mark now;
	bool is_same;

	memset(&now, 0, sizeof(now));
	now.device = st->st_dev;
	now.inode = st->st_ino;
	now.size = st->st_size;
	now.changed = st->st_ctim;	/* moves with every write, and with chmod */
	is_same = memcmp(&now, mark, sizeof(now)) == 0;
	*mark = now;
	return is_same;
}

static enum asbb_rc _read_file(struct asbb_credentials_store *store, char error[ASBB_ERROR_MAX])
{
	enum asbb_rc rc = ASBB_NO_CREDENTIALS;
	struct asbb_credentials found = { 0 };
	char text[ASBB_CREDENTIALS_FILE_MAX];
	struct stat st;
	size_t len = 0;
	ssize_t n = 0;
	int fd = open(store->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		_cannot(error, "credentials file %.300s cannot be read: check its path, and that slurmctld's user may read it", store->file);
		goto done;
	}
	_mark(&st, &store->mark);
	if (st.st_mode & 0007) {
		_cannot(error, "credentials file %.300s is open to everybody: chmod 600 it, and change the keys", store->file);
		goto done;
	}
	while (len < sizeof(text) && ((n = read(fd, text + len, sizeof(text) - len)) > 0 || (n < 0 && errno == EINTR)))
		len += n > 0 ? (size_t)n : 0;
	if (n < 0 || len == sizeof(text)) {
		_cannot(error, "credentials file %.300s cannot be read, or is longer than 64 KiB", store->file);
		goto done;
	}
	if (!_read_profile(text, len, store->profile, &found)) {
		if (snprintf(error, ASBB_ERROR_MAX,
			     "credentials file %.300s has no keys in its profile [%.60s]: add aws_access_key_id and aws_secret_access_key, or set AWS_PROFILE",
			     store->file, store->profile) < 0)
			error[0] = '\0';
		goto done;
	}
	_publish(store, &found);
	rc = ASBB_OK;
done:
	if (fd >= 0)
		close(fd);
	OPENSSL_cleanse(&found, sizeof(found));
	OPENSSL_cleanse(text, len);
	return rc;
}

/* Read anew only what changed. Replacing a file and rewriting it both show here. */
static enum asbb_rc _refresh_file(struct asbb_credentials_store *store, char error[ASBB_ERROR_MAX])
{
	struct file_mark mark = store->mark;
	struct stat st;

	if (stat(store->file, &st) == 0 && _mark(&st, &mark))
		return ASBB_OK;
	return _read_file(store, error);
}

static enum asbb_rc _fetch(struct asbb_credentials_store *store, const char *method, const char *url, const char *header,
			   char *out, size_t size, char error[ASBB_ERROR_MAX])
{
	enum asbb_rc rc = ASBB_NO_CREDENTIALS;
	const struct asbb_http_request request = {
		.method = method, .url = url, .headers = &header, .header_count = header ? 1 : 0,
	};
	int64_t deadline_ms = asbb_monotonic_ms() + ASBB_FETCH_MS;
	struct asbb_connection *connection = asbb_http_take(store->http, deadline_ms);
	struct asbb_http_answer answer;

	if (!connection)
		return _cannot(error, "%s is busy", url);
	if (asbb_http_call(store->http, connection, &request, deadline_ms, &answer) != ASBB_OK)
		_cannot(error, "no answer from %.300s", url);
	else if (answer.status != 200 || answer.len == 0 || answer.len >= size)
		_cannot(error, "no credentials at %.300s: has this instance or task a role?", url);
	else
		rc = ASBB_OK;
	if (rc == ASBB_OK)
		memcpy(out, answer.body, answer.len + 1);
	asbb_http_give(store->http, connection);
	return rc;
}

static int64_t _read_time(const char *text)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	return end && (*end == 'Z' || *end == '.' || *end == '\0') ? (int64_t)timegm(&tm) : NEVER;
}

/* {"AccessKeyId","SecretAccessKey","Token","Expiration"}: the answer of IMDS and of container endpoints. */
static enum asbb_rc _read_json(struct asbb_credentials_store *store, const char *body, int64_t now_s, char error[ASBB_ERROR_MAX])
{
	enum asbb_rc rc = ASBB_NO_CREDENTIALS;
	struct asbb_credentials found = { 0 };
	json_error_t ignored;
	json_t *root = json_loads(body, JSON_REJECT_DUPLICATES, &ignored);
	const char *access_key = json_string_value(json_object_get(root, "AccessKeyId"));
	const char *secret_key = json_string_value(json_object_get(root, "SecretAccessKey"));
	const char *token = json_string_value(json_object_get(root, "Token"));
	const char *expiration = json_string_value(json_object_get(root, "Expiration"));
	int64_t expires_s = expiration ? _read_time(expiration) : NEVER;

	if (access_key && access_key[0] && secret_key && secret_key[0] &&
	    _take_text(access_key, found.access_key, sizeof(found.access_key)) &&
	    _take_text(secret_key, found.secret_key, sizeof(found.secret_key)) &&
	    (!token || _take_text(token, found.session_token, sizeof(found.session_token)))) {
		rc = ASBB_OK;
		_publish(store, &found);
		/* What is about to end is asked for again soon, but not in a loop. */
		store->due_s = expires_s == NEVER ? NEVER : expires_s - ASBB_REFRESH_AHEAD_S;
		if (store->due_s < now_s + ASBB_REFRESH_RETRY_S)
			store->due_s = now_s + ASBB_REFRESH_RETRY_S;
	} else {
		_cannot(error, "the answer of %.300s has no credentials in it", store->url);
	}
	OPENSSL_cleanse(&found, sizeof(found));
	json_decref(root);
	return rc;
}

/* IMDSv2: a token first, then the role's name, then its keys. */
static enum asbb_rc _fetch_imds(struct asbb_credentials_store *store, int64_t now_s, char error[ASBB_ERROR_MAX])
{
	char url[URL_MAX + 256], token[512], header[640], role[256], body[ASBB_SESSION_TOKEN_MAX * 2];
	enum asbb_rc rc;
	int n = snprintf(url, sizeof(url), "%s/latest/api/token", store->url);

	if (n < 0 || (size_t)n >= sizeof(url))
		return ASBB_NO_CREDENTIALS;
	rc = _fetch(store, "PUT", url, IMDS_TTL, token, sizeof(token), error);
	if (rc != ASBB_OK)
		return rc;
	if (!_take_text(token, role, sizeof(role)))
		return _cannot(error, "%.300s gave no token", url);
	n = snprintf(header, sizeof(header), "x-aws-ec2-metadata-token: %s", token);
	if (n < 0 || (size_t)n >= sizeof(header))
		return ASBB_NO_CREDENTIALS;
	n = snprintf(url, sizeof(url), "%s" IMDS_ROLE_PATH, store->url);
	if (n < 0 || (size_t)n >= sizeof(url))
		return ASBB_NO_CREDENTIALS;
	rc = _fetch(store, "GET", url, header, role, sizeof(role), error);
	if (rc != ASBB_OK)
		return rc;
	role[strcspn(role, "\r\n")] = '\0';
	if (role[0] == '\0' || role[strspn(role, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-")] != '\0')
		return _cannot(error, "%.300s names no role", url);
	n = snprintf(url, sizeof(url), "%s" IMDS_ROLE_PATH "%s", store->url, role);
	if (n < 0 || (size_t)n >= sizeof(url))
		return ASBB_NO_CREDENTIALS;
	rc = _fetch(store, "GET", url, header, body, sizeof(body), error);
	if (rc == ASBB_OK)
		rc = _read_json(store, body, now_s, error);
	OPENSSL_cleanse(body, sizeof(body));
	return rc;
}

/* The token may be in a file that is replaced while we run (EKS). */
static bool _read_token(const struct asbb_credentials_store *store, char *token, size_t size)
{
	ssize_t n;
	int fd;

	if (!store->token_file[0]) {
		memcpy(token, store->token, sizeof(store->token));
		return true;
	}
	fd = open(store->token_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	n = read(fd, token, size - 1);
	close(fd);
	if (n <= 0)
		return false;
	token[n] = '\0';
	token[strcspn(token, "\r\n")] = '\0';
	return _take_line(token, token, size);
}

static enum asbb_rc _fetch_container(struct asbb_credentials_store *store, int64_t now_s, char error[ASBB_ERROR_MAX])
{
	char token[ASBB_SESSION_TOKEN_MAX + 1] = "", header[HEADER_MAX], body[ASBB_SESSION_TOKEN_MAX * 2];
	enum asbb_rc rc;
	int n;

	if (!_read_token(store, token, sizeof(token)))
		return _cannot(error, "%.300s (AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE) cannot be read", store->token_file);
	n = snprintf(header, sizeof(header), "Authorization: %s", token);
	if (n < 0 || (size_t)n >= sizeof(header))
		return ASBB_NO_CREDENTIALS;
	rc = _fetch(store, "GET", store->url, token[0] ? header : NULL, body, sizeof(body), error);
	if (rc == ASBB_OK)
		rc = _read_json(store, body, now_s, error);
	OPENSSL_cleanse(body, sizeof(body));
	return rc;
}

static bool _copy(const char *from, char *to, size_t size)
{
	int n = snprintf(to, size, "%s", from);

	return n >= 0 && (size_t)n < size;
}

/* A token must not leave the machine in the clear: https, or the addresses that AWS gives to container agents. */
static bool _is_container_url(const char *url)
{
	static const char *const allowed[] = {
		"http://127.", "http://localhost", "http://[::1]", "http://169.254.170.2", "http://169.254.170.23",
		"http://[fd00:ec2::23]",
	};

	if (strncmp(url, "https://", 8) == 0)
		return true;
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		size_t len = strlen(allowed[i]);

		if (strncmp(url, allowed[i], len) != 0)
			continue;
		/* "127." is followed by the rest of an address; a name could go on after it. */
		if (i == 0)
			len += strspn(url + len, "0123456789.");
		if (url[len] == '\0' || url[len] == ':' || url[len] == '/')
			return true;
	}
	return false;
}

static enum asbb_rc _use_container(struct asbb_credentials_store *store, asbb_getenv_fn *env, char error[ASBB_ERROR_MAX])
{
	const char *relative = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	const char *token = env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	const char *token_file = env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	bool is_relative = relative && relative[0] == '/';
	int n;

	store->source = ASBB_CREDENTIALS_ECS;
	if (!is_relative && (!full || !full[0]))
		return _cannot(error, "the environment lacks %s: is slurmctld in a container?", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI");
	n = snprintf(store->url, sizeof(store->url), "%s%s", is_relative ? CONTAINER : "", is_relative ? relative : full);
	if (n < 0 || (size_t)n >= sizeof(store->url))
		return _cannot(error, "the environment's %s is too long", "AWS_CONTAINER_CREDENTIALS URI");
	if (!_is_container_url(store->url))
		return _cannot(error, "AWS_CONTAINER_CREDENTIALS_FULL_URI=%.200s is neither https nor local", store->url);
	if (token_file && token_file[0] && !_copy(token_file, store->token_file, sizeof(store->token_file)))
		return _cannot(error, "the environment's %s is too long", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	if (token && !_take_line(token, store->token, sizeof(store->token)))
		return _cannot(error, "the environment's %s cannot be a token", "AWS_CONTAINER_AUTHORIZATION_TOKEN");
	return ASBB_OK;
}

static enum asbb_rc _use_imds(struct asbb_credentials_store *store, asbb_getenv_fn *env, char error[ASBB_ERROR_MAX])
{
	const char *endpoint = env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *disabled = env("AWS_EC2_METADATA_DISABLED");
	size_t len;

	store->source = ASBB_CREDENTIALS_IMDS;
	if (disabled && strcasecmp(disabled, "true") == 0)
		return _cannot(error, "there are no credentials, and %s: set Credentials= in asbb.conf", "AWS_EC2_METADATA_DISABLED is true");
	if (!_copy(endpoint && endpoint[0] ? endpoint : IMDS, store->url, sizeof(store->url)))
		return _cannot(error, "the environment's %s is too long", "AWS_EC2_METADATA_SERVICE_ENDPOINT");
	for (len = strlen(store->url); len > 0 && store->url[len - 1] == '/'; len--)
		store->url[len - 1] = '\0';
	return ASBB_OK;
}

static bool _find_file(struct asbb_credentials_store *store, const struct asbb_conf *conf, asbb_getenv_fn *env)
{
	const char *named = env("AWS_SHARED_CREDENTIALS_FILE");
	const char *home = env("HOME");
	int n;

	if (conf->credentials_file[0])
		return _copy(conf->credentials_file, store->file, sizeof(store->file));
	if (named && named[0])
		return _copy(named, store->file, sizeof(store->file));
	if (!home || home[0] != '/')
		return false;
	n = snprintf(store->file, sizeof(store->file), "%s/.aws/credentials", home);
	return n > 0 && (size_t)n < sizeof(store->file) && access(store->file, F_OK) == 0;
}

static bool _has(asbb_getenv_fn *env, const char *name)
{
	const char *value = env(name);

	return value && value[0];
}

static enum asbb_rc _choose(struct asbb_credentials_store *store, const struct asbb_conf *conf, asbb_getenv_fn *env,
			    char error[ASBB_ERROR_MAX])
{
	enum asbb_credentials_source source = conf->credentials;
	bool is_auto = source == ASBB_CREDENTIALS_AUTO;

	if (is_auto && (_has(env, "AWS_ACCESS_KEY_ID") || _has(env, "AWS_SECRET_ACCESS_KEY")))
		source = ASBB_CREDENTIALS_ENV;
	else if (is_auto && _find_file(store, conf, env))
		source = ASBB_CREDENTIALS_FILE;
	else if (is_auto && (_has(env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") || _has(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI")))
		source = ASBB_CREDENTIALS_ECS;
	else if (is_auto)
		source = ASBB_CREDENTIALS_IMDS;
	store->source = source;

	if (source == ASBB_CREDENTIALS_ENV) {
		store->due_s = NEVER;
		return _read_environment(store, env, error);
	}
	if (source == ASBB_CREDENTIALS_FILE) {
		const char *profile = env("AWS_PROFILE");

		if (!_copy(profile && profile[0] ? profile : "default", store->profile, sizeof(store->profile)) ||
		    !_find_file(store, conf, env))
			return _cannot(error, "%s is too long", "AWS_PROFILE or the credentials file's path");
		return _read_file(store, error);
	}
	return source == ASBB_CREDENTIALS_ECS ? _use_container(store, env, error) : _use_imds(store, env, error);
}

struct asbb_credentials_store *asbb_credentials_create(const struct asbb_conf *conf, asbb_getenv_fn *env,
						       char error[ASBB_ERROR_MAX])
{
	const struct asbb_http_options options = { .connections = 1, .connect_timeout_ms = ASBB_FETCH_MS };
	struct asbb_credentials_store *store = calloc(1, sizeof(*store));

	error[0] = '\0';
	if (!store) {
		_cannot(error, "there is no memory for %s", "credentials");
		return NULL;
	}
	pthread_mutex_init(&store->lock, NULL);
	atomic_init(&store->distrusted, false);
	if (_choose(store, conf, env, error) != ASBB_OK)
		goto fail;
	if (store->source == ASBB_CREDENTIALS_ECS || store->source == ASBB_CREDENTIALS_IMDS) {
		store->http = asbb_http_create(&options, error);
		if (!store->http)
			goto fail;
	}
	return store;
fail:
	asbb_credentials_destroy(store);
	return NULL;
}

void asbb_credentials_destroy(struct asbb_credentials_store *store)
{
	if (!store)
		return;
	asbb_http_destroy(store->http);
	pthread_mutex_destroy(&store->lock);
	OPENSSL_cleanse(store, sizeof(*store));
	free(store);
}

enum asbb_rc asbb_credentials_refresh(struct asbb_credentials_store *store, int64_t now_s, char error[ASBB_ERROR_MAX])
{
	bool retry_ok = now_s >= store->tried_s + ASBB_REFRESH_RETRY_S;
	enum asbb_rc rc;

	error[0] = '\0';
	if (store->source == ASBB_CREDENTIALS_ENV)
		return ASBB_OK;
	if (store->source == ASBB_CREDENTIALS_FILE)
		return _refresh_file(store, error);
	if (now_s < store->due_s && !(retry_ok && atomic_load(&store->distrusted)))
		return ASBB_OK;
	atomic_store(&store->distrusted, false);
	store->tried_s = now_s;
	store->due_s = now_s + ASBB_REFRESH_RETRY_S;
	rc = store->source == ASBB_CREDENTIALS_ECS ? _fetch_container(store, now_s, error) : _fetch_imds(store, now_s, error);
	return rc;
}

enum asbb_rc asbb_credentials_get(struct asbb_credentials_store *store, struct asbb_credentials *credentials)
{
	enum asbb_rc rc = ASBB_NO_CREDENTIALS;

	pthread_mutex_lock(&store->lock);
	if (store->known) {
		*credentials = store->current;
		rc = ASBB_OK;
	}
	pthread_mutex_unlock(&store->lock);
	return rc;
}

void asbb_credentials_distrust(struct asbb_credentials_store *store)
{
	atomic_store(&store->distrusted, true);
}
