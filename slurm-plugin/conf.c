// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"

#define KEY_MAX 32
#define API_PATH "/api/v1"

/* Where the parser stands, for its sentences and for what one line knows of itself. */
struct reader {
	const char *name;
	int line;
	struct asbb_conf *conf;
	char *error;
	struct asbb_conf_partition *partition;	/* of this line, for a FailMode= that follows */
	bool has_fail_mode;
	int *seen;				/* the line on which each key was first given, or 0 */
	int open_line;				/* of the first FailMode=open, or 0 */
};

struct key {
	const char *name;
	enum asbb_rc (*take)(struct reader *reader, const struct key *key, const char *value);
	size_t offset;
	size_t size;		/* of a string with its end */
	long min, max;		/* of a number, with what it counts */
	const char *unit;
	const char *words[6];	/* of a choice, in the order of its enum */
	bool repeats;
};

__attribute__((format(printf, 2, 3))) static enum asbb_rc _wrong(struct reader *reader, const char *format, ...)
{
	va_list args;
	int n;

	n = snprintf(reader->error, ASBB_ERROR_MAX, "%.*s:%d: ", 200, reader->name, reader->line);
	if (n < 0 || n >= ASBB_ERROR_MAX)
		n = 0;
	va_start(args, format);
	if (vsnprintf(reader->error + n, (size_t)(ASBB_ERROR_MAX - n), format, args) < 0)
		reader->error[n] = '\0';
	va_end(args);
	return ASBB_INVALID;
}

static bool _is_unreserved(unsigned char c)
{
	return (c < 0x80 && isalnum(c)) || c == '.' || c == '_' || c == '~' || c == '-';
}

static bool _is_name(const char *text)
{
	size_t i;

	for (i = 0; text[i]; i++) {
		if (!_is_unreserved((unsigned char)text[i]))
			return false;
	}
	return i >= 1 && i <= ASBB_NAME_MAX;
}

/* Decimal digits only: no sign, no blanks, no octal, and nothing that overflows. */
static bool _read_number(const char *text, long *number)
{
	long n = 0;
	size_t i;

	for (i = 0; text[i]; i++) {
		if (text[i] < '0' || text[i] > '9' || i >= 9)
			return false;
		n = n * 10 + (text[i] - '0');
	}
	*number = n;
	return i > 0;
}

static enum asbb_rc _take_number(struct reader *reader, const struct key *key, const char *value)
{
	long number;

	if (!_read_number(value, &number) || number < key->min || number > key->max)
		return _wrong(reader, "%s=%.40s is not a whole number from %ld to %ld (%s)", key->name, value, key->min,
			      key->max, key->unit);
	*(int *)((char *)reader->conf + key->offset) = (int)number;
	return ASBB_OK;
}

/* Every choice is stored as an int-sized enum, in the order of its words. */
static enum asbb_rc _take_choice(struct reader *reader, const struct key *key, const char *value)
{
	for (size_t i = 0; key->words[i]; i++) {
		if (strcasecmp(value, key->words[i]) == 0) {
			memcpy((char *)reader->conf + key->offset, &(unsigned int){ (unsigned int)i }, sizeof(unsigned int));
			return ASBB_OK;
		}
	}
	return _wrong(reader, "%s=%.40s is neither \"%s\" nor \"%s\"", key->name, value, key->words[0], key->words[1]);
}

static enum asbb_rc _take_yes_no(struct reader *reader, const struct key *key, const char *value)
{
	bool *flag = (bool *)((char *)reader->conf + key->offset);

	if (strcasecmp(value, "yes") != 0 && strcasecmp(value, "no") != 0)
		return _wrong(reader, "%s=%.40s is neither \"yes\" nor \"no\"", key->name, value);
	*flag = strcasecmp(value, "yes") == 0;
	return ASBB_OK;
}

static enum asbb_rc _copy(struct reader *reader, const struct key *key, const char *value, char *to, size_t size)
{
	size_t len = strlen(value);

	if (len == 0)
		return _wrong(reader, "%s= has no value: give one, or remove it", key->name);
	if (len >= size)
		return _wrong(reader, "%s= is longer than %zu bytes", key->name, size - 1);
	memcpy(to, value, len + 1);
	return ASBB_OK;
}

static enum asbb_rc _take_text(struct reader *reader, const struct key *key, const char *value)
{
	return _copy(reader, key, value, (char *)reader->conf + key->offset, key->size);
}

