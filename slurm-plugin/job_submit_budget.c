// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The plugin's face to Slurm, and the only file that includes its headers: what slurmctld hands over becomes a job or a
 * change, guard decides, and the decision becomes what slurmctld expects. Builds from public headers, for 22.05 to 26.05.
 *
 * slurmctld holds read locks on its configuration, jobs, nodes and partitions during every call here, so nothing may call it.
 */
#include <inttypes.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>
#include <slurm/slurmdb.h>

#include "guard.h"

#define EXPORT __attribute__((visibility("default")))

/* Exported by slurmctld, the same from 22.05 to 26.05, and declared in headers that no package ships. */
extern void slurm_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern void slurm_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern void slurm_log_var(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
extern char *slurm_xstrdup(const char *text);
extern char *slurm_xstrdup_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern void slurm_xfree(void **item);
extern int assoc_mgr_fill_in_user(void *db_conn, slurmdb_user_rec_t *user, int enforce, slurmdb_user_rec_t **record,
				  bool locked);
extern slurm_conf_t slurm_conf;
extern char *default_part_name;
/* Weak, so that the plugin can be loaded outside slurmctld, in tests. */
extern void *acct_db_conn __attribute__((weak));
extern void *fed_mgr_fed_rec __attribute__((weak));

EXPORT const char plugin_name[] = "Job submit budget plugin (asbb)";
EXPORT const char plugin_type[] = "job_submit/budget";
/* slurmctld loads a plugin of its own micro release only. */
EXPORT const uint32_t plugin_version = SLURM_VERSION_NUMBER;

#define LOG_DEBUG 5			/* Slurm's own number of this level */
#define CONF_NAME "asbb.conf"
#define PASSWD_BUFFER_SIZE 16384	/* bytes of one entry of passwd; who has a longer one is known by number */
#define USER_MAX 256			/* bytes of a user's name */
#define USERS_MAX 64			/* names that are remembered */
#define USER_KEEP_S 60			/* for so long, in seconds */
#define GRES_TYPE_MAX 64		/* bytes of "a100" */
#define ACCOUNT_MAX 256			/* bytes of an account's name; the API takes fewer */

static const char FEDERATION[] =
	"this cluster is in a federation, which asks once for every sibling and would hold the money as often: "
	"leave the federation, or take \"budget\" out of JobSubmitPlugins";

/* Set by init() before slurmctld takes the first RPC, and read-only until fini(), which comes after the last. */
static struct asbb_guard *guard;

static void _log(void *arg, enum asbb_log_level level, const char *line)
{
	(void)arg;
	switch (level) {
	case ASBB_LOG_ERROR:
		slurm_error("%s", line);
		break;
	case ASBB_LOG_INFO:
		slurm_info("%s", line);
		break;
	case ASBB_LOG_DEBUG:
		slurm_log_var(LOG_DEBUG, "%s", line);
		break;
	}
}

/* $ASBB_CONF, or asbb.conf beside slurm.conf. Returns false if that is too long for a path. */
static bool _conf_path(char path[ASBB_PATH_MAX])
{
	const char *chosen = getenv("ASBB_CONF");
	const char *beside = slurm_conf.slurm_conf;
	const char *slash = beside ? strrchr(beside, '/') : NULL;
	int n;

	if (chosen && chosen[0])
		n = snprintf(path, ASBB_PATH_MAX, "%s", chosen);
	else if (slash)
		n = snprintf(path, ASBB_PATH_MAX, "%.*s/%s", (int)(slash - beside), beside, CONF_NAME);
	else
		n = snprintf(path, ASBB_PATH_MAX, "/etc/slurm/%s", CONF_NAME);
	return n > 0 && n < ASBB_PATH_MAX;
}

/* Slurm's ClusterName, unless asbb.conf has another. Returns false with a sentence in error. */
static bool _fill_cluster(struct asbb_conf *conf, char error[ASBB_ERROR_MAX])
{
	const char *name = slurm_conf.cluster_name;
	int n = -1;

	if (conf->cluster[0])
		return true;
	if (name && name[0])
		n = snprintf(conf->cluster, sizeof(conf->cluster), "%s", name);
	if (n > 0 && n < (int)sizeof(conf->cluster))
		return true;
	if (snprintf(error, ASBB_ERROR_MAX, "slurm.conf has no ClusterName of at most %d bytes: add it, or Cluster= to %s",
		     ASBB_NAME_MAX, CONF_NAME) < 0)
		error[0] = '\0';
	return false;
}

/* slurmctld 22.05 learns of its federation only after init(), and may join one later: so each guarded job asks again. */
static bool _is_federated(void)
{
	return &fed_mgr_fed_rec && fed_mgr_fed_rec;
}

/* A failure here is fatal for slurmctld, which then says only that a plugin failed: so the reason is logged first. */
EXPORT int init(void)
{
	struct asbb_conf conf;
	char path[ASBB_PATH_MAX];
	char error[ASBB_ERROR_MAX] = "";

	if (_is_federated()) {
		slurm_error("asbb: %s", FEDERATION);
		return SLURM_ERROR;
	}
	if (!_conf_path(path)) {
		slurm_error("asbb: the path of %s is longer than %d bytes", CONF_NAME, ASBB_PATH_MAX - 1);
		return SLURM_ERROR;
	}
	if (asbb_conf_load(path, &conf, error) != ASBB_OK || !_fill_cluster(&conf, error)) {
		slurm_error("asbb: %s", error);
		return SLURM_ERROR;
	}
	guard = asbb_guard_create(&conf, _log, NULL, error);
	if (!guard) {
		slurm_error("asbb: %s: %s", path, error);
		return SLURM_ERROR;
	}
	slurm_info("asbb: guards %zu partition line(s) of cluster %s with %s%s", conf.partition_count, conf.cluster,
		   conf.endpoint, conf.enforce ? "" : "; shadow mode: nothing is refused");
	return SLURM_SUCCESS;
}

EXPORT int fini(void)
{
	asbb_guard_destroy(guard);
	guard = NULL;
	return SLURM_SUCCESS;
}

/* Slurm says "not given" in three ways: NO_VAL of the field's width, INFINITE, and 0. */
static int64_t _count(uint32_t value)
{
	return value == NO_VAL || value == INFINITE || value == 0 ? ASBB_UNSET : (int64_t)value;
}

static int64_t _count16(uint16_t value)
{
	return value == NO_VAL16 || value == INFINITE16 || value == 0 ? ASBB_UNSET : (int64_t)value;
}

static int64_t _max(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* The product of two counts; what no cluster has is left to the API to refuse, without overflow here. */
static int64_t _times(int64_t a, int64_t b)
{
	if (a < 0 || b < 0)
		return ASBB_UNSET;
	return b > 0 && a > INT32_MAX / b ? INT32_MAX : a * b;
}

static int64_t _minutes(uint32_t time_limit)
{
	if (time_limit == INFINITE)
		return ASBB_UNLIMITED;
	return _count(time_limit);
}

static void _memory(uint64_t pn_min_memory, int64_t *per_node_mib, int64_t *per_cpu_mib)
{
	uint64_t mib = pn_min_memory & ~MEM_PER_CPU;

	if (pn_min_memory == NO_VAL64 || pn_min_memory == INFINITE64 || mib > INT64_MAX / 2)
		return;
	/* --mem-per-cpu=0 lifts the limit, as --mem=0 does: all of a node. */
	if ((pn_min_memory & MEM_PER_CPU) && mib > 0)
		*per_cpu_mib = (int64_t)mib;
	else
		*per_node_mib = (int64_t)mib;
}

/* Maximum of a range like -N2-4, which is what must be paid for. */
static int64_t _nodes(const job_desc_msg_t *desc)
{
	return _max(_count(desc->min_nodes), _count(desc->max_nodes));
}

struct gpus {
	int64_t count;			/* of all types, or ASBB_UNSET */
	char type[GRES_TYPE_MAX];	/* if it is one type, else "" */
};

/* The digits at text, with Slurm's binary suffixes ("2", "2k"); 1 if there are none. */
static int64_t _gres_count(const char *text, size_t len)
{
	static const char suffixes[] = "kmgt";
	const char *suffix = NULL;
	int64_t n = 0;
	size_t i;

	if (len == 0)
		return 1;
	for (i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++)
		n = n > INT32_MAX / 10 - 1 ? INT32_MAX : n * 10 + (text[i] - '0');
	if (i < len)
		suffix = strchr(suffixes, text[i] | 0x20);
	for (const char *s = suffixes; suffix && s <= suffix; s++)
		n = _times(n, 1024);
	return n;
}

static void _add_gpus(struct gpus *gpus, const char *type, size_t type_len, int64_t count)
{
	bool is_first = gpus->count == ASBB_UNSET;

	if (is_first && type_len > 0 && type_len < sizeof(gpus->type)) {
		memcpy(gpus->type, type, type_len);
		gpus->type[type_len] = '\0';
	} else if (!is_first && (strlen(gpus->type) != type_len || strncmp(gpus->type, type, type_len) != 0)) {
		gpus->type[0] = '\0';
	}
	gpus->count = (is_first ? 0 : gpus->count) + count;
	if (gpus->count > INT32_MAX)
		gpus->count = INT32_MAX;
}

/* One of a TRES list: "gres:gpu", "gres:gpu:4", "gres:gpu:a100:4"; from 24.11 on "gres/gpu:a100=4"; without "gres" too. */
static void _read_gres(const char *text, size_t len, struct gpus *gpus)
{
	const char *end = text + len;
	const char *last;

	if (len > 5 && (strncasecmp(text, "gres:", 5) == 0 || strncasecmp(text, "gres/", 5) == 0))
		text += 5;
	if (end - text < 3 || strncasecmp(text, "gpu", 3) != 0)
		return;
	text += 3;
	if (text == end) {
		_add_gpus(gpus, "", 0, 1);
		return;
	}
	if (*text != ':' && *text != '=')
		return; /* "gpuless" is another GRES. */
	/* What is behind the last separator is the count if it begins with a digit: types may have digits, as a100 does. */
	for (last = end - 1; *last != ':' && *last != '='; last--)
		;
	if (last + 1 < end && last[1] >= '0' && last[1] <= '9')
		_add_gpus(gpus, text + 1, last > text ? (size_t)(last - text - 1) : 0, _gres_count(last + 1, (size_t)(end - last - 1)));
	else
		_add_gpus(gpus, text + 1, (size_t)(end - text - 1), 1);
}

static struct gpus _gpus(const char *tres)
{
	struct gpus gpus = { .count = ASBB_UNSET };

	while (tres && *tres) {
		size_t len = strcspn(tres, ",;");

		_read_gres(tres, len, &gpus);
		tres += len + (tres[len] != '\0');
	}
	return gpus;
}

struct gpu_request {
	int64_t per_job;
	int64_t per_node;
	char type[GRES_TYPE_MAX];
};

static int64_t _or_one(int64_t count)
{
	return count == ASBB_UNSET ? 1 : count;
}

/* --gpus, --gpus-per-node or --gres, --gpus-per-socket, --gpus-per-task; given together, each is a lower bound. */
static struct gpu_request _gpu_request(const job_desc_msg_t *desc)
{
	struct gpus job = _gpus(desc->tres_per_job);
	struct gpus node = _gpus(desc->tres_per_node);
	struct gpus socket = _gpus(desc->tres_per_socket);
	struct gpus task = _gpus(desc->tres_per_task);
	const struct gpus *all[] = { &node, &job, &task, &socket };
	struct gpu_request request = { .per_job = ASBB_UNSET };

	request.per_job = _max(job.count, _times(task.count, _or_one(_count(desc->num_tasks))));
	request.per_node = _max(node.count, _times(socket.count, _or_one(_count16(desc->sockets_per_node))));
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && !request.type[0]; i++)
		memcpy(request.type, all[i]->type, sizeof(request.type));
	return request;
}

/* A name if there is one, else the number. */
static void _look_up_user(uint32_t uid, char name[USER_MAX])
{
	char buffer[PASSWD_BUFFER_SIZE];
	struct passwd entry, *found = NULL;
	int n = -1;

	if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) == 0 && found)
		n = snprintf(name, USER_MAX, "%s", found->pw_name);
	if (n <= 0 || n >= USER_MAX)
		n = snprintf(name, USER_MAX, "%" PRIu32, uid);
	if (n <= 0 || n >= USER_MAX)
		name[0] = '\0';
}

