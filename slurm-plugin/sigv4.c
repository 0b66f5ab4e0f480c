// SPDX-License-Identifier: GPL-2.0-or-later
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "sigv4.h"

#define DIGEST_SIZE	32
#define HEX_SIZE	(2 * DIGEST_SIZE + 1)
#define CANONICAL_MAX	8192	/* bytes of the canonical request: a token, a path, a few headers */
#define ALGORITHM	"AWS4-HMAC-SHA256"

/* Text under construction with a cap from birth; once it overflowed it stays so. */
struct text {
	char *at;
	size_t size;
	size_t len;
	bool overflow;
};

static void _add(struct text *text, const char *bytes, size_t len)
{
	if (text->overflow || len >= text->size - text->len) {
		text->overflow = true;
		return;
	}
	memcpy(text->at + text->len, bytes, len);
	text->len += len;
	text->at[text->len] = '\0';
}

static void _add_text(struct text *text, const char *string)
{
	_add(text, string, strlen(string));
}

static void _hex(const unsigned char digest[DIGEST_SIZE], char hex[HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < DIGEST_SIZE; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[HEX_SIZE - 1] = '\0';
}

static bool _sha256_hex(const char *data, size_t len, char hex[HEX_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	if (EVP_Digest(data ? data : "", len, digest, &n, EVP_sha256(), NULL) != 1 || n != DIGEST_SIZE)
		return false;
	_hex(digest, hex);
	return true;
}

static bool _hmac(const void *key, size_t key_len, const char *data, unsigned char out[DIGEST_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	if (!HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)data, strlen(data), digest, &n) || n != DIGEST_SIZE)
		return false;
	memcpy(out, digest, DIGEST_SIZE);
	return true;
}

enum asbb_rc asbb_signer_init(struct asbb_signer *signer, const char *region, const char *service)
{
	memset(signer, 0, sizeof(*signer));
	if (snprintf(signer->region, sizeof(signer->region), "%s", region) < 0 ||
	    snprintf(signer->service, sizeof(signer->service), "%s", service) < 0)
		return ASBB_ERROR;
	return pthread_mutex_init(&signer->lock, NULL) == 0 ? ASBB_OK : ASBB_ERROR;
}

void asbb_signer_wipe(struct asbb_signer *signer)
{
	pthread_mutex_destroy(&signer->lock);
	OPENSSL_cleanse(signer, sizeof(*signer));
}

static bool _derive_key(const struct asbb_signer *signer, const char *secret_key, const char *day,
			unsigned char key[DIGEST_SIZE])
{
	char first[4 + ASBB_SECRET_KEY_MAX + 1];
	int n = snprintf(first, sizeof(first), "AWS4%s", secret_key);
	bool ok = n > 0 && (size_t)n < sizeof(first) && _hmac(first, (size_t)n, day, key) &&
		  _hmac(key, DIGEST_SIZE, signer->region, key) && _hmac(key, DIGEST_SIZE, signer->service, key) &&
		  _hmac(key, DIGEST_SIZE, "aws4_request", key);

	OPENSSL_cleanse(first, sizeof(first));
	return ok;
}

static bool _signing_key(struct asbb_signer *signer, const char *secret_key, const char *day, unsigned char key[DIGEST_SIZE])
{
	bool known;

	pthread_mutex_lock(&signer->lock);
	known = strcmp(signer->day, day) == 0 && strcmp(signer->secret_key, secret_key) == 0;
	if (known)
		memcpy(key, signer->key, DIGEST_SIZE);
	pthread_mutex_unlock(&signer->lock);
	if (known)
		return true;
	if (!_derive_key(signer, secret_key, day, key))
		return false;
	pthread_mutex_lock(&signer->lock);
	memcpy(signer->day, day, sizeof(signer->day));
	memcpy(signer->secret_key, secret_key, strlen(secret_key) + 1);
	memcpy(signer->key, key, DIGEST_SIZE);
	pthread_mutex_unlock(&signer->lock);
	return true;
}

/* Every service but S3 wants the path as it is sent encoded once more; unreserved characters and slashes stay. */
static void _add_path(struct text *text, const char *path)
{
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;
		char escaped[4];

		if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("/-._~", c)) {
			_add(text, path, 1);
			continue;
		}
		if (snprintf(escaped, sizeof(escaped), "%%%02X", c) != 3)
			text->overflow = true;
		else
			_add(text, escaped, 3);
	}
}

/* Blanks at the ends go, and runs of blanks within become one. */
static void _add_trimmed(struct text *text, const char *value)
{
	const char *end = value + strlen(value);

	while (*value == ' ' || *value == '\t')
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	for (; value < end; value++) {
		if ((*value == ' ' || *value == '\t') && (value[1] == ' ' || value[1] == '\t'))
			continue;
		_add(text, *value == '\t' ? " " : value, 1);
	}
}

