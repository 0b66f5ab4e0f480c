// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "breaker.h"
#include "credentials.h"
#include "guard.h"
#include "http.h"
#include "sigv4.h"
#include "spool.h"

#define API_PATH	"/api/v1"
#define SERVICE		"execute-api"
#define PATH_MAX_BYTES	(ASBB_ENDPOINT_MAX + 256)
#define LOG_MAX		1024
#define LINE_MAX_BYTES	(ASBB_BODY_MAX + 512)
#define TICK_MS		1000
#define RESOLVE_EVERY_MS 30000
#define RESOLVE_RETRY_MS 2000
#define REPEAT_LOG_MS	300000	/* the same complaint of the background thread */
#define DEADLINE_MIN_MS	50	/* CONTRACT: the least deadline_ms */
#define DEADLINE_MARGIN_DIVISOR 20	/* of what is left, for the way back; at most ... */
#define DEADLINE_MARGIN_MAX_MS 50

struct asbb_guard {
	struct asbb_conf conf;
	asbb_log_fn *log;
	void *log_arg;
	struct asbb_http *http;
	struct asbb_signer signer;
	struct asbb_credentials_store *credentials;	/* NULL: requests are not signed */
	struct asbb_breaker breaker;
	pthread_mutex_t lock;		/* for what is below, and the thread's sleep */
	pthread_cond_t wake;
	pthread_cond_t ready;
	pthread_t thread;
	bool started;
	bool stopping;
	bool had_first_round;
	char complaint[ASBB_ERROR_MAX];	/* the thread's last one */
	int64_t complained_ms;
};

/* A question to the API. */
struct question {
	enum { ASK_CHECK, ASK_QUOTE, ASK_ADJUST } kind;
	const struct asbb_job *job;
	const struct asbb_change *change;
	const char *hold_id;
	const char *job_id;	/* of ASK_ADJUST: as the agent binds it */
};

__attribute__((format(printf, 3, 4))) static void _log(const struct asbb_guard *guard, enum asbb_log_level level,
							const char *format, ...)
{
	char raw[LOG_MAX], line[LOG_MAX];
	va_list args;
	int n;

	if (!guard->log)
		return;
	va_start(args, format);
	n = vsnprintf(raw, sizeof(raw), format, args);
	va_end(args);
	if (n < 0)
		return;
	/* Names of users and jobs are theirs to choose; a log line is ours. */
	asbb_text_clean(raw, strlen(raw), line, sizeof(line));
	guard->log(guard->log_arg, level, line);
}

/* --- the background thread ------------------------------------------------------------------------------------- */

/* Once, and then again only when it changes or has been so for a while. */
static void _complain(struct asbb_guard *guard, const char *sentence)
{
	int64_t now_ms = asbb_monotonic_ms();

	if (strcmp(guard->complaint, sentence) == 0 && now_ms < guard->complained_ms + REPEAT_LOG_MS)
		return;
	guard->complained_ms = now_ms;
	if (snprintf(guard->complaint, sizeof(guard->complaint), "%s", sentence) >= 0)
		_log(guard, ASBB_LOG_ERROR, "asbb: %s", sentence);
}

static bool _probe(struct asbb_guard *guard)
{
	char url[PATH_MAX_BYTES];
	const struct asbb_http_request request = { .method = "GET", .url = url };
	int64_t deadline_ms = asbb_monotonic_ms() + guard->conf.timeout_ms;
	struct asbb_connection *connection;
	struct asbb_http_answer answer;
	bool answered;
	int n = snprintf(url, sizeof(url), "%s" API_PATH "/health", guard->conf.endpoint);

	if (n < 0 || (size_t)n >= sizeof(url))
		return false;
	connection = asbb_http_take(guard->http, deadline_ms);
	if (!connection)
		return false;
	answered = asbb_http_call(guard->http, connection, &request, deadline_ms, &answer) == ASBB_OK && answer.status == 200;
	asbb_http_give(guard->http, connection);
	return answered;
}

