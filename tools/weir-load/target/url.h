/*
 * Targets of weir-load: those of tools/common/target.h, and
 * http://HOST[:PORT][/PATH] and https://, which are a transport, a mode and a
 * path in one.
 */
#ifndef WEIR_LOAD_URL_H
#define WEIR_LOAD_URL_H

#include "tools/common/target.h"

#include <stdbool.h>

/* Is it HOST, HOST:PORT or either with a path, without a scheme? A host without
 * a port has a dot, or is localhost: others are words like any. */
bool url_lacks_scheme(const char *text);

/* Is it HOST/PATH or HOST:PORT/PATH, which HTTP alone has? */
bool url_is_http_place(const char *text);

/* Read a target as target_parse() does, which see. */
int url_parse(const char *text, bool listening, struct target *ret, char *why);

#endif
