// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Submit one held job through libslurm, for what sbatch cannot say: submit PARTITION ADMIN_COMMENT. Prints its id.
 * slurmctld takes an admin_comment from root only.
 */
#include <stdio.h>
#include <unistd.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

int main(int argc, char **argv)
{
	char *environment[] = { "PATH=/usr/bin:/bin", NULL };
	submit_response_msg_t *response = NULL;
	job_desc_msg_t desc;

	if (argc != 3)
		return 2;
	slurm_init(NULL);
	slurm_init_job_desc_msg(&desc);
	desc.name = "submit";
	desc.account = "physics";
	desc.partition = argv[1];
	desc.admin_comment = argv[2];
	desc.time_limit = 1;
	desc.min_nodes = desc.max_nodes = 1;
	desc.priority = 0;
	desc.user_id = getuid();
	desc.group_id = getgid();
	desc.work_dir = "/";
	desc.script = "#!/bin/sh\n";
	desc.environment = environment;
	desc.env_size = 1;
	if (slurm_submit_batch_job(&desc, &response) != SLURM_SUCCESS || !response) {
		fprintf(stderr, "%s\n", slurm_strerror(slurm_get_errno()));
		return 1;
	}
	printf("%u\n", response->job_id);
	slurm_free_submit_response_response_msg(response);
	slurm_fini();
	return 0;
}
