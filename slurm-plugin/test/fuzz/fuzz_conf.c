// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as asbb.conf: refused with a sentence, or a configuration that keeps its promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

static void _must(int truth)
{
	if (!truth)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct asbb_conf conf;
	char error[ASBB_ERROR_MAX];
	enum asbb_rc rc = asbb_conf_parse((const char *)data, size, "asbb.conf", &conf, error);

	_must(rc == ASBB_OK || rc == ASBB_INVALID);
	_must(memchr(error, '\0', sizeof(error)) != NULL);
	if (rc != ASBB_OK) {
		_must(strncmp(error, "asbb.conf:", 10) == 0);
		return 0;
	}
	_must(conf.timeout_ms >= 50 && conf.timeout_ms <= 9000 && conf.connect_timeout_ms >= 10);
	_must(conf.partition_count >= 1 && conf.partition_count <= ASBB_CONF_PARTITIONS_MAX);
	_must(conf.host[0] && strlen(conf.endpoint) > strlen(conf.path));
	_must(strcmp(conf.endpoint + strlen(conf.endpoint) - strlen(conf.path), conf.path) == 0);
	_must(strncmp(conf.endpoint, "http://", 7) == 0 || conf.region[0]);
	for (size_t i = 0; i < conf.partition_count; i++)
		_must(conf.partitions[i].fail_mode == ASBB_FAIL_CLOSED || conf.spool_file[0] == '/');
	return 0;
}