static enum asbb_rc _take_name(struct reader *reader, const struct key *key, const char *value)
{
	if (!_is_name(value))
		return _wrong(reader, "%s=%.80s must be 1 to %d letters, digits and . _ ~ -", key->name, value,
			      ASBB_NAME_MAX);
	return _take_text(reader, key, value);
}

static enum asbb_rc _take_path(struct reader *reader, const struct key *key, const char *value)
{
	if (value[0] != '/')
		return _wrong(reader, "%s=%.80s must be an absolute path", key->name, value);
	return _take_text(reader, key, value);
}

static enum asbb_rc _take_credentials(struct reader *reader, const struct key *key, const char *value)
{
	static const char *const words[] = { "auto", "env", "file", "imds", "ecs" };
	struct asbb_conf *conf = reader->conf;

	if (strncasecmp(value, "file:", 5) == 0) {
		if (value[5] != '/')
			return _wrong(reader, "%s=%.80s must name an absolute path: file:/path", key->name, value);
		conf->credentials = ASBB_CREDENTIALS_FILE;
		return _copy(reader, key, value + 5, conf->credentials_file, sizeof(conf->credentials_file));
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (i != ASBB_CREDENTIALS_FILE && strcasecmp(value, words[i]) == 0) {
			conf->credentials = (enum asbb_credentials_source)i;
			return ASBB_OK;
		}
	}
	return _wrong(reader, "%s=%.80s is none of auto, env, file:/path, imds, ecs", key->name, value);
}

static enum asbb_rc _take_partition(struct reader *reader, const struct key *key, const char *value)
{
	struct asbb_conf *conf = reader->conf;
	struct asbb_conf_partition *partition;

	if (reader->partition)
		return _wrong(reader, "two %s= on one line: give each partition its own line", key->name);
	if (strchr(value, ','))
		return _wrong(reader, "%s=%.80s is a list: give each partition its own line", key->name, value);
	if (strcmp(value, "*") != 0 && !_is_name(value))
		return _wrong(reader, "%s=%.80s must be \"*\" or a partition's name: 1 to %d letters, digits and . _ ~ -",
			      key->name, value, ASBB_NAME_MAX);
	for (size_t i = 0; i < conf->partition_count; i++) {
		if (strcmp(conf->partitions[i].name, value) == 0)
			return _wrong(reader, "%s=%.80s was given before: remove one of the lines", key->name, value);
	}
	if (conf->partition_count == ASBB_CONF_PARTITIONS_MAX)
		return _wrong(reader, "more than %d partitions: guard them all with %s=*", ASBB_CONF_PARTITIONS_MAX,
			      key->name);
	partition = &conf->partitions[conf->partition_count++];
	partition->fail_mode = ASBB_FAIL_CLOSED;
	reader->partition = partition;
	return _copy(reader, key, value, partition->name, sizeof(partition->name));
}

static enum asbb_rc _take_fail_mode(struct reader *reader, const struct key *key, const char *value)
{
	if (!reader->partition)
		return _wrong(reader, "%s= belongs behind Partition= on the same line", key->name);
	if (reader->has_fail_mode)
		return _wrong(reader, "two %s= on one line: keep one", key->name);
	reader->has_fail_mode = true;
	if (strcasecmp(value, "closed") != 0 && strcasecmp(value, "open") != 0)
		return _wrong(reader, "%s=%.40s is neither \"closed\" nor \"open\"", key->name, value);
	if (strcasecmp(value, "open") == 0) {
		reader->partition->fail_mode = ASBB_FAIL_OPEN;
		if (!reader->open_line)
			reader->open_line = reader->line;
	}
	return ASBB_OK;
}

#define TEXT(field) .offset = offsetof(struct asbb_conf, field), .size = sizeof(((struct asbb_conf *)0)->field)
#define AT(field) .offset = offsetof(struct asbb_conf, field)