/* By uid modulo USERS_MAX: of two users who meet, the later one stays. */
static struct {
	pthread_mutex_t lock;
	struct {
		uint32_t uid;
		time_t until;
		char name[USER_MAX];
	} slots[USERS_MAX];
} users = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* NSS may be slow, and slurmctld holds its locks meanwhile: so it is asked once in a while, and with no lock of ours held. */
static void _user_name(uint32_t uid, char name[USER_MAX])
{
	size_t slot = uid % USERS_MAX;
	time_t now = time(NULL);
	bool known;

	pthread_mutex_lock(&users.lock);
	known = users.slots[slot].uid == uid && now < users.slots[slot].until;
	if (known)
		memcpy(name, users.slots[slot].name, USER_MAX);
	pthread_mutex_unlock(&users.lock);
	if (known)
		return;
	_look_up_user(uid, name);
	pthread_mutex_lock(&users.lock);
	users.slots[slot].uid = uid;
	users.slots[slot].until = now + USER_KEEP_S;
	memcpy(users.slots[slot].name, name, USER_MAX);
	pthread_mutex_unlock(&users.lock);
}

/*
 * The user's default account, as Slurm would fill it in after us. Copied at once: it belongs to the association manager.
 * Gives "" if there is none, as on a cluster without slurmdbd.
 */
