// SPDX-License-Identifier: GPL-2.0-or-later
/* Prints an Authorization header: tool_sign SECONDS METHOD HOST PATH BODY TOKEN [name value]... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sigv4.h"

int main(int argc, char **argv)
{
	struct asbb_credentials credentials = { .access_key = "AKIDEXAMPLE",
						.secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
	struct asbb_sigv4_header headers[ASBB_SIGV4_HEADERS_MAX];
	struct asbb_sigv4_request request = { .headers = headers };
	struct asbb_signer signer;
	char date[ASBB_AMZ_DATE_SIZE], authorization[ASBB_AUTHORIZATION_MAX];

	if (argc < 7 || strlen(argv[6]) > ASBB_SESSION_TOKEN_MAX)
		return 2;
	request.now_s = strtoll(argv[1], NULL, 10);
	request.method = argv[2];
	request.host = argv[3];
	request.path = argv[4];
	request.body = argv[5];
	request.body_len = strlen(argv[5]);
	memcpy(credentials.session_token, argv[6], strlen(argv[6]) + 1);
	for (int i = 7; i + 1 < argc && request.header_count < ASBB_SIGV4_HEADERS_MAX; i += 2)
		headers[request.header_count++] = (struct asbb_sigv4_header){ argv[i], argv[i + 1] };
	if (asbb_signer_init(&signer, "eu-central-1", "execute-api") != ASBB_OK ||
	    asbb_sigv4_sign(&signer, &credentials, &request, date, authorization) != ASBB_OK)
		return 1;
	asbb_signer_wipe(&signer);
	printf("%s\n", authorization);
	return 0;
}
