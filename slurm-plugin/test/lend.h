// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What slurmctld has and libslurm has not: a program that is linked with -rdynamic and has these can load the plugin in its
 * place.
 */
#ifndef ASBB_TEST_LEND_H
#define ASBB_TEST_LEND_H

#include <stdbool.h>
#include <stdint.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>
#include <slurm/slurmdb.h>

#define LENT_ACCOUNT "physics"	/* the default account of every user */

extern char *default_part_name;
extern void *acct_db_conn;
int assoc_mgr_fill_in_user(void *db_conn, slurmdb_user_rec_t *user, int enforce, slurmdb_user_rec_t **record, bool locked);

/* Of libslurm, and in no header that packages ship. */
extern char *slurm_xstrdup(const char *text);
extern void slurm_xfree(void **item);

#endif
