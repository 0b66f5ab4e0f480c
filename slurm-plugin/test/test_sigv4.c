// SPDX-License-Identifier: GPL-2.0-or-later
/* AWS's published vectors: "Signature Version 4 test suite" (aws-sig-v4-test-suite), those without a query. */
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "sigv4.h"

#define NOW_S 1440938160 /* 20150830T123600Z */
#define TOKEN                                                                                                                  \
	"AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSE"  \
	"I/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rK" \
	"wT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

static const struct vector {
	const char *name, *method, *path;
	struct asbb_sigv4_header headers[3];
	size_t header_count;
	const char *body, *token, *signed_headers, *signature;
} VECTORS[] = {
	{ "get-vanilla", "GET", "/", { { 0 } }, 0, "", "", "host;x-amz-date",
	  "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
	{ "get-unreserved", "GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", { { 0 } }, 0, "", "",
	  "host;x-amz-date", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f" },
	{ "get-utf8", "GET", "/\xE1\x88\xB4", { { 0 } }, 0, "", "", "host;x-amz-date",
	  "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85" },
	{ "get-header-key-duplicate", "GET", "/", { { "my-header1", "value2" }, { "my-header1", "value2" }, { "my-header1", "value1" } },
	  3, "", "", "host;my-header1;x-amz-date", "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea" },
	{ "get-header-value-trim", "GET", "/", { { "my-header1", " value1" }, { "my-header2", " \"a   b   c\"" } }, 2, "", "",
	  "host;my-header1;my-header2;x-amz-date", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736" },
	{ "post-vanilla", "POST", "/", { { 0 } }, 0, "", "", "host;x-amz-date",
	  "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
	{ "post-header-key-sort", "POST", "/", { { "my-header1", "value1" } }, 1, "", "", "host;my-header1;x-amz-date",
	  "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c" },
	{ "post-header-value-case", "POST", "/", { { "my-header1", "VALUE1" } }, 1, "", "", "host;my-header1;x-amz-date",
	  "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d" },
	{ "post-sts-header-before", "POST", "/", { { 0 } }, 0, "", TOKEN, "host;x-amz-date;x-amz-security-token",
	  "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead" },
	{ "post-x-www-form-urlencoded", "POST", "/", { { "content-type", "application/x-www-form-urlencoded" } }, 1, "Param1=value1",
	  "", "content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a" },
	{ "post-x-www-form-urlencoded-parameters", "POST", "/",
	  { { "content-type", "application/x-www-form-urlencoded; charset=utf8" } }, 1, "Param1=value1", "",
	  "content-type;host;x-amz-date", "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe" },
};

static struct asbb_credentials _example(const char *token)
{
	struct asbb_credentials credentials = { .access_key = "AKIDEXAMPLE",
						.secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };

	memcpy(credentials.session_token, token, strlen(token) + 1);
	return credentials;
}

static void awss_vectors(void **state)
{
	struct asbb_signer signer;

	(void)state;
	assert_int_equal(asbb_signer_init(&signer, "us-east-1", "service"), ASBB_OK);
	for (size_t i = 0; i < COUNT_OF(VECTORS); i++) {
		const struct vector *v = &VECTORS[i];
		const struct asbb_credentials credentials = _example(v->token);
		const struct asbb_sigv4_request request = {
			.method = v->method, .host = "example.amazonaws.com", .path = v->path, .headers = v->headers,
			.header_count = v->header_count, .body = v->body, .body_len = strlen(v->body), .now_s = NOW_S,
		};
		char date[ASBB_AMZ_DATE_SIZE], authorization[ASBB_AUTHORIZATION_MAX], expected[ASBB_AUTHORIZATION_MAX];

		assert_int_equal(asbb_sigv4_sign(&signer, &credentials, &request, date, authorization), ASBB_OK);
		assert_string_equal(date, "20150830T123600Z");
		assert_true(snprintf(expected, sizeof(expected),
				     "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=%s, Signature=%s",
				     v->signed_headers, v->signature) > 0);
		if (strcmp(authorization, expected) != 0)
			fail_msg("%s:\n%s\nnot\n%s", v->name, authorization, expected);
	}
	asbb_signer_wipe(&signer);
}

/* The kept key must follow the day and the credentials. */
static void the_signing_key_is_kept_only_as_long_as_it_is_right(void **state)
{
	struct asbb_signer kept, fresh;
	struct asbb_credentials one = _example(""), other = _example("");
	struct asbb_sigv4_request request = { .method = "GET", .host = "h", .path = "/", .now_s = NOW_S };
	char date[ASBB_AMZ_DATE_SIZE], a[ASBB_AUTHORIZATION_MAX], b[ASBB_AUTHORIZATION_MAX];

	(void)state;
	other.secret_key[0] = 'x';
	assert_int_equal(asbb_signer_init(&kept, "us-east-1", "execute-api"), ASBB_OK);
	for (int i = 0; i < 8; i++) {
		const struct asbb_credentials *credentials = i & 1 ? &one : &other;

		request.now_s = NOW_S + (i & 2 ? 86400 : 0) + (i & 4 ? 1 : 0);
		assert_int_equal(asbb_signer_init(&fresh, "us-east-1", "execute-api"), ASBB_OK);
		assert_int_equal(asbb_sigv4_sign(&kept, credentials, &request, date, a), ASBB_OK);
		assert_int_equal(asbb_sigv4_sign(&fresh, credentials, &request, date, b), ASBB_OK);
		assert_string_equal(a, b);
		asbb_signer_wipe(&fresh);
	}
	asbb_signer_wipe(&kept);
}

static void what_cannot_be_signed_is_refused(void **state)
{
	static char token[ASBB_SESSION_TOKEN_MAX + 1], path[9000];
	struct asbb_signer signer;
	struct asbb_credentials credentials;
	struct asbb_sigv4_request request = { .method = "GET", .host = "h", .path = "", .now_s = NOW_S };
	char date[ASBB_AMZ_DATE_SIZE], authorization[ASBB_AUTHORIZATION_MAX];

	(void)state;
	assert_int_equal(asbb_signer_init(&signer, "us-east-1", "execute-api"), ASBB_OK);
	memset(token, 't', sizeof(token) - 1);
	credentials = _example(token);
	assert_int_equal(asbb_sigv4_sign(&signer, &credentials, &request, date, authorization), ASBB_INVALID);
	request.path = "/";
	assert_int_equal(asbb_sigv4_sign(&signer, &credentials, &request, date, authorization), ASBB_OK);
	memset(path, '/', sizeof(path) - 1);
	request.path = path;
	assert_int_equal(asbb_sigv4_sign(&signer, &credentials, &request, date, authorization), ASBB_INVALID);
	assert_string_equal(authorization, "");
	request.path = "/";
	request.header_count = ASBB_SIGV4_HEADERS_MAX + 1;
	assert_int_equal(asbb_sigv4_sign(&signer, &credentials, &request, date, authorization), ASBB_INVALID);
	request.header_count = 0;
	request.now_s = INT64_MAX;
	assert_int_equal(asbb_sigv4_sign(&signer, &credentials, &request, date, authorization), ASBB_INVALID);
	asbb_signer_wipe(&signer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(awss_vectors),
		cmocka_unit_test(the_signing_key_is_kept_only_as_long_as_it_is_right),
		cmocka_unit_test(what_cannot_be_signed_is_refused),
	};

	return cmocka_run_group_tests_name("sigv4", tests, NULL, NULL);
}
