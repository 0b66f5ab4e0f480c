// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "request.h"

#define ACCOUNT_MAX	1024
#define USER_MAX	128
#define CONSTRAINT_MAX	512
#define ARRAY_MAX	32768
#define AMOUNT_MAX	1e9	/* CONTRACT: |amount| <= 999999999.999999 */
#define WALL_TIME_TEXT_MAX 32
#define MINUTES_PER_DAY	1440
#define WALL_TIME_MAX_S	3155760000LL	/* a hundred years, as the API has it */
#define REPLACEMENT	"\xEF\xBF\xBD"	/* U+FFFD */

void asbb_job_init(struct asbb_job *job)
{
	*job = (struct asbb_job){
		.nodes = ASBB_UNSET,
		.min_nodes = ASBB_UNSET,
		.ntasks = ASBB_UNSET,
		.cpus = ASBB_UNSET,
		.cpus_per_task = ASBB_UNSET,
		.gpus = ASBB_UNSET,
		.gpus_per_node = ASBB_UNSET,
		.memory_mib = ASBB_UNSET,
		.memory_per_cpu_mib = ASBB_UNSET,
		.wall_time_minutes = ASBB_UNSET,
		.het_offset = ASBB_UNSET,
	};
}

void asbb_change_init(struct asbb_change *change)
{
	*change = (struct asbb_change){
		.wall_time_minutes = ASBB_UNSET,
		.nodes = ASBB_UNSET,
		.cpus = ASBB_UNSET,
		.gpus = ASBB_UNSET,
		.memory_mib = ASBB_UNSET,
		.memory_per_cpu_mib = ASBB_UNSET,
		.tasks = ASBB_UNSET,
	};
}

bool asbb_change_is_costly(const struct asbb_change *change)
{
	return (change->account && change->account[0]) || (change->partition && change->partition[0]) ||
	       change->wall_time_minutes != ASBB_UNSET || change->nodes != ASBB_UNSET || change->cpus != ASBB_UNSET ||
	       change->gpus != ASBB_UNSET || change->memory_mib != ASBB_UNSET ||
	       change->memory_per_cpu_mib != ASBB_UNSET || change->tasks != ASBB_UNSET;
}

/* RFC 9562, 5.4: 122 random bits, version 4, variant 10. */
enum asbb_rc asbb_uuid_make(char uuid[ASBB_UUID_SIZE])
{
	unsigned char b[16];
	int n;

