/*
 * Targets of weir-load: those of tools/common/target.h, and
 * http://HOST[:PORT][/PATH] and https://, which are a transport, a mode and a
 * path in one.
 */
#ifndef WEIR_LOAD_URL_H
#define WEIR_LOAD_URL_H

#include "tools/common/target.h"

#include <stdbool.h>

/* Read a target as target_parse() does, which see. */
int url_parse(const char *text, bool listening, struct target *ret, char *why);

#endif
