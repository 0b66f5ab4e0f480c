// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The least that a question at each submission can cost, for benchmarks: a job_submit plugin that sends bytes of no meaning to
 * the server at PORT over a kept-alive socket, waits for as many as the plugin would, and looks at none of them.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

#define CONNECTIONS	4	/* as MaxConnections= */
#define PADDING		"0000000000000000000000000000000000000000000000000000000000000000000000000000000000"

const char plugin_name[] = "Job submit floor plugin (asbb)";
const char plugin_type[] = "job_submit/floor";
const uint32_t plugin_version = SLURM_VERSION_NUMBER;

static const char REQUEST[] =
	"POST /api/v1/budget/check HTTP/1.1\r\nHost: x\r\nContent-Length: 164\r\nx-padding: " PADDING PADDING PADDING PADDING PADDING
	"\r\n\r\n" PADDING PADDING;

static struct {
	pthread_mutex_t lock;
	int fd;
} connections[CONNECTIONS] = {
	{ PTHREAD_MUTEX_INITIALIZER, -1 },
	{ PTHREAD_MUTEX_INITIALIZER, -1 },
	{ PTHREAD_MUTEX_INITIALIZER, -1 },
	{ PTHREAD_MUTEX_INITIALIZER, -1 },
};

int init(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int yes = 1;

	for (int i = 0; i < CONNECTIONS; i++) {
		connections[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (connections[i].fd < 0 || connect(connections[i].fd, (struct sockaddr *)&to, sizeof(to)) != 0)
			return SLURM_ERROR;
		setsockopt(connections[i].fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	}
	return SLURM_SUCCESS;
}

int fini(void)
{
	for (int i = 0; i < CONNECTIONS; i++)
		close(connections[i].fd);
	return SLURM_SUCCESS;
}

int job_submit(job_desc_msg_t *desc, uint32_t uid, char **err_msg)
{
	char answer[8192];
	ssize_t n;
	int i = 0;

	(void)desc;
	(void)uid;
	(void)err_msg;
	while (i < CONNECTIONS && pthread_mutex_trylock(&connections[i].lock) != 0)
		i++;
	if (i == CONNECTIONS)
		pthread_mutex_lock(&connections[--i].lock);
	n = write(connections[i].fd, REQUEST, sizeof(REQUEST) - 1);
	/* The server answers with one write. */
	if (n > 0)
		n = read(connections[i].fd, answer, sizeof(answer));
	pthread_mutex_unlock(&connections[i].lock);
	return n > 0 ? SLURM_SUCCESS : SLURM_ERROR;
}

#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(23, 2, 0)
int job_modify(job_desc_msg_t *desc, void *record, uint32_t uid, char **err_msg)
{
	(void)err_msg;
#else
int job_modify(job_desc_msg_t *desc, void *record, uint32_t uid)
{
#endif
	(void)desc;
	(void)record;
	(void)uid;
	return SLURM_SUCCESS;
}