	uuid[0] = '\0';
	if (getrandom(b, sizeof(b), GRND_NONBLOCK) != (ssize_t)sizeof(b))
		return ASBB_ERROR;
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	n = snprintf(uuid, ASBB_UUID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		     b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	return n == ASBB_UUID_SIZE - 1 ? ASBB_OK : ASBB_ERROR;
}

/* Bytes of the well-formed UTF-8 character at text (Unicode 15, table 3-7), or 0 if there is none. */
static size_t _utf8_length(const unsigned char *text, size_t len)
{
	size_t n;
	unsigned char low = 0x80, high = 0xbf;

	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		n = 2;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		n = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (text[0] == 0xe0)
		low = 0xa0;
	else if (text[0] == 0xed)
		high = 0x9f;	/* no surrogates */
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f;	/* not past U+10FFFF */
	if (len < n || text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

/* The API refuses a text with these: a job must not be turned away for a control character in its name. */
static bool _is_refused_control(unsigned char c)
{
	return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
}

/*
 * Copy text as valid UTF-8 of at most max bytes, cut between characters; what is invalid becomes U+FFFD, as do control
 * characters if replace_control. Returns the bytes written; out has room for max.
 */
static size_t _utf8_repair(const char *text, size_t len, bool replace_control, char *out, size_t max)
{
	size_t used = 0;

	for (size_t i = 0; i < len;) {
		const unsigned char *at = (const unsigned char *)text + i;
		size_t n = _utf8_length(at, len - i);
		bool keep = n > 0 && !(replace_control && _is_refused_control(at[0]));
		const char *from = keep ? text + i : REPLACEMENT;
		size_t add = keep ? n : sizeof(REPLACEMENT) - 1;

		if (used + add > max)
			break;
		memcpy(out + used, from, add);
		used += add;
		i += n ? n : 1;
	}
	return used;
}

void asbb_text_clean(const char *text, size_t len, char *out, size_t size)
{
	size_t used = 0;

	if (size == 0)
		return;
	for (size_t i = 0; i < len && used < size - 1;) {
		const unsigned char *at = (const unsigned char *)text + i;
		size_t n = _utf8_length(at, len - i);
		char c = (char)at[0];

		if (n != 1)
			c = '?';
		else if (at[0] < 0x20 || at[0] == 0x7f)
			c = ' ';
		out[used++] = c;
		i += n ? n : 1;
	}
	out[used] = '\0';
}

/* A body under construction: the first failure stays, so that building reads as a list of fields. */
struct builder {
	json_t *object;
	enum asbb_rc rc;
	char *error;
};

static void _fail(struct builder *builder, enum asbb_rc rc)
{
	if (builder->rc == ASBB_OK)
		builder->rc = rc;
}

static void _put(struct builder *builder, const char *name, json_t *value)
{
	if (json_object_set_new(builder->object, name, value) != 0)
		_fail(builder, ASBB_NOMEM);
}

static void _put_number(struct builder *builder, const char *name, int64_t value)
{
	if (value != ASBB_UNSET)
		_put(builder, name, json_integer(value));
}

static void _put_true(struct builder *builder, const char *name, bool flag)
{
	if (flag)
		_put(builder, name, json_true());
}

static void _put_cut(struct builder *builder, const char *name, const char *text, bool replace_control, size_t max)
{
	char *repaired;
	size_t len;

	if (!text || text[0] == '\0')
		return;
	len = strnlen(text, max * 4);
	repaired = malloc(max + 1);
	if (!repaired) {
		_fail(builder, ASBB_NOMEM);
		return;
	}
	len = _utf8_repair(text, len, replace_control, repaired, max);
	_put(builder, name, json_stringn(repaired, len));
	free(repaired);
}

/* A text whose length the API bounds: what is longer is refused, because cutting it could change what is held. */
static void _put_text(struct builder *builder, const char *name, const char *text, size_t max)
{
	if (!text || text[0] == '\0')
		return;
	if (strnlen(text, max + 1) > max) {
		int n = snprintf(builder->error, ASBB_ERROR_MAX, "the %s of this job is longer than %zu bytes", name, max);

		if (n < 0 || n >= ASBB_ERROR_MAX)
			builder->error[0] = '\0';
		_fail(builder, ASBB_INVALID);
		return;
	}
	/* Each invalid byte can become three. */
	_put_cut(builder, name, text, false, max * 3);
}

/* Slurm's own notation, D-HH:MM:SS. */
static void _put_wall_time(struct builder *builder, int64_t minutes)
{
	char text[48];
	int n;

	if (minutes == ASBB_UNLIMITED || minutes == 0) {
		_put(builder, "wall_time", json_string("UNLIMITED"));
		return;
	}
	if (minutes < 0)
		return;
	if (minutes >= MINUTES_PER_DAY)
		n = snprintf(text, sizeof(text), "%lld-%02d:%02d:00", (long long)(minutes / MINUTES_PER_DAY),
			     (int)(minutes % MINUTES_PER_DAY / 60), (int)(minutes % 60));
	else
		n = snprintf(text, sizeof(text), "%02d:%02d:00", (int)(minutes / 60), (int)(minutes % 60));
	if (n < 0 || (size_t)n >= sizeof(text))
		_fail(builder, ASBB_ERROR);
	else
		_put(builder, "wall_time", json_string(text));
}

static void _put_job(struct builder *builder, const struct asbb_job *job)
{
	if (!job->account || job->account[0] == '\0') {
		if (snprintf(builder->error, ASBB_ERROR_MAX, "this job has no account: name one with --account") < 0)
			builder->error[0] = '\0';
		_fail(builder, ASBB_INVALID);
	}
	_put_text(builder, "account", job->account, ACCOUNT_MAX);
	_put_text(builder, "partition", job->partition, ASBB_PARTITION_LIST_MAX);
	_put_text(builder, "user", job->user, USER_MAX);
	_put_text(builder, "cluster", job->cluster, ASBB_NAME_MAX);
	_put_number(builder, "nodes", job->nodes);
	_put_number(builder, "min_nodes", job->min_nodes);
	_put_number(builder, "ntasks", job->ntasks);
	_put_number(builder, "cpus", job->cpus);
	_put_number(builder, "cpus_per_task", job->cpus_per_task);
	_put_number(builder, "gpus", job->gpus);
	_put_number(builder, "gpus_per_node", job->gpus_per_node);
	_put_text(builder, "gpu_type", job->gpu_type, ASBB_NAME_MAX);
	_put_number(builder, "memory", job->memory_mib);
	_put_number(builder, "memory_per_cpu", job->memory_per_cpu_mib);
	_put_true(builder, "exclusive", job->exclusive);
	_put_text(builder, "constraint", job->constraint, CONSTRAINT_MAX);
	_put_wall_time(builder, job->wall_time_minutes);
	_put_text(builder, "array", job->array, ARRAY_MAX);
	_put_number(builder, "het_offset", job->het_offset);
	_put_text(builder, "qos", job->qos, ASBB_NAME_MAX);
	_put_cut(builder, "job_name", job->job_name, true, ASBB_JOB_NAME_MAX);
}

static void _builder_begin(struct builder *builder, char *error)
{
	builder->object = json_object();
	builder->rc = builder->object ? ASBB_OK : ASBB_NOMEM;
	builder->error = error;
	error[0] = '\0';
}

/* Write the object as text and drop it. The text's end is kept in the buffer, so it needs one byte more. */
static enum asbb_rc _builder_end(struct builder *builder, char *body, size_t size, size_t *len)
{
	size_t n;

	*len = 0;
	if (size > 0)
		body[0] = '\0';
	if (builder->rc != ASBB_OK)
		goto done;
	n = json_dumpb(builder->object, body, size, JSON_COMPACT);
	if (n == 0 || n >= size || n > ASBB_BODY_MAX) {
		if (snprintf(builder->error, ASBB_ERROR_MAX, "this job's request is longer than %d bytes", ASBB_BODY_MAX) < 0)
			builder->error[0] = '\0';
		builder->rc = ASBB_INVALID;
		goto done;
	}
	body[n] = '\0';
	*len = n;
done:
	json_decref(builder->object);
	return builder->rc;
}

enum asbb_rc asbb_request_check(const struct asbb_job *job, const char *hold_id, int deadline_ms, char *body, size_t size,
				size_t *len, char error[ASBB_ERROR_MAX])
{
	struct builder builder;
	size_t script_len;

	_builder_begin(&builder, error);
	_put_job(&builder, job);
	if (hold_id)
		_put(&builder, "hold_id", json_string(hold_id));
	if (deadline_ms > 0)
		_put(&builder, "deadline_ms", json_integer(deadline_ms));
	/* An advisor may want the script, but no job is refused for its length: so it is added only where it fits for sure. */
	script_len = job->job_script ? strnlen(job->job_script, ASBB_BODY_MAX) : 0;
	if (builder.rc == ASBB_OK && script_len > 0) {
		size_t without = json_dumpb(builder.object, NULL, 0, JSON_COMPACT);
		size_t room = ASBB_BODY_MAX < size ? ASBB_BODY_MAX : size;

		if (without + 6 * script_len + sizeof(",\"job_script\":\"\"") < room)
			_put_cut(&builder, "job_script", job->job_script, false, script_len * 3);
	}
	return _builder_end(&builder, body, size, len);
}

enum asbb_rc asbb_request_adjust(const struct asbb_change *change, int deadline_ms, char *body, size_t size, size_t *len,
				 char error[ASBB_ERROR_MAX])
{
	struct builder builder;

	_builder_begin(&builder, error);
	_put_text(&builder, "account", change->account, ACCOUNT_MAX);
	_put_text(&builder, "partition", change->partition, ASBB_PARTITION_LIST_MAX);
	_put_wall_time(&builder, change->wall_time_minutes);
	_put_number(&builder, "nodes", change->nodes);
	_put_number(&builder, "cpus", change->cpus);
	_put_number(&builder, "gpus", change->gpus);
	_put_number(&builder, "memory", change->memory_mib);
	_put_number(&builder, "memory_per_cpu", change->memory_per_cpu_mib);
	_put_number(&builder, "tasks", change->tasks);
	_put_true(&builder, "raise_only", true);
	if (deadline_ms > 0)
		_put(&builder, "deadline_ms", json_integer(deadline_ms));
	return _builder_end(&builder, body, size, len);
}

enum asbb_rc asbb_request_spool(const struct asbb_job *job, const char *hold_id, int64_t now_s, const char *reason, char *line,
				size_t size, size_t *len, char error[ASBB_ERROR_MAX])
{
	struct builder builder, inner;
	enum asbb_rc rc;
	char when[32];
	time_t t = (time_t)now_s;
	struct tm tm;

	_builder_begin(&builder, error);
	_builder_begin(&inner, error);
	_put_job(&inner, job);
	if (inner.rc != ASBB_OK)
		_fail(&builder, inner.rc);
	if (!gmtime_r(&t, &tm) || strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		_fail(&builder, ASBB_ERROR);
	else
		_put(&builder, "time", json_string(when));
	_put(&builder, "hold_id", json_string(hold_id));
	_put(&builder, "reason", json_string(reason));
	_put(&builder, "job", inner.object);	/* takes the object over */
	rc = _builder_end(&builder, line, size > 0 ? size - 1 : 0, len);
	if (rc != ASBB_OK)
		return rc;
	line[(*len)++] = '\n';
	line[*len] = '\0';
	return ASBB_OK;
}

static bool _read_digits(const char **at, long long *number)
{
	size_t n = 0;

	*number = 0;
	while ((*at)[n] >= '0' && (*at)[n] <= '9') {
		if (n >= 11)
			return false;
		*number = *number * 10 + ((*at)[n] - '0');
		n++;
	}
	*at += n;
	return n > 0;
}

enum asbb_rc asbb_wall_time_parse(const char *text, int64_t *minutes)
{
	long long part[3] = { 0 }, days = 0, seconds;
	bool has_days = false;
	const char *at = text;
	int parts = 0;

	*minutes = ASBB_UNSET;
	if (strcasecmp(text, "UNLIMITED") == 0 || strcasecmp(text, "INFINITE") == 0 || strcmp(text, "-1") == 0) {
		*minutes = ASBB_UNLIMITED;
		return ASBB_OK;
	}
	if (strnlen(text, WALL_TIME_TEXT_MAX + 1) > WALL_TIME_TEXT_MAX)
		return ASBB_INVALID;
	do {
		if (parts == 3 || !_read_digits(&at, &part[parts]))
			return ASBB_INVALID;
		if (*at == '-' && parts == 0 && !has_days) {
			has_days = true;
			days = part[0];
			at++;
			continue;
		}
		parts++;
		if (*at == '\0')
			break;
		if (*at++ != ':')
			return ASBB_INVALID;
	} while (true);
	/* sbatch(1), --time: with days the first part is hours, else one part is minutes and two are MM:SS. */
	if (has_days || parts == 3)
		seconds = days * 86400 + part[0] * 3600 + (parts > 1 ? part[1] * 60 : 0) + (parts > 2 ? part[2] : 0);
	else
		seconds = part[0] * 60 + (parts > 1 ? part[1] : 0);
	if (seconds > WALL_TIME_MAX_S)
		return ASBB_INVALID;
	*minutes = seconds == 0 ? ASBB_UNLIMITED : (seconds + 59) / 60;
	return ASBB_OK;
}

/* Absent and null are the same; any other type than string is not this API. */
static bool _get_text(const json_t *object, const char *name, char *out, size_t size)
{
	const json_t *value = json_object_get(object, name);

	if (!value || json_is_null(value))
		return true;
	if (!json_is_string(value))
		return false;
	asbb_text_clean(json_string_value(value), json_string_length(value), out, size);
	return true;
}

/* Dollars with two to six decimals. A double holds every amount of the contract exactly enough for that. */
static bool _get_amount(const json_t *object, const char *name, char *out, size_t size)
{
	const json_t *value = json_object_get(object, name);
	double amount;
	int n;

	if (!value || json_is_null(value))
		return true;
	if (!json_is_number(value))
		return false;
	amount = json_number_value(value);
	if (!isfinite(amount) || fabs(amount) >= AMOUNT_MAX)
		return false;
	n = snprintf(out, size, "%.6f", amount);
	if (n < 8 || (size_t)n >= size)
		return false;
	out[n - 7] = '.';	/* whatever the locale puts there */
	while (out[n - 1] == '0' && out[n - 3] != '.')
		out[--n] = '\0';
	return true;
}

static bool _get_uuid(const json_t *object, const char *name, char out[ASBB_UUID_SIZE])
{
	const json_t *value = json_object_get(object, name);
	const char *text;

	if (!value || json_is_null(value))
		return true;
	if (!json_is_string(value) || json_string_length(value) != ASBB_UUID_SIZE - 1)
		return false;
	text = json_string_value(value);
	for (size_t i = 0; i < ASBB_UUID_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !strchr("0123456789abcdefABCDEF", text[i]))
			return false;
	}
	memcpy(out, text, ASBB_UUID_SIZE);
	return true;
}

static enum asbb_rc _read_verdict(const json_t *root, const char *hold_id, struct asbb_verdict *verdict)
{
	const json_t *available = json_object_get(root, "available");
	char wall_time[WALL_TIME_TEXT_MAX + 2] = "";

	if (!json_is_boolean(available))
		return ASBB_BAD_RESPONSE;
	if (!_get_text(root, "message", verdict->message, sizeof(verdict->message)) ||
	    !_get_text(root, "code", verdict->code, sizeof(verdict->code)) ||
	    !_get_text(root, "wall_time", wall_time, sizeof(wall_time)) ||
	    !_get_uuid(root, "hold_id", verdict->hold_id) ||
	    !_get_amount(root, "estimated_cost", verdict->estimated_cost, sizeof(verdict->estimated_cost)) ||
	    !_get_amount(root, "hold_amount", verdict->hold_amount, sizeof(verdict->hold_amount)) ||
	    !_get_amount(root, "budget_remaining", verdict->budget_remaining, sizeof(verdict->budget_remaining)))
		return ASBB_BAD_RESPONSE;
	if (wall_time[0] && asbb_wall_time_parse(wall_time, &verdict->wall_time_minutes) != ASBB_OK)
		return ASBB_BAD_RESPONSE;
	/* An admission under another id would leave a job that carries a hold which is not its own. */
	if (hold_id && json_is_true(available) && strcasecmp(hold_id, verdict->hold_id) != 0)
		return ASBB_BAD_RESPONSE;
	if (hold_id && verdict->hold_id[0] && strcasecmp(hold_id, verdict->hold_id) != 0)
		return ASBB_BAD_RESPONSE;
	verdict->available = json_is_true(available);
	return verdict->available ? ASBB_OK : ASBB_DENIED;
}

/* {"error":{"code","message"}}, or API Gateway's {"message"}. Unreadable is no error here: the status has said it all. */
static void _read_error(const json_t *root, struct asbb_verdict *verdict)
{
	const json_t *error = json_object_get(root, "error");

	if (!json_is_object(error))
		error = root;
	if (!_get_text(error, "message", verdict->message, sizeof(verdict->message)))
		verdict->message[0] = '\0';
	if (!_get_text(error, "code", verdict->code, sizeof(verdict->code)))
		verdict->code[0] = '\0';
}

static void _verdict_wipe(struct asbb_verdict *verdict, int status)
{
	memset(verdict, 0, sizeof(*verdict));
	verdict->status = status;
	verdict->wall_time_minutes = ASBB_UNSET;
}

static enum asbb_rc _rc_of_status(int status)
{
	if (status == 403)
		return ASBB_FORBIDDEN;
	if (status >= 400 && status < 500 && status != 408 && status != 425 && status != 429)
		return ASBB_REJECTED;
	return status >= 300 && status < 600 ? ASBB_UNAVAILABLE : ASBB_BAD_RESPONSE;
}

enum asbb_rc asbb_answer_read(int status, const char *body, size_t len, const char *hold_id, struct asbb_verdict *verdict)
{
	enum asbb_rc rc = ASBB_BAD_RESPONSE;
	json_error_t ignored;
	json_t *root;

	_verdict_wipe(verdict, status);
	root = len <= ASBB_BODY_MAX ? json_loadb(body, len, JSON_REJECT_DUPLICATES, &ignored) : NULL;
	if (status != 200) {
		rc = _rc_of_status(status);
		_read_error(root, verdict);
		goto done;
	}
	if (!json_is_object(root))
		goto done;
	rc = _read_verdict(root, hold_id, verdict);
	if (rc == ASBB_BAD_RESPONSE)
		_verdict_wipe(verdict, status);
done:
	json_decref(root);
	return rc;
}
