// SPDX-License-Identifier: GPL-2.0-or-later
#include "fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool.h"

static char folder[256], path[300], other[300];

static int _begin(void **state)
{
	(void)state;
	fixture_folder_make(folder);
	return snprintf(path, sizeof(path), "%s/spool", folder) > 0 && snprintf(other, sizeof(other), "%s/other", folder) > 0 ? 0 : 1;
}

static int _end(void **state)
{
	(void)state;
	fixture_folder_remove(folder);
	return 0;
}

static enum asbb_rc _append(const char *line, size_t max)
{
	char error[ASBB_ERROR_MAX];
	enum asbb_rc rc = asbb_spool_append(path, max, line, strlen(line), error);

	assert_true((rc == ASBB_OK) == (error[0] == '\0'));
	return rc;
}

static void lines_are_appended_to_a_file_of_ones_own(void **state)
{
	char text[256];
	struct stat st;
	mode_t former = umask(0);

	(void)state;
	assert_int_equal(_append("one\n", ASBB_SPOOL_MAX), ASBB_OK);
	umask(former);
	assert_int_equal(_append("two\n", ASBB_SPOOL_MAX), ASBB_OK);
	assert_int_equal(fixture_file_read(path, text, sizeof(text)), 8);
	assert_string_equal(text, "one\ntwo\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_line_that_somebody_died_in_is_ended_first(void **state)
{
	char text[256];

	(void)state;
	fixture_file_write(path, "{\"half\":", 0600);
	assert_int_equal(_append("two\n", ASBB_SPOOL_MAX), ASBB_OK);
	fixture_file_read(path, text, sizeof(text));
	assert_string_equal(text, "{\"half\":\ntwo\n");
}

static void it_does_not_grow_past_its_limit(void **state)
{
	char text[256];

	(void)state;
	assert_int_equal(_append("12345\n", 10), ASBB_OK);
	assert_int_equal(_append("12345\n", 10), ASBB_ERROR);
	fixture_file_read(path, text, sizeof(text));
	assert_string_equal(text, "12345\n");
}

static void what_is_not_ones_own_plain_file_is_refused(void **state)
{
	char text[256];

	(void)state;
	fixture_file_write(other, "", 0600);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(_append("x\n", ASBB_SPOOL_MAX), ASBB_ERROR);
	unlink(path);
	assert_int_equal(link(other, path), 0);
	assert_int_equal(_append("x\n", ASBB_SPOOL_MAX), ASBB_ERROR);
	unlink(path);
	fixture_file_write(path, "", 0622);
	assert_int_equal(_append("x\n", ASBB_SPOOL_MAX), ASBB_ERROR);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(_append("x\n", ASBB_SPOOL_MAX), ASBB_ERROR);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(_append("x\n", ASBB_SPOOL_MAX), ASBB_ERROR);
	rmdir(path);
	fixture_file_read(other, text, sizeof(text));
	assert_string_equal(text, "");
	if (geteuid() == 0) {
		fixture_file_write(path, "", 0600);
		assert_int_equal(chown(path, 65534, 65534), 0);
		assert_int_equal(_append("x\n", ASBB_SPOOL_MAX), ASBB_ERROR);
	}
}

static void a_lock_is_not_waited_for_longer_than_it_may(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(_append("x\n", ASBB_SPOOL_MAX), ASBB_OK);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(_append("y\n", ASBB_SPOOL_MAX), ASBB_ERROR);
	close(fd);
	assert_int_equal(_append("y\n", ASBB_SPOOL_MAX), ASBB_OK);
}

enum { WRITERS = 8, LINES = 50, READER_US = 5000 };

static atomic_int writing, failed;

static void *_write_lines(void *arg)
{
	char error[ASBB_ERROR_MAX];

	(void)arg;
	for (int i = 0; i < LINES; i++) {
		if (asbb_spool_append(path, ASBB_SPOOL_MAX, "0123456789\n", 11, error) != ASBB_OK)
			failed++;
	}
	writing--;
	return NULL;
}

/*
 * The reader renames, locks, reads: a line is in the old file or in the new one, whole, and never in neither. And nobody is
 * turned away because others write.
 */
static void no_line_is_lost_while_a_reader_takes_files_over(void **state)
{
	pthread_t writers[WRITERS];
	int seen = 0;

	(void)state;
	writing = WRITERS;
	failed = 0;
	for (size_t w = 0; w < WRITERS; w++)
		assert_int_equal(pthread_create(&writers[w], NULL, _write_lines, NULL), 0);
	while (writing > 0 || access(path, F_OK) == 0) {
		char text[WRITERS * LINES * 11 + 1];
		int fd;

		if (rename(path, other) == 0) {
			fd = open(other, O_RDONLY | O_CLOEXEC);
			assert_int_equal(flock(fd, LOCK_EX), 0);
			assert_true(fixture_file_read(other, text, sizeof(text)) % 11 == 0);
			seen += (int)strlen(text) / 11;
			unlink(other);
			close(fd);
		}
		usleep(READER_US);
	}
	for (size_t w = 0; w < WRITERS; w++)
		pthread_join(writers[w], NULL);
	assert_int_equal(failed, 0);
	assert_int_equal(seen, WRITERS * LINES);
}

static void a_check_tells_beforehand(void **state)
{
	char error[ASBB_ERROR_MAX];

	(void)state;
	assert_int_equal(asbb_spool_check(path, error), ASBB_OK);
	assert_int_equal(asbb_spool_check("/nowhere/spool", error), ASBB_ERROR);
	assert_non_null(strstr(error, "SpoolFile /nowhere/spool cannot be opened"));
	assert_int_equal(asbb_spool_append("/dev/full", ASBB_SPOOL_MAX, "x\n", 2, error), ASBB_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines_are_appended_to_a_file_of_ones_own, _begin, _end),
		cmocka_unit_test_setup_teardown(a_line_that_somebody_died_in_is_ended_first, _begin, _end),
		cmocka_unit_test_setup_teardown(it_does_not_grow_past_its_limit, _begin, _end),
		cmocka_unit_test_setup_teardown(what_is_not_ones_own_plain_file_is_refused, _begin, _end),
		cmocka_unit_test_setup_teardown(a_lock_is_not_waited_for_longer_than_it_may, _begin, _end),
		cmocka_unit_test_setup_teardown(no_line_is_lost_while_a_reader_takes_files_over, _begin, _end),
		cmocka_unit_test_setup_teardown(a_check_tells_beforehand, _begin, _end),
	};

	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