/* CONTRACT: the keys, in its order. */
static const struct key KEYS[] = {
	{ .name = "Endpoint", .take = _take_text, TEXT(endpoint) },
	{ .name = "Region", .take = _take_name, TEXT(region) },
	{ .name = "Cluster", .take = _take_name, TEXT(cluster) },
	/* Below 50 ms the API takes no deadline; from 10 s on sbatch gives up by itself and submits again. */
	{ .name = "TimeoutMs", .take = _take_number, AT(timeout_ms), .min = 50, .max = 9000, .unit = "milliseconds" },
	{ .name = "ConnectTimeoutMs", .take = _take_number, AT(connect_timeout_ms), .min = 10, .max = 9000, .unit = "milliseconds" },
	{ .name = "Partition", .take = _take_partition, .repeats = true },
	{ .name = "FailMode", .take = _take_fail_mode, .repeats = true },
	{ .name = "Enforce", .take = _take_yes_no, AT(enforce) },
	{ .name = "Notify", .take = _take_yes_no, AT(notify) },
	{ .name = "OnRefusal", .take = _take_choice, AT(on_refusal), .words = { "refuse", "drop" } },
	{ .name = "BreakerFailures", .take = _take_number, AT(breaker_failures), .min = 1, .max = 1000, .unit = "errors in a row" },
	{ .name = "BreakerSeconds", .take = _take_number, AT(breaker_seconds), .min = 1, .max = 3600, .unit = "seconds" },
	{ .name = "Credentials", .take = _take_credentials },
	{ .name = "CaFile", .take = _take_path, TEXT(ca_file) },
	{ .name = "SpoolFile", .take = _take_path, TEXT(spool_file) },
	{ .name = "MaxConnections", .take = _take_number, AT(max_connections), .min = 1, .max = 64, .unit = "connections" },
	{ .name = "ExemptUsers", .take = _take_text, TEXT(exempt_users) },
	{ .name = "OperatorUsers", .take = _take_text, TEXT(operator_users) },
	{ .name = "UnknownAccount", .take = _take_choice, AT(unknown_account), .words = { "deny", "allow" } },
	{ .name = "CronJobs", .take = _take_choice, AT(cron_jobs), .words = { "deny", "allow" } },
	{ .name = "AllowHttp", .take = _take_yes_no, AT(allow_http) },
};
#define KEY_COUNT (sizeof(KEYS) / sizeof(KEYS[0]))

static enum asbb_rc _take(struct reader *reader, const char *name, const char *value)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (strcasecmp(KEYS[i].name, name) != 0)
			continue;
		if (reader->seen[i] && !KEYS[i].repeats)
			return _wrong(reader, "%s= was given before, on line %d: remove one", KEYS[i].name, reader->seen[i]);
		reader->seen[i] = reader->line;
		return KEYS[i].take(reader, &KEYS[i], value);
	}
	return _wrong(reader, "unknown key \"%s\": see asbb.conf(5) for the keys, and check the spelling", name);
}

static bool _is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool _ends_token(char c)
{
	return c == '\0' || c == '#' || _is_blank(c);
}

/* One line of Key=Value pairs; text is the parser's own copy and ends in NUL. */
static enum asbb_rc _read_line(struct reader *reader, char *text)
{
	enum asbb_rc rc;
	char *at = text;

	reader->partition = NULL;
	reader->has_fail_mode = false;
	for (;;) {
		char key[KEY_MAX + 1];
		char *value;
		size_t n = 0;
		bool comment;

		while (_is_blank(*at))
			at++;
		if (*at == '\0' || *at == '#')
			return ASBB_OK;
		while (isalnum((unsigned char)at[n]) && n < KEY_MAX)
			n++;
		memcpy(key, at, n);
		key[n] = '\0';
		at += n;
		while (_is_blank(*at))
			at++;
		if (n == 0 || *at != '=')
			return _wrong(reader, "\"%.40s\" is not Key=Value", n ? key : text);
		at++;
		while (_is_blank(*at))
			at++;
		if (*at == '"') {
			value = ++at;
			at = strchr(at, '"');
			if (!at)
				return _wrong(reader, "%s= has a quote that does not end: add one", key);
			*at++ = '\0';
			if (!_ends_token(*at))
				return _wrong(reader, "%s= has text right behind its closing quote: remove it", key);
			rc = _take(reader, key, value);
			if (rc != ASBB_OK)
				return rc;
			continue;
		}
		value = at;
		while (!_ends_token(*at))
			at++;
		comment = *at == '#';
		if (*at)
			*at++ = '\0';
		if (*value == '\0')
			return _wrong(reader, "%s= has no value: give one, or remove it", key);
		rc = _take(reader, key, value);
		if (rc != ASBB_OK || comment)
			return rc;
	}
}