static void _work(struct asbb_guard *guard, int64_t *resolve_at_ms)
{
	char error[ASBB_ERROR_MAX];

	if (guard->credentials && asbb_credentials_refresh(guard->credentials, (int64_t)time(NULL), error) != ASBB_OK)
		_complain(guard, error);
	if (asbb_monotonic_ms() >= *resolve_at_ms) {
		bool ok = asbb_http_resolve(guard->http) == ASBB_OK;

		*resolve_at_ms = asbb_monotonic_ms() + (ok ? RESOLVE_EVERY_MS : RESOLVE_RETRY_MS);
		if (!ok)
			_complain(guard, "no name server knows the Endpoint's host: check Endpoint= and this machine's DNS");
	}
	if (asbb_breaker_is_probe_due(&guard->breaker, asbb_monotonic_ms()) &&
	    asbb_breaker_probed(&guard->breaker, _probe(guard), asbb_monotonic_ms()))
		_log(guard, ASBB_LOG_INFO, "asbb: the API answers again");
}

static void _after(int64_t ms, struct timespec *until)
{
	int64_t at_ms = asbb_monotonic_ms() + ms;

	until->tv_sec = at_ms / 1000;
	until->tv_nsec = at_ms % 1000 * 1000000;
}

static void *_run(void *arg)
{
	struct asbb_guard *guard = arg;
	int64_t resolve_at_ms = 0;

	pthread_mutex_lock(&guard->lock);
	while (!guard->stopping) {
		struct timespec until;

		pthread_mutex_unlock(&guard->lock);
		_work(guard, &resolve_at_ms);
		pthread_mutex_lock(&guard->lock);
		guard->had_first_round = true;
		pthread_cond_broadcast(&guard->ready);
		_after(TICK_MS, &until);
		while (!guard->stopping && pthread_cond_timedwait(&guard->wake, &guard->lock, &until) == 0)
			;
	}
	pthread_mutex_unlock(&guard->lock);
	return NULL;
}

/* Signals are slurmctld's business, never this thread's. */
static bool _start(struct asbb_guard *guard)
{
	sigset_t all, former;
	bool ok;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &former);
	ok = pthread_create(&guard->thread, NULL, _run, guard) == 0;
	pthread_sigmask(SIG_SETMASK, &former, NULL);
	guard->started = ok;
	return ok;
}

static void _await_first_round(struct asbb_guard *guard)
{
	struct timespec until;

	_after(ASBB_GUARD_START_MS, &until);
	pthread_mutex_lock(&guard->lock);
	while (!guard->had_first_round && pthread_cond_timedwait(&guard->ready, &guard->lock, &until) == 0)
		;
	pthread_mutex_unlock(&guard->lock);
}

/* --- birth and death ---------------------------------------------------------------------------------------------- */

static const char *_getenv(const char *name)
{
	return getenv(name);
}

static bool _is_name(const char *text)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-";

	return text[0] && text[strspn(text, unreserved)] == '\0';
}

static bool _fails_open_somewhere(const struct asbb_conf *conf)
{
	for (size_t i = 0; i < conf->partition_count; i++) {
		if (conf->partitions[i].fail_mode == ASBB_FAIL_OPEN)
			return true;
	}
	return false;
}

struct asbb_guard *asbb_guard_create(const struct asbb_conf *conf, asbb_log_fn *log, void *log_arg, char error[ASBB_ERROR_MAX])
{
	const struct asbb_http_options options = {
		.connections = conf->max_connections,
		.connect_timeout_ms = conf->connect_timeout_ms,
		.ca_file = conf->ca_file,
		.pinned_host = conf->host,
		.is_https = strncmp(conf->endpoint, "https:", 6) == 0,
	};
	struct asbb_guard *guard;
	pthread_condattr_t monotonic;

