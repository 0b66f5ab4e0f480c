// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as what a user typed: one field a line, then numbers. The body must be JSON that jansson reads back. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "request.h"

static void _must(int truth)
{
	if (!truth)
		abort();
}

static void _check_body(const char *body, size_t len, size_t trailing)
{
	json_t *root = json_loadb(body, len - trailing, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(root, "job_name"));

	_must(json_is_object(root));
	_must(len <= ASBB_BODY_MAX + 1 && body[len] == '\0' && strlen(body) == len);
	_must(!name || strlen(name) <= ASBB_JOB_NAME_MAX);
	json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char body[ASBB_BODY_MAX + 2];
	char *fields[8] = { NULL }, *copy = malloc(size + 1), *at = copy, error[ASBB_ERROR_MAX];
	const uint8_t *tail = size >= 8 ? data + size - 8 : NULL;
	struct asbb_change change;
	struct asbb_job job;
	int64_t minutes;
	size_t len;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	/* 0x1e parts fields, so that a job's name may have line feeds. */
	for (size_t i = 0; i < 8 && at; i++) {
		fields[i] = at;
		at = strchr(at, 0x1e);
		if (at)
			*at++ = '\0';
	}
	asbb_job_init(&job);
	job.job_name = fields[0];
	job.account = fields[1];
	job.partition = fields[2];
	job.constraint = fields[3];
	job.array = fields[4];
	job.user = fields[5];
	job.qos = fields[6];
	job.job_script = fields[7];
	if (tail) {
		memcpy(&job.wall_time_minutes, tail, 4);
		memcpy(&job.memory_mib, tail, 8);
		job.nodes = tail[1];
	}
	if (asbb_request_check(&job, "id", 100, body, ASBB_BODY_MAX + 1, &len, error) == ASBB_OK)
		_check_body(body, len, 0);
	else
		_must(error[0] != '\0' && body[0] == '\0');
	if (asbb_request_spool(&job, "id", 0, "timeout", body, sizeof(body), &len, error) == ASBB_OK)
		_check_body(body, len, 1);
	asbb_change_init(&change);
	change.account = fields[1];
	change.partition = fields[2];
	change.wall_time_minutes = job.wall_time_minutes;
	if (asbb_request_adjust(&change, 0, body, ASBB_BODY_MAX + 1, &len, error) == ASBB_OK)
		_check_body(body, len, 0);
	asbb_text_clean(copy, strlen(copy), error, sizeof(error));
	if (asbb_wall_time_parse(fields[0], &minutes) == ASBB_OK)
		_must(minutes > 0 || minutes == ASBB_UNLIMITED);
	free(copy);
	return 0;
}