static bool _is_loopback(const char *name, size_t len)
{
	size_t dots = 0;

	if ((len == 9 && strncasecmp(name, "localhost", 9) == 0) || (len == 5 && strncmp(name, "[::1]", 5) == 0))
		return true;
	/* "127.0.0.1.example.org" is not: only digits and three dots are an address. */
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '.')
			dots++;
		else if (!isdigit((unsigned char)name[i]))
			return false;
	}
	return dots == 3 && len > 4 && strncmp(name, "127.", 4) == 0;
}

/* API Gateway's own names carry their region: <id>.execute-api.<region>.amazonaws.com */
static void _derive_region(struct asbb_conf *conf, const char *name, size_t len)
{
	static const char mark[] = ".execute-api.";
	const char *at = strstr(name, mark);
	size_t n;

	if (!at || at >= name + len)
		return;
	at += sizeof(mark) - 1;
	n = strcspn(at, ".");
	if (n == 0 || n > ASBB_NAME_MAX || strncmp(at + n, ".amazonaws.com", 14) != 0)
		return;
	memcpy(conf->region, at, n);
	conf->region[n] = '\0';
}

/* Endpoint= as a scheme, a host for the Host header, and a path. Refuses what would be signed or sent in another form. */
static enum asbb_rc _read_endpoint(struct reader *reader)
{
	struct asbb_conf *conf = reader->conf;
	size_t len = strlen(conf->endpoint);
	bool is_https = strncasecmp(conf->endpoint, "https://", 8) == 0;
	const char *host, *path;
	size_t host_len, name_len;
	long port = is_https ? 443 : 80;

	if (!is_https && strncasecmp(conf->endpoint, "http://", 7) != 0)
		return _wrong(reader, "Endpoint=%.200s must begin with https://", conf->endpoint);
	for (size_t i = 0; i < (is_https ? 5u : 4u); i++)
		conf->endpoint[i] = (char)tolower((unsigned char)conf->endpoint[i]);
	while (len > 8 && conf->endpoint[len - 1] == '/')
		conf->endpoint[--len] = '\0';
	if (len > sizeof(API_PATH) && strcmp(conf->endpoint + len - strlen(API_PATH), API_PATH) == 0)
		conf->endpoint[len - strlen(API_PATH)] = '\0';

	host = conf->endpoint + (is_https ? 8 : 7);
	host_len = strcspn(host, "/");
	path = host + host_len;
	for (const char *c = path; *c; c++) {
		if (!_is_unreserved((unsigned char)*c) && *c != '/' && *c != '$')
			return _wrong(reader, "Endpoint=%.200s has a \"%c\" in its path: only letters, digits and . _ ~ - / are possible",
				      conf->endpoint, isprint((unsigned char)*c) ? *c : '?');
	}
	name_len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
	if (name_len == 0 || name_len > host_len)
		return _wrong(reader, "Endpoint=%.200s names no host", conf->endpoint);
	for (size_t i = 0; i < name_len; i++) {
		if (!_is_unreserved((unsigned char)host[i]) && !(host[0] == '[' && strchr("[]:", host[i])))
			return _wrong(reader, "Endpoint=%.200s must be https://host[:port][/path], without user or password",
				      conf->endpoint);
	}
	if (host_len > name_len) {
		char digits[6];
		size_t n = host_len - name_len - 1;

		if (host[name_len] != ':' || n == 0 || n > 5)
			return _wrong(reader, "Endpoint=%.200s has a port that is none", conf->endpoint);
		memcpy(digits, host + name_len + 1, n);
		digits[n] = '\0';
		if (!_read_number(digits, &port) || port < 1 || port > 65535 || digits[0] == '0')
			return _wrong(reader, "Endpoint=%.200s has a port that is none", conf->endpoint);
	}
	if (!is_https && !_is_loopback(host, name_len) && !conf->allow_http)
		return _wrong(reader,
			      "Endpoint=%.200s would send requests in the clear: use https://, or say AllowHttp=yes if you must",
			      conf->endpoint);
	/* curl leaves the scheme's own port out of the Host header, and what is signed must be what is sent. */
	memcpy(conf->host, host, host_len);
	conf->host[port == (is_https ? 443 : 80) ? name_len : host_len] = '\0';
	memcpy(conf->path, path, strlen(path) + 1);
	if (conf->region[0] == '\0')
		_derive_region(conf, host, name_len);
	if (conf->region[0] == '\0' && is_https)
		return _wrong(reader, "Region= is needed to sign requests to this Endpoint: add it");
	return ASBB_OK;
}

