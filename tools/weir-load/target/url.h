/*
 * Targets of weir-load: the forms of tools/common/target.h, and
 * http://HOST[:PORT][/PATH] and other URLs, which combine a transport, a mode
 * and a path.
 */
#ifndef WEIR_LOAD_URL_H
#define WEIR_LOAD_URL_H

#include "tools/common/target.h"

#include <stdbool.h>

/* Returns true for HOST or HOST:PORT, optionally with a path, without a scheme.
 * A host without a port must have a dot or be localhost, because other texts
 * may mean anything. */
bool url_lacks_scheme(const char *text);

/* Returns true for HOST/PATH or HOST:PORT/PATH, which only HTTP has. */
bool url_is_http_place(const char *text);

/* Parses a target like target_parse(). */
int url_parse(const char *text, bool listening, struct target *ret, char *why);

#endif
