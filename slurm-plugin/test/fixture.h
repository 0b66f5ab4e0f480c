// SPDX-License-Identifier: GPL-2.0-or-later
/* What several tests need: cmocka's headers in their order, the bad server, a folder that is removed, a file with text. */
#ifndef ASBB_TEST_FIXTURE_H
#define ASBB_TEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct fixture_server {
	int pid;
	int port;
	int tls_port;	/* 0 without a certificate */
	int input;	/* closing it ends the server */
};

/* Start test/server.py on a free port of 127.0.0.1. Ends the test if that fails. */
void fixture_server_start(struct fixture_server *server);
/* The same, with TLS on a second port: certificate names a PEM file of a certificate and its key. */
void fixture_server_start_tls(struct fixture_server *server, const char *certificate);
void fixture_server_stop(struct fixture_server *server);
/* Ask the server for its state, as JSON, or tell it something with a path of /control/. */
void fixture_server_get(const struct fixture_server *server, const char *path, char *body, size_t size);

/* A new folder below the system's temporary one. */
void fixture_folder_make(char path[256]);
void fixture_folder_remove(const char *path);
void fixture_file_write(const char *path, const char *text, unsigned int mode);
/* Make a certificate for localhost, signed by itself, and its key, in one PEM file. */
void fixture_certificate_make(const char *path);
/* Gives the length of what was read, or -1. */
long fixture_file_read(const char *path, char *text, size_t size);

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
