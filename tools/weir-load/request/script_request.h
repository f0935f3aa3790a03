/*
 * A request as given on the command line: text with escapes (script.h), which
 * are decoded first, and then placeholders (template.h). A brace written as an
 * escape may start a placeholder like any other brace.
 */
#ifndef WEIR_LOAD_SCRIPT_REQUEST_H
#define WEIR_LOAD_SCRIPT_REQUEST_H

#include "template.h"

/* Parses a request. Returns 0, or a negative error with one line in @why
 * (WHY_SIZE). An empty request is refused. */
int script_request_parse(const char *text, struct template *ret, char *why);

int script_request_check(const char *text, char *why);

#endif
