// SPDX-License-Identifier: GPL-2.0-or-later
#include "fixture.h"

#include "breaker.h"

static void the_first_timeout_opens_it(void **state)
{
	struct asbb_breaker breaker;

	(void)state;
	asbb_breaker_init(&breaker, 3, 30000);
	assert_true(asbb_breaker_allows(&breaker));
	assert_true(asbb_breaker_record(&breaker, ASBB_TIMEOUT, 1000));
	assert_false(asbb_breaker_allows(&breaker));
	/* Others that were under way: it opens once. */
	assert_false(asbb_breaker_record(&breaker, ASBB_TIMEOUT, 1001));
}

static void errors_in_a_row_open_it(void **state)
{
	static const enum asbb_rc errors[] = { ASBB_UNREACHABLE, ASBB_BAD_RESPONSE, ASBB_UNAVAILABLE };
	struct asbb_breaker breaker;

	(void)state;
	asbb_breaker_init(&breaker, 3, 30000);
	for (int i = 0; i < 2; i++)
		assert_false(asbb_breaker_record(&breaker, errors[i], 0));
	assert_false(asbb_breaker_record(&breaker, ASBB_DENIED, 0));
	for (int i = 0; i < 2; i++)
		assert_false(asbb_breaker_record(&breaker, errors[i], 0));
	assert_true(asbb_breaker_allows(&breaker));
	assert_true(asbb_breaker_record(&breaker, errors[2], 0));
	assert_false(asbb_breaker_allows(&breaker));
}

static void what_says_nothing_of_the_api_does_not_count(void **state)
{
	static const enum asbb_rc silent[] = { ASBB_INVALID, ASBB_FORBIDDEN, ASBB_NO_CREDENTIALS, ASBB_BREAKER_OPEN, ASBB_NOMEM,
					       ASBB_ERROR };
	struct asbb_breaker breaker;

	(void)state;
	asbb_breaker_init(&breaker, 1, 30000);
	for (size_t i = 0; i < COUNT_OF(silent); i++)
		assert_false(asbb_breaker_record(&breaker, silent[i], 0));
	assert_true(asbb_breaker_allows(&breaker));
}

static void only_a_probe_closes_it(void **state)
{
	struct asbb_breaker breaker;

	(void)state;
	asbb_breaker_init(&breaker, 3, 30000);
	assert_false(asbb_breaker_is_probe_due(&breaker, 1000000));
	asbb_breaker_record(&breaker, ASBB_TIMEOUT, 1000);
	assert_false(asbb_breaker_record(&breaker, ASBB_OK, 1500));
	assert_false(asbb_breaker_allows(&breaker));
	assert_false(asbb_breaker_is_probe_due(&breaker, 30999));
	assert_true(asbb_breaker_is_probe_due(&breaker, 31000));
	assert_false(asbb_breaker_allows(&breaker));
	assert_false(asbb_breaker_probed(&breaker, false, 31500));
	assert_false(asbb_breaker_is_probe_due(&breaker, 61499));
	assert_true(asbb_breaker_is_probe_due(&breaker, 61500));
	assert_true(asbb_breaker_probed(&breaker, true, 61600));
	assert_true(asbb_breaker_allows(&breaker));
	assert_false(asbb_breaker_is_probe_due(&breaker, 1000000));
	/* It begins to count anew. */
	assert_false(asbb_breaker_record(&breaker, ASBB_UNREACHABLE, 61700));
	assert_true(asbb_breaker_allows(&breaker));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_timeout_opens_it),
		cmocka_unit_test(errors_in_a_row_open_it),
		cmocka_unit_test(what_says_nothing_of_the_api_does_not_count),
		cmocka_unit_test(only_a_probe_closes_it),
	};

	return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