/* A list of names without blanks; an empty name in it is a typo. */
static bool _is_user_list(const char *list)
{
	size_t len = strlen(list);

	return len == 0 || (list[0] != ',' && list[len - 1] != ',' && !strstr(list, ",,") && !strpbrk(list, " \t\""));
}

static enum asbb_rc _check_whole(struct reader *reader)
{
	struct asbb_conf *conf = reader->conf;
	int last_line = reader->line;

	if (conf->endpoint[0] == '\0')
		return _wrong(reader, "there is no Endpoint=: add the API's address (the stack's output ApiEndpoint)");
	reader->line = reader->seen[0];
	if (_read_endpoint(reader) != ASBB_OK)
		return ASBB_INVALID;
	reader->line = last_line;
	if (conf->partition_count == 0)
		return _wrong(reader, "there is no Partition=: name a partition to guard, or take \"budget\" out of JobSubmitPlugins");
	if (conf->credentials != ASBB_CREDENTIALS_AUTO && conf->region[0] == '\0')
		return _wrong(reader, "Credentials= is given, but no Region= to sign with: add it");
	if (!_is_user_list(conf->exempt_users) || !_is_user_list(conf->operator_users))
		return _wrong(reader, "ExemptUsers= and OperatorUsers= take names with a comma between: alice,bob");
	if (reader->open_line && conf->spool_file[0] == '\0') {
		reader->line = reader->open_line;
		return _wrong(reader, "FailMode=open needs a SpoolFile=, so that the jobs it lets in are paid for later: add it");
	}
	return ASBB_OK;
}

enum asbb_rc asbb_conf_parse(const char *text, size_t len, const char *name, struct asbb_conf *conf,
			     char error[ASBB_ERROR_MAX])
{
	int seen[KEY_COUNT] = { 0 };
	struct reader reader = { .name = name, .conf = conf, .error = error, .seen = seen };
	enum asbb_rc rc;
	size_t at = 0;

	memset(conf, 0, sizeof(*conf));
	error[0] = '\0';
	conf->timeout_ms = 1500;
	conf->connect_timeout_ms = 500;
	conf->enforce = true;
	conf->breaker_failures = 3;
	conf->breaker_seconds = 30;
	conf->max_connections = 4;

	if (len > ASBB_CONF_FILE_MAX)
		return _wrong(&reader, "the file is longer than %d bytes", ASBB_CONF_FILE_MAX);
	while (at < len) {
		char line[ASBB_CONF_LINE_MAX + 1];
		const char *end = memchr(text + at, '\n', len - at);
		size_t n = end ? (size_t)(end - text) - at : len - at;

		reader.line++;
		if (n > ASBB_CONF_LINE_MAX)
			return _wrong(&reader, "the line is longer than %d bytes", ASBB_CONF_LINE_MAX);
		if (memchr(text + at, '\0', n))
			return _wrong(&reader, "the line has a NUL byte: is this a text file?");
		memcpy(line, text + at, n);
		line[n] = '\0';
		rc = _read_line(&reader, line);
		if (rc != ASBB_OK)
			return rc;
		at += n + 1;
	}
	return _check_whole(&reader);
}

enum asbb_rc asbb_conf_load(const char *path, struct asbb_conf *conf, char error[ASBB_ERROR_MAX])
{
	enum asbb_rc rc = ASBB_INVALID;
	static const char *const mend = "check its path (beside slurm.conf, or $ASBB_CONF) and its mode";
	char text[ASBB_CONF_FILE_MAX + 1];
	struct stat st;
	size_t len = 0;
	ssize_t n;
	int fd;

	memset(conf, 0, sizeof(*conf));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0) {
		if (snprintf(error, ASBB_ERROR_MAX, "%.300s: cannot be read (errno %d): %s", path, errno, mend) < 0)
			error[0] = '\0';
		goto done;
	}
	if (!S_ISREG(st.st_mode)) {
		if (snprintf(error, ASBB_ERROR_MAX, "%.300s: is not a file: %s", path, mend) < 0)
			error[0] = '\0';
		goto done;
	}
	while (len < sizeof(text) && (n = read(fd, text + len, sizeof(text) - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (snprintf(error, ASBB_ERROR_MAX, "%.300s: cannot be read (errno %d): %s", path, errno, mend) < 0)
				error[0] = '\0';
			goto done;
		}
		len += (size_t)n;
	}
	rc = asbb_conf_parse(text, len, path, conf, error);
done:
	if (fd >= 0)
		close(fd);
	return rc;
}