static void _default_account(uint32_t uid, char account[ACCOUNT_MAX])
{
	slurmdb_user_rec_t user;
	int n = -1;

	memset(&user, 0, sizeof(user));
	user.uid = uid;
	account[0] = '\0';
	if (assoc_mgr_fill_in_user(&acct_db_conn ? acct_db_conn : NULL, &user, 0, NULL, false) == SLURM_SUCCESS && user.default_acct)
		n = snprintf(account, ACCOUNT_MAX, "%s", user.default_acct);
	if (n < 0 || n >= ACCOUNT_MAX)
		account[0] = '\0';
}

/* Where the strings live that a job_desc_msg_t does not have. */
struct room {
	char user[USER_MAX];
	char account[ACCOUNT_MAX];
	struct gpu_request gpus;
};

/* Counts that say how many nodes, CPUs and GPUs are wanted. */
static void _read_size(const job_desc_msg_t *desc, const struct gpu_request *gpus, struct asbb_job *job)
{
	int64_t tasks_per_node = _count16(desc->ntasks_per_node);
	int64_t cpus_per_gpu = _gpus(desc->cpus_per_tres).count;

	job->nodes = _nodes(desc);
	job->min_nodes = _count(desc->min_nodes);
	job->ntasks = _count(desc->num_tasks);
	job->cpus_per_task = _count16(desc->cpus_per_task);
	/* Clients send 1 for "not given". */
	job->cpus = desc->min_cpus > 1 ? _count(desc->min_cpus) : ASBB_UNSET;
	job->gpus = gpus->per_job;
	job->gpus_per_node = gpus->per_node;
	job->gpu_type = gpus->type[0] ? gpus->type : NULL;
	/* -n6 --ntasks-per-node=2 is three nodes, and nobody has said so yet. */
	if (job->nodes == ASBB_UNSET && job->ntasks != ASBB_UNSET && tasks_per_node != ASBB_UNSET)
		job->nodes = (job->ntasks + tasks_per_node - 1) / tasks_per_node;
	if (cpus_per_gpu != ASBB_UNSET)
		job->cpus = _max(job->cpus, _times(cpus_per_gpu, _max(job->gpus, _times(job->gpus_per_node, _or_one(job->nodes)))));
}

