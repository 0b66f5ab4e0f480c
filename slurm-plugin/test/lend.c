// SPDX-License-Identifier: GPL-2.0-or-later
#include "lend.h"

char *default_part_name;
void *acct_db_conn;

int assoc_mgr_fill_in_user(void *db_conn, slurmdb_user_rec_t *user, int enforce, slurmdb_user_rec_t **record, bool locked)
{
	static char account[] = LENT_ACCOUNT;

	(void)db_conn;
	(void)enforce;
	(void)record;
	(void)locked;
	user->default_acct = account;
	return SLURM_SUCCESS;
}
