// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

extern char **environ;

static void _need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

void fixture_server_start(struct fixture_server *server)
{
	fixture_server_start_tls(server, NULL);
}

void fixture_server_start_tls(struct fixture_server *server, const char *certificate)
{
	char *argv[] = { (char *)"python3", (char *)"test/server.py", (char *)certificate, NULL };
	char text[32] = "", *end;
	posix_spawn_file_actions_t actions;
	int in[2], out[2];

	_need(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0, "pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	_need(posix_spawnp(&server->pid, "python3", &actions, NULL, argv, environ) == 0, "python3 test/server.py");
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	server->input = in[1];
	for (size_t n = 0; n < sizeof(text) - 1 && !strchr(text, '\n'); n++)
		_need(read(out[0], text + n, 1) == 1, "the server's port");
	close(out[0]);
	server->port = (int)strtol(text, &end, 10);
	server->tls_port = (int)strtol(end, NULL, 10);
}

void fixture_server_stop(struct fixture_server *server)
{
	close(server->input);
	kill(server->pid, SIGTERM);
	waitpid(server->pid, NULL, 0);
}

void fixture_server_get(const struct fixture_server *server, const char *path, char *body, size_t size)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)server->port) };
	char request[256], answer[65536];
	size_t len = 0;
	ssize_t n;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *start = NULL;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	_need(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "connect");
	n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
	_need(n > 0 && write(fd, request, (size_t)n) == n, "write");
	/* The server answers with one send. */
	while (len < sizeof(answer) - 1 && (n = read(fd, answer + len, sizeof(answer) - 1 - len)) > 0) {
		len += (size_t)n;
		answer[len] = '\0';
		start = strstr(answer, "\r\n\r\n");
		if (start && start[4])
			break;
	}
	close(fd);
	_need(start != NULL, "an answer");
	if (body)
		_need(snprintf(body, size, "%s", start + 4) >= 0, "body");
}

void fixture_folder_make(char path[256])
{
	_need(snprintf(path, 256, "%s/asbb-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp") > 0, "path");
	_need(mkdtemp(path) != NULL, "mkdtemp");
}

void fixture_folder_remove(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;

	while (folder && (entry = readdir(folder)))
		unlinkat(dirfd(folder), entry->d_name, 0);
	if (folder)
		closedir(folder);
	rmdir(path);
}

void fixture_file_write(const char *path, const char *text, unsigned int mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	_need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0, path);
	close(fd);
}

void fixture_certificate_make(const char *path)
{
	char *argv[] = { (char *)"openssl", (char *)"req", (char *)"-x509", (char *)"-newkey", (char *)"rsa:2048", (char *)"-nodes",
			 (char *)"-days", (char *)"2", (char *)"-subj", (char *)"/CN=localhost", (char *)"-addext",
			 (char *)"subjectAltName=DNS:localhost", (char *)"-keyout", (char *)path, (char *)"-out", (char *)path, NULL };
	posix_spawn_file_actions_t actions;
	int status = -1;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	_need(posix_spawnp(&pid, "openssl", &actions, NULL, argv, environ) == 0, "openssl");
	posix_spawn_file_actions_destroy(&actions);
	_need(waitpid(pid, &status, 0) == pid && status == 0, "a certificate");
}

long fixture_file_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return (long)n;
}