static void _read_job(const job_desc_msg_t *desc, struct room *room, struct asbb_job *job)
{
	asbb_job_init(job);
	_user_name(desc->user_id, room->user);
	room->gpus = _gpu_request(desc);
	job->user = room->user;
	job->account = desc->account;
	if (!job->account || !job->account[0]) {
		_default_account(desc->user_id, room->account);
		job->account = room->account[0] ? room->account : NULL;
	}
	job->partition = desc->partition && desc->partition[0] ? desc->partition : default_part_name;
	_read_size(desc, &room->gpus, job);
	_memory(desc->pn_min_memory, &job->memory_mib, &job->memory_per_cpu_mib);
	/* NONE, USER, MCS and whatever comes later keep others off the node, so all of it is paid. */
	job->exclusive = desc->shared != NO_VAL16 && desc->shared != JOB_SHARED_OK;
	job->constraint = desc->features;
	job->wall_time_minutes = _minutes(desc->time_limit);
	job->array = desc->array_inx;
	job->het_offset = desc->het_job_offset == NO_VAL ? ASBB_UNSET : (int64_t)desc->het_job_offset;
	job->qos = desc->qos;
	job->job_name = desc->name;
	job->job_script = desc->script;
	job->is_cron = (desc->bitflags & CRON_JOB) != 0;
}