	error[0] = '\0';
	if (!_is_name(conf->cluster)) {
		if (snprintf(error, ASBB_ERROR_MAX, "Cluster=%.80s must be of letters, digits and . _ ~ -: set it in asbb.conf",
			     conf->cluster) < 0)
			error[0] = '\0';
		return NULL;
	}
	guard = calloc(1, sizeof(*guard));
	if (!guard) {
		if (snprintf(error, ASBB_ERROR_MAX, "there is no memory") < 0)
			error[0] = '\0';
		return NULL;
	}
	guard->conf = *conf;
	guard->log = log;
	guard->log_arg = log_arg;
	json_object_seed(0);
	asbb_breaker_init(&guard->breaker, conf->breaker_failures, (int64_t)conf->breaker_seconds * 1000);
	pthread_mutex_init(&guard->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&guard->wake, &monotonic);
	pthread_cond_init(&guard->ready, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (asbb_signer_init(&guard->signer, conf->region, SERVICE) != ASBB_OK)
		goto fail;
	if (_fails_open_somewhere(conf) && asbb_spool_check(conf->spool_file, error) != ASBB_OK)
		goto fail;
	guard->http = asbb_http_create(&options, error);
	if (!guard->http)
		goto fail;
	if (conf->region[0]) {
		guard->credentials = asbb_credentials_create(conf, _getenv, error);
		if (!guard->credentials)
			goto fail;
	}
	if (!_start(guard))
		goto fail;
	_await_first_round(guard);
	return guard;
fail:
	if (!error[0] && snprintf(error, ASBB_ERROR_MAX, "the background thread cannot be started") < 0)
		error[0] = '\0';
	asbb_guard_destroy(guard);
	return NULL;
}

void asbb_guard_destroy(struct asbb_guard *guard)
{
	if (!guard)
		return;
	if (guard->started) {
		pthread_mutex_lock(&guard->lock);
		guard->stopping = true;
		pthread_cond_broadcast(&guard->wake);
		pthread_mutex_unlock(&guard->lock);
		pthread_join(guard->thread, NULL);
	}
	asbb_http_destroy(guard->http);
	asbb_credentials_destroy(guard->credentials);
	asbb_signer_wipe(&guard->signer);
	pthread_cond_destroy(&guard->wake);
	pthread_cond_destroy(&guard->ready);
	pthread_mutex_destroy(&guard->lock);
	free(guard);
}

bool asbb_guard_is_guarded(const struct asbb_guard *guard, const char *partitions, const char *default_partition)
{
	return asbb_decide_is_guarded(&guard->conf, partitions, default_partition);
}

/* --- asking --------------------------------------------------------------------------------------------------------- */

/* Where to ask: the path that is signed, and the URL that is called. */
static bool _address(const struct asbb_guard *guard, const struct question *question, char path[PATH_MAX_BYTES],
		     char url[PATH_MAX_BYTES])
{
	const struct asbb_conf *conf = &guard->conf;
	int n;

	if (question->kind == ASK_ADJUST)
		n = snprintf(path, PATH_MAX_BYTES, "%s" API_PATH "/jobs/%s/%s/adjust", conf->path, conf->cluster, question->job_id);
	else
		n = snprintf(path, PATH_MAX_BYTES, "%s" API_PATH "/budget/%s", conf->path,
			     question->kind == ASK_CHECK ? "check" : "quote");
	if (n < 0 || n >= PATH_MAX_BYTES)
		return false;
	n = snprintf(url, PATH_MAX_BYTES, "%.*s%s", (int)(strlen(conf->endpoint) - strlen(conf->path)), conf->endpoint, path);
	return n > 0 && n < PATH_MAX_BYTES;
}

/* The API must stop before we do, so the way back is taken off. */
static int _deadline_for_api(int64_t left_ms)
{
	int64_t margin_ms = left_ms / DEADLINE_MARGIN_DIVISOR;

	left_ms -= margin_ms < DEADLINE_MARGIN_MAX_MS ? margin_ms : DEADLINE_MARGIN_MAX_MS;
	return (int)(left_ms > DEADLINE_MIN_MS ? left_ms : DEADLINE_MIN_MS);
}

static enum asbb_rc _write_body(const struct question *question, int deadline_ms, char *body, size_t *len,
				char error[ASBB_ERROR_MAX])
{
	if (question->kind == ASK_ADJUST)
		return asbb_request_adjust(question->change, deadline_ms, body, ASBB_BODY_MAX + 1, len, error);
	return asbb_request_check(question->job, question->hold_id, deadline_ms, body, ASBB_BODY_MAX + 1, len, error);
}

struct signed_headers {
	char date[ASBB_AMZ_DATE_SIZE + 16];
	char authorization[ASBB_AUTHORIZATION_MAX + 16];
	char token[ASBB_SESSION_TOKEN_MAX + 32];
	char host[ASBB_ENDPOINT_MAX + 8];
	const char *list[5];
	size_t count;
};

static bool _put_header(struct signed_headers *headers, char *line, size_t size, const char *name, const char *value)
{
	int n = snprintf(line, size, "%s: %s", name, value);

	if (n < 0 || (size_t)n >= size)
		return false;
	headers->list[headers->count++] = line;
	return true;
}

static enum asbb_rc _sign(struct asbb_guard *guard, const char *path, const char *body, size_t len, int64_t now_s,
			  struct signed_headers *headers)
{
	static const struct asbb_sigv4_header content_type = { "content-type", "application/json" };
	const struct asbb_sigv4_request request = {
		.method = "POST", .host = guard->conf.host, .path = path, .headers = &content_type, .header_count = 1,
		.body = body, .body_len = len, .now_s = now_s,
	};
	struct asbb_credentials credentials;
	char date[ASBB_AMZ_DATE_SIZE], authorization[ASBB_AUTHORIZATION_MAX];
	enum asbb_rc rc;

