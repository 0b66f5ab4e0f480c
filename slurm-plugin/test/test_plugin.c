// SPDX-License-Identifier: GPL-2.0-or-later
/* The plugin itself, loaded as slurmctld loads it, but by this program. The Makefile says which build of it (PLUGIN_PATH). */
#include "fixture.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lend.h"

#define SAID_MAX 16384	/* bytes of what the plugin logs at one start */
#define TEXT_MAX 1024
#define ALICE	5001
#define NOBODY	5002

#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(23, 2, 0)
typedef int modify_fn(job_desc_msg_t *desc, void *record, uint32_t uid, char **err_msg);
#else
typedef int modify_fn(job_desc_msg_t *desc, void *record, uint32_t uid);
#endif

static struct {
	void *library;
	int (*init)(void);
	int (*fini)(void);
	int (*submit)(job_desc_msg_t *desc, uint32_t uid, char **err_msg);
	modify_fn *modify;
} plugin;

static int look_ups;

/* In the place of libc's: the plugin finds this program's first. */
int getpwuid_r(uid_t uid, struct passwd *entry, char *buffer, size_t size, struct passwd **found)
{
	look_ups++;
	*found = NULL;
	if (uid != ALICE || snprintf(buffer, size, "alice") != 5)
		return 0;
	entry->pw_name = buffer;
	*found = entry;
	return 0;
}

static struct fixture_server server;
static char folder[256], conf[300], log_file[300];

/* --- a world ------------------------------------------------------------------------------------------------------ */

static void *_symbol(const char *name)
{
	void *symbol = dlsym(plugin.library, name);

	if (!symbol)
		fail_msg("the plugin has no %s", name);
	return symbol;
}

static void _load(void)
{
	plugin.library = dlopen(PLUGIN_PATH, RTLD_NOW | RTLD_LOCAL);
	if (!plugin.library)
		fail_msg("%s", dlerror());
	plugin.init = (int (*)(void))_symbol("init");
	plugin.fini = (int (*)(void))_symbol("fini");
	plugin.submit = (int (*)(job_desc_msg_t *, uint32_t, char **))_symbol("job_submit");
	plugin.modify = (modify_fn *)_symbol("job_modify");
}

static int _begin_all(void **state)
{
	(void)state;
	fixture_server_start(&server);
	fixture_folder_make(folder);
	if (snprintf(conf, sizeof(conf), "%s/asbb.conf", folder) < 0 || snprintf(log_file, sizeof(log_file), "%s/log", folder) < 0)
		return 1;
	setenv("ASBB_CONF", conf, 1);
	_load();
	return 0;
}

static int _end_all(void **state)
{
	(void)state;
	dlclose(plugin.library);
	fixture_folder_remove(folder);
	fixture_server_stop(&server);
	return 0;
}

static void _write_conf(const char *more)
{
	char text[TEXT_MAX];

	assert_true(snprintf(text, sizeof(text), "Endpoint=http://127.0.0.1:%d Cluster=hpc\nPartition=aws\n%s", server.port, more) > 0);
	fixture_file_write(conf, text, 0600);
}

static int _begin(void **state)
{
	(void)state;
	_write_conf("");
	return plugin.init() == SLURM_SUCCESS ? 0 : 1;
}

static int _end(void **state)
{
	(void)state;
	return plugin.fini() == SLURM_SUCCESS ? 0 : 1;
}

/* --- words -------------------------------------------------------------------------------------------------------- */

/* What sbatch would send. Slurm frees these strings as its own, and so does the plugin. */
static job_desc_msg_t _job(const char *account, const char *partition)
{
	job_desc_msg_t desc;

	slurm_init_job_desc_msg(&desc);
	desc.account = account ? slurm_xstrdup(account) : NULL;
	desc.partition = partition ? slurm_xstrdup(partition) : NULL;
	desc.user_id = ALICE;
	desc.min_nodes = desc.max_nodes = 2;
	return desc;
}