/* A message may stand there already, from a plugin before us. */
static void _tell(char **err_msg, const char *message)
{
	char *before;

	if (!err_msg || !message[0])
		return;
	before = *err_msg;
	*err_msg = before ? slurm_xstrdup_printf("%s\n%s", before, message) : slurm_xstrdup(message);
	slurm_xfree((void **)&before);
}

static void _append_hold_id(job_desc_msg_t *desc, const char *hold_id)
{
	char *before = desc->admin_comment;

	if (before && before[0])
		desc->admin_comment = slurm_xstrdup_printf("%s asbb:%s", before, hold_id);
	else
		desc->admin_comment = slurm_xstrdup_printf("asbb:%s", hold_id);
	slurm_xfree((void **)&before);
}

static void _set_partition(job_desc_msg_t *desc, const char *partitions)
{
	slurm_xfree((void **)&desc->partition);
	desc->partition = slurm_xstrdup(partitions);
}

static int _apply(job_desc_msg_t *desc, const struct asbb_decision *decision, char **err_msg)
{
	switch (decision->action) {
	case ASBB_PASS:
		return SLURM_SUCCESS;
	case ASBB_ADMIT:
		_append_hold_id(desc, decision->hold_id);
		/* Slurm then enforces what was paid for. */
		if (decision->set_wall_time_minutes > 0 && decision->set_wall_time_minutes < NO_VAL)
			desc->time_limit = (uint32_t)decision->set_wall_time_minutes;
		_tell(err_msg, decision->message);
		return SLURM_SUCCESS;
	case ASBB_DROP_PARTITIONS:
		_set_partition(desc, decision->partitions);
		_tell(err_msg, decision->message);
		return SLURM_SUCCESS;
	case ASBB_REFUSE:
	case ASBB_FAIL:
		break;
	}
	_tell(err_msg, decision->message);
	return ESLURM_ACCOUNTING_POLICY;
}