	headers->count = 0;
	headers->list[headers->count++] = "content-type: application/json";
	if (!_put_header(headers, headers->host, sizeof(headers->host), "host", guard->conf.host))
		return ASBB_ERROR;
	if (!guard->credentials)
		return ASBB_OK;
	rc = asbb_credentials_get(guard->credentials, &credentials);
	if (rc != ASBB_OK)
		return rc;
	rc = asbb_sigv4_sign(&guard->signer, &credentials, &request, date, authorization);
	if (rc == ASBB_OK &&
	    (!_put_header(headers, headers->date, sizeof(headers->date), "x-amz-date", date) ||
	     !_put_header(headers, headers->authorization, sizeof(headers->authorization), "authorization", authorization) ||
	     (credentials.session_token[0] && !_put_header(headers, headers->token, sizeof(headers->token),
							   "x-amz-security-token", credentials.session_token))))
		rc = ASBB_ERROR;
	OPENSSL_cleanse(&credentials, sizeof(credentials));
	/* What cannot be signed is our trouble and not the user's. */
	return rc == ASBB_OK ? ASBB_OK : ASBB_ERROR;
}

static enum asbb_rc _ask_on(struct asbb_guard *guard, struct asbb_connection *connection, const struct question *question,
			    int64_t now_s, int64_t deadline_ms, struct asbb_verdict *verdict)
{
	char path[PATH_MAX_BYTES], url[PATH_MAX_BYTES], error[ASBB_ERROR_MAX];
	char *body = asbb_connection_buffer(connection);
	struct signed_headers headers;
	struct asbb_http_request request = { .method = "POST", .url = url, .body = body };
	struct asbb_http_answer answer;
	enum asbb_rc rc;

	if (!_address(guard, question, path, url))
		return ASBB_ERROR;
	rc = _write_body(question, _deadline_for_api(deadline_ms - asbb_monotonic_ms()), body, &request.body_len, error);
	if (rc == ASBB_INVALID)
		asbb_text_clean(error, strlen(error), verdict->message, sizeof(verdict->message));
	if (rc != ASBB_OK)
		return rc;
	rc = _sign(guard, path, body, request.body_len, now_s, &headers);
	if (rc != ASBB_OK)
		return rc;
	request.headers = headers.list;
	request.header_count = headers.count;
	rc = asbb_http_call(guard->http, connection, &request, deadline_ms, &answer);
	OPENSSL_cleanse(&headers, sizeof(headers));
	if (rc != ASBB_OK)
		return rc == ASBB_INVALID ? ASBB_ERROR : rc;
	return asbb_answer_read(answer.status, answer.body, answer.len, question->hold_id, verdict);
}

static void _ask(struct asbb_guard *guard, const struct question *question, int64_t now_s, struct asbb_outcome *outcome)
{
	int64_t deadline_ms = asbb_monotonic_ms() + guard->conf.timeout_ms;
	struct asbb_connection *connection;

	memset(outcome, 0, sizeof(*outcome));
	outcome->rc = ASBB_BREAKER_OPEN;
	outcome->verdict.wall_time_minutes = ASBB_UNSET;
	if (!asbb_breaker_allows(&guard->breaker))
		return;
	connection = asbb_http_take(guard->http, deadline_ms);
	if (!connection) {
		/* A queue of ours, and no word about the API: the breaker does not hear of it. */
		outcome->rc = ASBB_TIMEOUT;
		return;
	}
	/* Others may have found out while we waited. */
	if (asbb_breaker_allows(&guard->breaker)) {
		outcome->rc = _ask_on(guard, connection, question, now_s, deadline_ms, &outcome->verdict);
		if (asbb_breaker_record(&guard->breaker, outcome->rc, asbb_monotonic_ms()))
			_log(guard, ASBB_LOG_ERROR, "asbb: the API does not answer (%s): not asked for %d s, FailMode decides",
			     asbb_rc_name(outcome->rc), guard->conf.breaker_seconds);
	}
	asbb_http_give(guard->http, connection);
	if (outcome->rc == ASBB_FORBIDDEN && guard->credentials)
		asbb_credentials_distrust(guard->credentials);
}

/* --- answering ------------------------------------------------------------------------------------------------------- */

static const char *_or(const char *text, const char *otherwise)
{
	return text && text[0] ? text : otherwise;
}

static void _pass(struct asbb_decision *decision, enum asbb_rc rc)
{
	memset(decision, 0, sizeof(*decision));
	decision->rc = rc;
	decision->set_wall_time_minutes = ASBB_UNSET;
}

/* Nobody can say yes or no: what the user reads then. */
static const char *_sentence_for(enum asbb_rc rc)
{
	switch (rc) {
	case ASBB_TIMEOUT:
		return "the budget service did not answer in time, so this job cannot be admitted: try again in a minute, or use another partition";
	case ASBB_REJECTED:
		return "the budget service does not know this partition or cluster: tell your administrator";
	case ASBB_FORBIDDEN:
	case ASBB_NO_CREDENTIALS:
		return "the budget service does not accept this cluster's credentials: tell your administrator";
	default:
		return "the budget service does not answer, so this job cannot be admitted: try again in a minute, or use another partition";
	}
}

static bool _spool(struct asbb_guard *guard, const struct asbb_job *job, const char *hold_id, int64_t now_s, enum asbb_rc why)
{
	char error[ASBB_ERROR_MAX];
	char *line = malloc(LINE_MAX_BYTES);
	size_t len = 0;
	enum asbb_rc rc = ASBB_NOMEM;

	if (!line)
		return false;
	rc = asbb_request_spool(job, hold_id, now_s, asbb_rc_name(why), line, LINE_MAX_BYTES, &len, error);
	if (rc == ASBB_OK)
		rc = asbb_spool_append(guard->conf.spool_file, ASBB_SPOOL_MAX, line, len, error);
	free(line);
	if (rc != ASBB_OK)
		_log(guard, ASBB_LOG_ERROR, "asbb: not admitted without an answer, because %s", error);
	return rc == ASBB_OK;
}

static void _fail(struct asbb_guard *guard, const struct asbb_job *job, const char *hold_id, int64_t now_s,
		  struct asbb_decision *decision)
{
	enum asbb_rc why = decision->rc;