static void _forget(job_desc_msg_t *desc, char **message)
{
	slurm_xfree((void **)&desc->account);
	slurm_xfree((void **)&desc->partition);
	slurm_xfree((void **)&desc->admin_comment);
	slurm_xfree((void **)message);
}

static json_t *_server_state(void)
{
	char body[8192];
	json_t *root;

	fixture_server_get(&server, "/state", body, sizeof(body));
	root = json_loads(body, 0, NULL);
	assert_non_null(root);
	return root;
}

static int _calls(void)
{
	json_t *root = _server_state();
	int calls = (int)json_integer_value(json_object_get(root, "calls"));

	json_decref(root);
	return calls;
}

static void _assert_was_asked(const char *key, const char *value)
{
	json_t *root = _server_state();
	json_t *job = json_object_get(json_object_get(root, "last"), "job");

	assert_string_equal(json_string_value(json_object_get(job, key)), value);
	json_decref(root);
}

static void _assert_names_a_hold(const char *comment)
{
	static const char pattern[] = "asbb:xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	assert_non_null(comment);
	assert_int_equal(strlen(comment), sizeof(pattern) - 1);
	for (size_t i = 0; i < sizeof(pattern) - 1; i++) {
		if (pattern[i] == 'x' ? !strchr("0123456789abcdef", comment[i]) : pattern[i] != comment[i])
			fail_msg("not a hold: %s", comment);
	}
}

static int _modify(job_desc_msg_t *desc, char **message)
{
#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(23, 2, 0)
	return plugin.modify(desc, NULL, ALICE, message);
#else
	(void)message;
	return plugin.modify(desc, NULL, ALICE);
#endif
}

static int _threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int count = 0;

	assert_non_null(tasks);
	while (readdir(tasks))
		count++;
	closedir(tasks);
	return count;
}

