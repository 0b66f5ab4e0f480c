// SPDX-License-Identifier: GPL-2.0-or-later
/* Appends lines from stdin to the spool named on its command line, as the plugin does. Ends with 1 at the first that fails. */
#include <stdio.h>
#include <string.h>

#include "spool.h"

int main(int argc, char **argv)
{
	char line[4096], error[ASBB_ERROR_MAX];

	if (argc != 2)
		return 2;
	while (fgets(line, sizeof(line), stdin)) {
		if (asbb_spool_append(argv[1], ASBB_SPOOL_MAX, line, strlen(line), error) != ASBB_OK) {
			fprintf(stderr, "%s\n", error);
			return 1;
		}
	}
	return 0;
}