	if (asbb_decide_fail_mode(&guard->conf, job->partition) == ASBB_FAIL_OPEN && hold_id[0] &&
	    _spool(guard, job, hold_id, now_s, why)) {
		_pass(decision, why);
		decision->action = ASBB_ADMIT;
		decision->failed_open = true;
		memcpy(decision->hold_id, hold_id, sizeof(decision->hold_id));
		return;
	}
	asbb_decide_refuse(&guard->conf, job->partition, _sentence_for(why), decision);
}

static const char *_action_name(const struct asbb_decision *decision)
{
	switch (decision->action) {
	case ASBB_PASS:
		return "pass";
	case ASBB_ADMIT:
		return decision->failed_open ? "fail_open" : "admit";
	case ASBB_REFUSE:
		return "refuse";
	case ASBB_DROP_PARTITIONS:
		return "drop";
	case ASBB_FAIL:
		break;
	}
	return "fail";
}

static void _log_decision(const struct asbb_guard *guard, const struct asbb_job *job, const struct asbb_outcome *outcome,
			  const struct asbb_decision *decision, int64_t took_ms)
{
	bool is_quiet = decision->action == ASBB_ADMIT && !decision->failed_open;

	_log(guard, is_quiet ? ASBB_LOG_DEBUG : ASBB_LOG_INFO,
	     "asbb: %s user=%.64s account=%.64s partition=%.128s hold_id=%s rc=%s status=%d code=%s ms=%lld message=\"%s\"",
	     _action_name(decision), _or(job->user, "-"), _or(job->account, "-"), _or(job->partition, "-"),
	     _or(decision->hold_id, "-"), asbb_rc_name(outcome->rc), outcome->verdict.status,
	     _or(outcome->verdict.code, "-"), (long long)took_ms, decision->message);
}

/* Enforce=no: what would have been, in one line to grep for, and the job goes in as it is. */
static void _log_shadow(const struct asbb_guard *guard, const struct asbb_job *job, const struct asbb_outcome *outcome,
			const struct asbb_decision *decision, int64_t took_ms)
{
	const struct asbb_verdict *verdict = &outcome->verdict;
	const char *would = _action_name(decision);

	if (decision->action == ASBB_FAIL)
		would = asbb_decide_fail_mode(&guard->conf, job->partition) == ASBB_FAIL_OPEN ? "fail_open" : "fail_closed";
	_log(guard, ASBB_LOG_INFO,
	     "asbb: shadow would=%s user=%.64s account=%.64s partition=%.128s cost=%s hold=%s left=%s rc=%s status=%d code=%s ms=%lld message=\"%s\"",
	     would, _or(job->user, "-"), _or(job->account, "-"), _or(job->partition, "-"), _or(verdict->estimated_cost, "-"),
	     _or(verdict->hold_amount, "-"), _or(verdict->budget_remaining, "-"), asbb_rc_name(outcome->rc), verdict->status,
	     _or(verdict->code, "-"), (long long)took_ms, _or(decision->message, verdict->message));
}

/* What is decided without asking. Returns true if that was all. */
static bool _decide_alone(const struct asbb_guard *guard, const struct asbb_job *job, struct asbb_outcome *outcome,
			  struct asbb_decision *decision)
{
	if (!job->is_cron || guard->conf.cron_jobs == ASBB_ALLOW)
		return false;
	outcome->rc = ASBB_DENIED;
	decision->rc = ASBB_DENIED;
	asbb_decide_refuse(&guard->conf, job->partition,
			   "jobs from scrontab are not admitted to this partition: submit with sbatch, or use another partition",
			   decision);
	return true;
}

void asbb_guard_check(struct asbb_guard *guard, const struct asbb_job *submitted, int64_t now_s, struct asbb_decision *decision)
{
	int64_t began_ms = asbb_monotonic_ms();
	const struct asbb_conf *conf = &guard->conf;
	struct asbb_job job = *submitted;
	struct asbb_outcome outcome = { .rc = ASBB_ERROR, .verdict = { .wall_time_minutes = ASBB_UNSET } };
	struct question question = { .kind = conf->enforce ? ASK_CHECK : ASK_QUOTE, .job = &job };
	char hold_id[ASBB_UUID_SIZE] = "";

	_pass(decision, ASBB_OK);
	if (!asbb_decide_is_guarded(conf, job.partition, NULL) || asbb_decide_is_listed(conf->exempt_users, job.user))
		return;
	if (!job.cluster || !job.cluster[0])
		job.cluster = conf->cluster;
	if (!_decide_alone(guard, &job, &outcome, decision)) {
		if (!conf->enforce || asbb_uuid_make(hold_id) == ASBB_OK) {
			question.hold_id = conf->enforce ? hold_id : NULL;
			_ask(guard, &question, now_s, &outcome);
		}
		asbb_decide_check(conf, &job, &outcome, decision);
	}
	if (!conf->enforce) {
		_log_shadow(guard, &job, &outcome, decision, asbb_monotonic_ms() - began_ms);
		_pass(decision, outcome.rc);
		return;
	}
	if (decision->action == ASBB_FAIL)
		_fail(guard, &job, hold_id, now_s, decision);
	_log_decision(guard, &job, &outcome, decision, asbb_monotonic_ms() - began_ms);
}

/*
 * The agent binds a hold to the job's own number: an array's to the array's ("2232" of "2232_2"), a het component's to its own,
 * which Slurm counts on from the first ("25+1" is 26).
 */
static bool _base_job_id(const char *text, char out[ASBB_JOB_ID_MAX + 1])
{
	unsigned long long number, offset = 0;
	char *end;
	int n;

	if (!text || text[0] < '0' || text[0] > '9' || strnlen(text, ASBB_JOB_ID_MAX + 1) > ASBB_JOB_ID_MAX)
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (*end == '+' && end[1] >= '0' && end[1] <= '9')
		offset = strtoull(end + 1, &end, 10);
	if (errno != 0 || number > UINT32_MAX || offset > UINT32_MAX || (*end != '\0' && *end != '_'))
		return false;
	n = snprintf(out, ASBB_JOB_ID_MAX + 1, "%llu", number + offset);
	return n > 0 && n <= ASBB_JOB_ID_MAX;
}

void asbb_guard_modify(struct asbb_guard *guard, const struct asbb_change *change, int64_t now_s, struct asbb_decision *decision)
{
	const struct asbb_conf *conf = &guard->conf;
	struct asbb_outcome outcome = { .rc = ASBB_REJECTED, .verdict = { .status = 404, .code = "job_not_found" } };
	char job_id[ASBB_JOB_ID_MAX + 1];
	const struct question question = { .kind = ASK_ADJUST, .change = change, .job_id = job_id };
	bool moves = change->partition && change->partition[0];

	_pass(decision, ASBB_OK);
	if (!conf->enforce || !asbb_change_is_costly(change) || asbb_decide_is_listed(conf->operator_users, change->user))
		return;
	/* Out of the guarded partitions: nothing to pay for there, and the agent lowers the hold. */
	if (moves && !asbb_decide_is_guarded(conf, change->partition, NULL))
		return;
	if (_base_job_id(change->job_id, job_id))
		_ask(guard, &question, now_s, &outcome);
	asbb_decide_modify(conf, change, &outcome, decision);
	_log(guard, decision->action == ASBB_REFUSE ? ASBB_LOG_INFO : ASBB_LOG_DEBUG,
	     "asbb: modify %s job=%.64s user=%.64s rc=%s status=%d code=%s message=\"%s\"", _action_name(decision),
	     _or(change->job_id, "-"), _or(change->user, "-"), asbb_rc_name(outcome.rc), outcome.verdict.status,
	     _or(outcome.verdict.code, "-"), decision->message);
}