EXPORT int job_submit(job_desc_msg_t *job_desc, uint32_t submit_uid, char **err_msg)
{
	struct asbb_decision decision;
	struct asbb_job job;
	struct room room;

	(void)submit_uid; /* Who pays is user_id, also when root submits for somebody. */
	if (!guard || !asbb_guard_is_guarded(guard, job_desc->partition, default_part_name))
		return SLURM_SUCCESS;
	if (_is_federated()) {
		slurm_error("asbb: %s", FEDERATION);
		_tell(err_msg, "asbb: this cluster has joined a federation, where budgets cannot be kept: tell your administrator");
		return ESLURM_ACCOUNTING_POLICY;
	}
	_read_job(job_desc, &room, &job);
	asbb_guard_check(guard, &job, (int64_t)time(NULL), &decision);
	return _apply(job_desc, &decision, err_msg);
}

/*
 * As Slurm names it in an update: "2232", "2232_2", "25+1". An update of a whole het job comes once per component, each time
 * with the first one's id: the agent corrects the others. Gives NULL if there is none.
 */
static const char *_job_id(const job_desc_msg_t *desc, char digits[ASBB_JOB_ID_MAX])
{
#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(25, 11, 0)
	uint32_t id = desc->step_id.job_id;
#else
	uint32_t id = desc->job_id;
#endif
	int n;

	if (desc->job_id_str && desc->job_id_str[0])
		return desc->job_id_str;
	if (_count(id) == ASBB_UNSET)
		return NULL;
	n = snprintf(digits, ASBB_JOB_ID_MAX, "%" PRIu32, id);
	return n > 0 && n < ASBB_JOB_ID_MAX ? digits : NULL;
}

static void _read_change(const job_desc_msg_t *desc, struct asbb_change *change)
{
	struct gpu_request gpus = _gpu_request(desc);

	asbb_change_init(change);
	change->account = desc->account;
	change->partition = desc->partition;
	change->wall_time_minutes = _minutes(desc->time_limit);
	change->nodes = _nodes(desc);
	change->cpus = _max(_max(_count(desc->min_cpus), _count(desc->max_cpus)),
			    _times(_count(desc->num_tasks), _or_one(_count16(desc->cpus_per_task))));
	/* How many nodes the job has now is not to be seen here: one at least, and the agent corrects. */
	change->gpus = _max(gpus.per_job, _times(gpus.per_node, _or_one(change->nodes)));
	_memory(desc->pn_min_memory, &change->memory_mib, &change->memory_per_cpu_mib);
	/*
	 * array_inx is not read: it is the throttle here (ArrayTaskThrottle=4), and no array. Nor is EndTime=, with which an
	 * operator moves the limit of a running job: its start is not to be seen here, and the agent corrects.
	 */
}

/* Before 23.02 there is no err_msg: the user reads what the error number says, and the log has the sentence. */
static int _modify(const job_desc_msg_t *desc, uint32_t submit_uid, char **err_msg)
{
	struct asbb_decision decision;
	struct asbb_change change;
	char digits[ASBB_JOB_ID_MAX];
	char user[USER_MAX];

	if (!guard)
		return SLURM_SUCCESS;
	_read_change(desc, &change);
	if (!asbb_change_is_costly(&change))
		return SLURM_SUCCESS;
	_user_name(submit_uid, user);
	change.job_id = _job_id(desc, digits);
	change.user = user;
	asbb_guard_modify(guard, &change, (int64_t)time(NULL), &decision);
	if (decision.action != ASBB_REFUSE)
		return SLURM_SUCCESS;
	_tell(err_msg, decision.message);
	return ESLURM_ACCOUNTING_POLICY;
}

#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(23, 2, 0)
EXPORT int job_modify(job_desc_msg_t *job_desc, void *job_record, uint32_t submit_uid, char **err_msg)
{
	(void)job_record; /* Opaque in public headers. */
	return _modify(job_desc, submit_uid, err_msg);
}
#else
EXPORT int job_modify(job_desc_msg_t *job_desc, void *job_record, uint32_t submit_uid)
{
	(void)job_record; /* Opaque in public headers. */
	return _modify(job_desc, submit_uid, NULL);
}
#endif
