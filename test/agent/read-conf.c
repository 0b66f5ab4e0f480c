// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads each file named on its command line with the plugin's own parser, and writes what it found as strings that end in NUL. */
#include <stdio.h>

#include "conf.h"

static void _put(const char *text)
{
	fputs(text, stdout);
	putchar('\0');
}

int main(int argc, char **argv)
{
	static struct asbb_conf conf;
	char error[ASBB_ERROR_MAX];

	for (int i = 1; i < argc; i++) {
		if (asbb_conf_load(argv[i], &conf, error) != ASBB_OK) {
			_put("refused");
			_put(error);
			continue;
		}
		_put("taken");
		_put(conf.endpoint);
		_put(conf.region);
		_put(conf.cluster);
		_put(conf.spool_file);
		_put(conf.enforce ? "yes" : "no");
		for (size_t p = 0; p < conf.partition_count; p++)
			_put(conf.partitions[p].name);
		_put("");
	}
	return 0;
}
