// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Appends lines from stdin to the spool named on its command line, as the plugin does. A line that is refused (under load the
 * lock may take too long) is tried again, as its user would; ends with 1 if that does not help.
 */
#include <stdio.h>
#include <string.h>

#include "spool.h"

#define TRIES	100

static int _append(const char *path, const char *line)
{
	char error[ASBB_ERROR_MAX];

	for (int i = 0; i < TRIES; i++) {
		if (asbb_spool_append(path, ASBB_SPOOL_MAX, line, strlen(line), error) == ASBB_OK)
			return 0;
	}
	fprintf(stderr, "%s\n", error);
	return 1;
}

int main(int argc, char **argv)
{
	char line[4096];

	if (argc != 2)
		return 2;
	while (fgets(line, sizeof(line), stdin)) {
		if (_append(argv[1], line) != 0)
			return 1;
	}
	return 0;
}