/* All headers to sign, by name. Few enough for an insertion sort; equal names keep their order. */
static size_t _sort_headers(const struct asbb_sigv4_request *request, const struct asbb_sigv4_header fixed[3],
			    size_t fixed_count, struct asbb_sigv4_header *sorted)
{
	size_t count = 0;

	for (size_t i = 0; i < fixed_count + request->header_count; i++) {
		struct asbb_sigv4_header header = i < fixed_count ? fixed[i] : request->headers[i - fixed_count];
		size_t at = count++;

		while (at > 0 && strcmp(sorted[at - 1].name, header.name) > 0) {
			sorted[at] = sorted[at - 1];
			at--;
		}
		sorted[at] = header;
	}
	return count;
}

static void _add_headers(struct text *canonical, struct text *names, const struct asbb_sigv4_header *sorted, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool repeats = i > 0 && strcmp(sorted[i - 1].name, sorted[i].name) == 0;

		if (repeats) {
			_add_text(canonical, ",");
		} else {
			if (i > 0)
				_add_text(canonical, "\n");
			_add_text(canonical, sorted[i].name);
			_add_text(canonical, ":");
			_add_text(names, names->len ? ";" : "");
			_add_text(names, sorted[i].name);
		}
		_add_trimmed(canonical, sorted[i].value);
	}
	_add_text(canonical, "\n");
}

enum asbb_rc asbb_sigv4_sign(struct asbb_signer *signer, const struct asbb_credentials *credentials,
			     const struct asbb_sigv4_request *request, char amz_date[ASBB_AMZ_DATE_SIZE],
			     char authorization[ASBB_AUTHORIZATION_MAX])
{
	enum asbb_rc rc = ASBB_ERROR;
	struct asbb_sigv4_header sorted[ASBB_SIGV4_HEADERS_MAX + 3];
	const struct asbb_sigv4_header fixed[3] = {
		{ "host", request->host },
		{ "x-amz-date", amz_date },
		{ "x-amz-security-token", credentials->session_token },
	};
	char canonical_bytes[CANONICAL_MAX], names_bytes[512], to_sign[512], scope[256];
	struct text canonical = { canonical_bytes, sizeof(canonical_bytes), 0, false };
	struct text names = { names_bytes, sizeof(names_bytes), 0, false };
	char hash[HEX_SIZE], day[9];
	unsigned char key[DIGEST_SIZE], signature[DIGEST_SIZE];
	time_t t = (time_t)request->now_s;
	struct tm tm;
	size_t count;
	int n;

	amz_date[0] = authorization[0] = '\0';
	if (request->path[0] != '/' || request->header_count > ASBB_SIGV4_HEADERS_MAX)
		return ASBB_INVALID;
	if (!gmtime_r(&t, &tm) || strftime(amz_date, ASBB_AMZ_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) != ASBB_AMZ_DATE_SIZE - 1)
		return ASBB_INVALID;
	memcpy(day, amz_date, 8);
	day[8] = '\0';

	_add_text(&canonical, request->method);
	_add_text(&canonical, "\n");
	_add_path(&canonical, request->path);
	_add_text(&canonical, "\n\n");	/* no query */
	count = _sort_headers(request, fixed, credentials->session_token[0] ? 3 : 2, sorted);
	_add_headers(&canonical, &names, sorted, count);
	_add_text(&canonical, "\n");
	_add_text(&canonical, names.at);
	_add_text(&canonical, "\n");
	if (!_sha256_hex(request->body, request->body_len, hash))
		goto done;
	_add_text(&canonical, hash);
	if (canonical.overflow || names.overflow) {
		rc = ASBB_INVALID;
		goto done;
	}
	if (!_sha256_hex(canonical.at, canonical.len, hash))
		goto done;
	n = snprintf(scope, sizeof(scope), "%s/%s/%s/aws4_request", day, signer->region, signer->service);
	if (n < 0 || (size_t)n >= sizeof(scope))
		goto done;
	n = snprintf(to_sign, sizeof(to_sign), ALGORITHM "\n%s\n%s\n%s", amz_date, scope, hash);
	if (n < 0 || (size_t)n >= sizeof(to_sign))
		goto done;
	if (!_signing_key(signer, credentials->secret_key, day, key) || !_hmac(key, sizeof(key), to_sign, signature))
		goto done;
	_hex(signature, hash);
	n = snprintf(authorization, ASBB_AUTHORIZATION_MAX, ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		     credentials->access_key, scope, names.at, hash);
	if (n > 0 && n < ASBB_AUTHORIZATION_MAX)
		rc = ASBB_OK;
done:
	OPENSSL_cleanse(key, sizeof(key));
	if (rc != ASBB_OK)
		amz_date[0] = authorization[0] = '\0';
	return rc;
}
