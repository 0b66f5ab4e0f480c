// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as the API's answer: two bytes choose the status and whether a hold is expected, the rest is the body. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decide.h"

#define ID "0e5cf4d2-4f0c-4d2f-9c55-4e4c2c6b0b1a"

static void _must(int truth)
{
	if (!truth)
		abort();
}

static void _check_line(const char *text, size_t size)
{
	_must(memchr(text, '\0', size) != NULL);
	for (; *text; text++)
		_must(*text >= ' ' && *text <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = { 200, 400, 404, 409, 413, 422, 403, 429, 500, 302, 0, 201 };
	struct asbb_conf conf = { .partitions = { { "aws", ASBB_FAIL_CLOSED } }, .partition_count = 1, .notify = true };
	struct asbb_outcome outcome;
	struct asbb_decision decision;
	struct asbb_change change;
	struct asbb_job job;

	if (size < 2)
		return 0;
	conf.on_refusal = data[1] & 2 ? ASBB_ON_REFUSAL_DROP : ASBB_ON_REFUSAL_REFUSE;
	outcome.rc = asbb_answer_read(statuses[data[0] % 12], (const char *)data + 2, size - 2, data[1] & 1 ? ID : NULL, &outcome.verdict);
	_must(outcome.verdict.available == (outcome.rc == ASBB_OK));
	_must(outcome.rc != ASBB_OK || !(data[1] & 1) || strlen(outcome.verdict.hold_id) == ASBB_UUID_SIZE - 1);
	_check_line(outcome.verdict.message, sizeof(outcome.verdict.message));
	_check_line(outcome.verdict.code, sizeof(outcome.verdict.code));
	_check_line(outcome.verdict.hold_amount, sizeof(outcome.verdict.hold_amount));
	asbb_job_init(&job);
	job.account = "physics";
	job.partition = "aws,local";
	asbb_decide_check(&conf, &job, &outcome, &decision);
	_check_line(decision.message, sizeof(decision.message));
	_must(decision.action != ASBB_ADMIT || outcome.rc == ASBB_OK);
	_must(decision.action != ASBB_FAIL || outcome.rc != ASBB_DENIED);
	asbb_change_init(&change);
	change.partition = "aws";
	asbb_decide_modify(&conf, &change, &outcome, &decision);
	_check_line(decision.message, sizeof(decision.message));
	_must(decision.action == ASBB_PASS || decision.action == ASBB_REFUSE);
	return 0;
}
