// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "spool.h"

#define LOCK_STEP_MS	2
#define RENAMED_MS	1	/* what a reader's rename between our open and our lock costs, so that no loop is without end */

static enum asbb_rc _cannot(const char *path, const char *what, char error[ASBB_ERROR_MAX])
{
	if (snprintf(error, ASBB_ERROR_MAX, "SpoolFile %.300s %s (errno %d)", path, what, errno) < 0)
		error[0] = '\0';
	return ASBB_ERROR;
}

/*
 * Threads of this process go one after the other, in the order of their coming: who only polls for the file's lock may find it
 * taken until his time is up while others take it again and again, and slurmctld has many threads (23.02 and later).
 */
struct waiter {
	struct waiter *next;
};

static struct {
	pthread_once_t once;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct waiter *first;	/* whose turn it is */
} line = { .once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER };

static void _prepare_line(void)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&line.moved, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

/* The lock is held. */
static struct waiter **_place_of(const struct waiter *waiter)
{
	struct waiter **place = &line.first;

	while (*place != waiter)
		place = &(*place)->next;
	return place;
}

static void _leave_line(struct waiter *self)
{
	pthread_mutex_lock(&line.lock);
	*_place_of(self) = self->next;
	pthread_cond_broadcast(&line.moved);
	pthread_mutex_unlock(&line.lock);
}

static bool _enter_line(struct waiter *self)
{
	struct timespec until;
	bool is_turn;

	pthread_once(&line.once, _prepare_line);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ASBB_SPOOL_LINE_S;
	self->next = NULL;
	pthread_mutex_lock(&line.lock);
	*_place_of(NULL) = self;
	while (line.first != self && pthread_cond_timedwait(&line.moved, &line.lock, &until) == 0)
		;
	is_turn = line.first == self;
	pthread_mutex_unlock(&line.lock);
	if (!is_turn)
		_leave_line(self);
	return is_turn;
}

/* Takes what is left to wait, and what it waited off that. */
static bool _lock(int fd, int *left_ms)
{
	for (; *left_ms >= 0; *left_ms -= LOCK_STEP_MS) {
		const struct timespec step = { .tv_nsec = LOCK_STEP_MS * 1000000L };

		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return false;
		nanosleep(&step, NULL);
	}
	errno = EWOULDBLOCK;
	return false;
}

/* A new file's name is not on disk before its directory is. */
static bool _sync_directory(const char *path)
{
	char directory[ASBB_PATH_MAX + 1];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 0;
	bool ok;
	int fd;

	if (len >= sizeof(directory))
		return false;
	memcpy(directory, path, len);
	directory[len] = '\0';
	fd = open(len ? directory : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = fsync(fd) == 0;
	close(fd);
	return ok;
}

/* Give a locked descriptor of the file that has this name now. */
static enum asbb_rc _open(const char *path, int *out, struct stat *st, char error[ASBB_ERROR_MAX])
{
	struct stat named;
	int fd;

	*out = -1;
	/* All files that had the name in turn share one wait: slurmctld's locks are held. */
	for (int left_ms = ASBB_SPOOL_LOCK_MS; left_ms >= 0; left_ms -= RENAMED_MS) {
		bool is_new = false;

		fd = open(path, O_RDWR | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0 && errno == ENOENT) {
			fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
			is_new = fd >= 0;
			if (fd < 0 && errno == EEXIST)
				continue;
		}
		if (fd < 0)
			return _cannot(path, errno == ELOOP ? "is a symbolic link: name the file itself" : "cannot be opened", error);
		if (!_lock(fd, &left_ms)) {
			_cannot(path, "is locked by another process", error);
			break;
		}
		if (fstat(fd, st) != 0) {
			_cannot(path, "cannot be looked at", error);
			break;
		}
		if (lstat(path, &named) != 0 || named.st_ino != st->st_ino || named.st_dev != st->st_dev) {
			close(fd);
			continue;
		}
		if (!S_ISREG(st->st_mode) || st->st_nlink != 1) {
			_cannot(path, "is no plain file of one name", error);
			break;
		}
		if (st->st_uid != geteuid() || (st->st_mode & 022)) {
			_cannot(path, "must belong to the user of slurmctld, and be writable for nobody else", error);
			break;
		}
		if (is_new && !_sync_directory(path)) {
			_cannot(path, "is in a directory that cannot be synced", error);
			break;
		}
		*out = fd;
		return ASBB_OK;
	}
	if (fd >= 0 && error[0])
		close(fd);
	else if (!error[0])
		_cannot(path, "is renamed all the time", error);
	return ASBB_ERROR;
}

static bool _write(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

static enum asbb_rc _append(const char *path, size_t max, const char *text, size_t len, char error[ASBB_ERROR_MAX])
{
	enum asbb_rc rc = ASBB_ERROR;
	struct stat st;
	char last = '\n';
	int fd;

	if (_open(path, &fd, &st, error) != ASBB_OK)
		return ASBB_ERROR;
	if ((size_t)st.st_size > max || len + 1 > max - (size_t)st.st_size) {
		errno = EFBIG;
		_cannot(path, "is full: is the agent running?", error);
		goto done;
	}
	/* Whoever died in the middle of a line must not take ours along. */
	if (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1) {
		_cannot(path, "cannot be read", error);
		goto done;
	}
	if ((last != '\n' && !_write(fd, "\n", 1)) || !_write(fd, text, len) || fsync(fd) != 0) {
		_cannot(path, "cannot be written", error);
		if (ftruncate(fd, st.st_size) != 0)
			_cannot(path, "cannot be written, nor cut back", error);
		goto done;
	}
	rc = ASBB_OK;
done:
	close(fd);
	return rc;
}

enum asbb_rc asbb_spool_append(const char *path, size_t max, const char *text, size_t len, char error[ASBB_ERROR_MAX])
{
	struct waiter self;
	enum asbb_rc rc;

	error[0] = '\0';
	if (!_enter_line(&self)) {
		errno = EBUSY;
		return _cannot(path, "has too many writers before us", error);
	}
	rc = _append(path, max, text, len, error);
	_leave_line(&self);
	return rc;
}

enum asbb_rc asbb_spool_check(const char *path, char error[ASBB_ERROR_MAX])
{
	struct stat st;
	int fd;

	error[0] = '\0';
	if (_open(path, &fd, &st, error) != ASBB_OK)
		return ASBB_ERROR;
	close(fd);
	return ASBB_OK;
}
