// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ends a job as srun does when its step was out of memory: by Slurm's own request, with the exit status that stands for it.
 * The kernel tells slurmstepd through cgroups only, which these tests have not.
 */
#include <slurm/slurm.h>
#include <stdlib.h>

#define SIG_OOM 253 /* Slurm: src/common/slurm_protocol_defs.h */

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	slurm_init(NULL);
	return slurm_complete_job(strtoul(argv[1], NULL, 10), SIG_OOM) == SLURM_SUCCESS ? 0 : 1;
}