/* init(), and what Slurm's log says meanwhile, which is on stderr as nobody has opened one. */
static int _init_and_listen(char said[SAID_MAX])
{
	int log = open(log_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int err = dup(STDERR_FILENO);
	int rc;

	assert_true(log >= 0 && err >= 0 && dup2(log, STDERR_FILENO) >= 0);
	rc = plugin.init();
	fflush(stderr);
	assert_true(dup2(err, STDERR_FILENO) >= 0);
	close(log);
	close(err);
	assert_true(fixture_file_read(log_file, said, SAID_MAX) >= 0);
	return rc;
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void it_says_what_slurm_wants_to_know(void **state)
{
	(void)state;
	assert_string_equal(_symbol("plugin_name"), "Job submit budget plugin (asbb)");
	assert_string_equal(_symbol("plugin_type"), "job_submit/budget");
	assert_int_equal(*(const uint32_t *)_symbol("plugin_version"), SLURM_VERSION_NUMBER);
}

/* Slurm resolves by name in one space with all its plugins: ours must not meet theirs. */
static void it_shows_nothing_else(void **state)
{
	(void)state;
	assert_null(dlsym(plugin.library, "asbb_guard_check"));
	assert_null(dlsym(plugin.library, "asbb_http_call"));
}

static void an_admitted_job_names_its_hold(void **state)
{
	job_desc_msg_t desc = _job("chem", "aws");
	char *message = NULL;

	(void)state;
	assert_int_equal(plugin.submit(&desc, desc.user_id, &message), SLURM_SUCCESS);
	_assert_names_a_hold(desc.admin_comment);
	_assert_was_asked("hold_id", desc.admin_comment + strlen("asbb:"));
	_assert_was_asked("account", "chem");
	_assert_was_asked("cluster", "hpc");
	assert_null(message);
	assert_int_equal(desc.time_limit, 91); /* It had none, and 01:30:01 was priced. */
	_forget(&desc, &message);
}

static void an_admin_comment_is_appended_to(void **state)
{
	job_desc_msg_t desc = _job("chem", "aws");
	char *message = NULL;

	(void)state;
	desc.admin_comment = slurm_xstrdup("site=north");
	assert_int_equal(plugin.submit(&desc, desc.user_id, &message), SLURM_SUCCESS);
	assert_memory_equal(desc.admin_comment, "site=north asbb:", 16);
	_forget(&desc, &message);
}

static void without_account_and_partition_slurms_defaults_are_asked_about(void **state)
{
	static char aws[] = "aws";
	job_desc_msg_t desc = _job(NULL, NULL);
	char *message = NULL;

	(void)state;
	default_part_name = aws;
	assert_int_equal(plugin.submit(&desc, desc.user_id, &message), SLURM_SUCCESS);
	default_part_name = NULL;
	_assert_was_asked("account", LENT_ACCOUNT);
	_assert_was_asked("partition", "aws");
	_assert_names_a_hold(desc.admin_comment);
	_forget(&desc, &message);
}

static void users_are_known_by_name_and_looked_up_once(void **state)
{
	static const struct {
		uint32_t uid;
		const char *name;
		int look_ups;
	} cases[] = { { ALICE, "alice", 1 }, { ALICE, "alice", 0 }, { NOBODY, "5002", 1 }, { NOBODY, "5002", 0 }, { ALICE, "alice", 0 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		job_desc_msg_t desc = _job("chem", "aws");
		char *message = NULL;

		desc.user_id = cases[i].uid;
		look_ups = 0;
		assert_int_equal(plugin.submit(&desc, desc.user_id, &message), SLURM_SUCCESS);
		_assert_was_asked("user", cases[i].name);
		assert_int_equal(look_ups, cases[i].look_ups);
		_forget(&desc, &message);
	}
}

static void a_refused_job_has_a_reason(void **state)
{
	job_desc_msg_t desc = _job("poor", "aws");
	char *message = NULL;

	(void)state;
	assert_int_equal(plugin.submit(&desc, desc.user_id, &message), ESLURM_ACCOUNTING_POLICY);
	assert_string_equal(message, "asbb: account poor has $41.20 available;  this job needs $120.00 held [31m ?.");
	assert_null(desc.admin_comment);
	assert_int_equal(desc.time_limit, NO_VAL);
	_forget(&desc, &message);
}

static void an_unguarded_job_is_untouched(void **state)
{
	job_desc_msg_t desc = _job("poor", "local");
	const job_desc_msg_t before = desc;
	char *message = NULL;
	int calls = _calls();

	(void)state;
	assert_int_equal(plugin.submit(&desc, desc.user_id, &message), SLURM_SUCCESS);
	assert_memory_equal(&desc, &before, sizeof(desc));
	assert_null(message);
	assert_int_equal(_calls(), calls);
	_forget(&desc, &message);
}

static void changes_that_cost_money_are_asked_about(void **state)
{
	static char job_id[] = "12", unknown_id[] = "404", name[] = "other";
	static const struct {
		char *job_id;
		uint32_t nodes;
		const char *partition;
		int rc;
		int calls;
	} cases[] = {
		{ job_id, 4, NULL, SLURM_SUCCESS, 1 },
		{ job_id, 400, NULL, ESLURM_ACCOUNTING_POLICY, 1 },
		{ unknown_id, 4, NULL, SLURM_SUCCESS, 1 },
		{ unknown_id, 4, "aws", ESLURM_ACCOUNTING_POLICY, 1 },
		{ job_id, 4, "local", SLURM_SUCCESS, 0 },
		{ job_id, NO_VAL, NULL, SLURM_SUCCESS, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		job_desc_msg_t desc = _job(NULL, cases[i].partition);
		char *message = NULL;
		int calls = _calls();

		desc.job_id_str = cases[i].job_id;
		desc.name = name;
		desc.min_nodes = desc.max_nodes = cases[i].nodes;
		assert_int_equal(_modify(&desc, &message), cases[i].rc);
		assert_int_equal(_calls() - calls, cases[i].calls);
		_forget(&desc, &message);
	}
}

static void a_wrong_configuration_is_said_and_never_a_crash(void **state)
{
	static const struct {
		const char *more;
		const char *said;
	} cases[] = {
		{ "Endpiont=http://127.0.0.1:1\n", "asbb.conf:3: " },
		{ "TimeoutMs=0\n", "TimeoutMs" },
		{ "CaFile=/nowhere/ca.pem\n", "CaFile cannot be read" },
		{ "Partition=open FailMode=open SpoolFile=/nowhere/spool\n", "/nowhere/spool" },
		{ "Region=us-east-1 Credentials=file:/nowhere/credentials\n", "/nowhere/credentials" },
	};
	char said[SAID_MAX];
	int threads = _threads();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		job_desc_msg_t desc = _job("chem", "aws");
		char *message = NULL;

		_write_conf(cases[i].more);
		assert_int_equal(_init_and_listen(said), SLURM_ERROR);
		if (!strstr(said, cases[i].said) || !strstr(said, "asbb: "))
			fail_msg("case %zu said: %s", i, said);
		/* slurmctld ends here. Should anyone go on, nothing is guarded, and nothing falls. */
		assert_int_equal(plugin.submit(&desc, desc.user_id, &message), SLURM_SUCCESS);
		assert_null(desc.admin_comment);
		assert_int_equal(_modify(&desc, &message), SLURM_SUCCESS);
		assert_int_equal(plugin.fini(), SLURM_SUCCESS);
		_forget(&desc, &message);
	}
	assert_int_equal(unlink(conf), 0);
	assert_int_equal(_init_and_listen(said), SLURM_ERROR);
	assert_non_null(strstr(said, conf));
	assert_int_equal(_threads(), threads);
}

static void it_ends_and_begins_again(void **state)
{
	int threads = _threads();

	(void)state;
	_write_conf("");
	for (int i = 0; i < 3; i++) {
		job_desc_msg_t desc = _job("chem", "aws");
		char *message = NULL;

		assert_int_equal(plugin.init(), SLURM_SUCCESS);
		assert_int_equal(_threads(), threads + 1);
		assert_int_equal(plugin.submit(&desc, desc.user_id, &message), SLURM_SUCCESS);
		_assert_names_a_hold(desc.admin_comment);
		assert_int_equal(plugin.fini(), SLURM_SUCCESS);
		assert_int_equal(_threads(), threads);
		_forget(&desc, &message);
		/* As slurmctld does when it reads its configuration again. */
		assert_int_equal(dlclose(plugin.library), 0);
		_load();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_says_what_slurm_wants_to_know),
		cmocka_unit_test(it_shows_nothing_else),
		/* First of those that ask, as the plugin remembers names. */
		cmocka_unit_test_setup_teardown(users_are_known_by_name_and_looked_up_once, _begin, _end),
		cmocka_unit_test_setup_teardown(an_admitted_job_names_its_hold, _begin, _end),
		cmocka_unit_test_setup_teardown(an_admin_comment_is_appended_to, _begin, _end),
		cmocka_unit_test_setup_teardown(without_account_and_partition_slurms_defaults_are_asked_about, _begin, _end),
		cmocka_unit_test_setup_teardown(a_refused_job_has_a_reason, _begin, _end),
		cmocka_unit_test_setup_teardown(an_unguarded_job_is_untouched, _begin, _end),
		cmocka_unit_test_setup_teardown(changes_that_cost_money_are_asked_about, _begin, _end),
		cmocka_unit_test(a_wrong_configuration_is_said_and_never_a_crash),
		cmocka_unit_test(it_ends_and_begins_again),
	};

	return cmocka_run_group_tests_name("plugin", tests, _begin_all, _end_all);
}
