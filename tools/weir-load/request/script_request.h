/*
 * A request as the command line has it: text with escapes (script.h), and then
 * with places that each request fills anew (template.h).
 *
 * A brace that an escape stands for is a brace like any other.
 */
#ifndef WEIR_LOAD_SCRIPT_REQUEST_H
#define WEIR_LOAD_SCRIPT_REQUEST_H

#include "template.h"

/* 0; or a negative error with one line in why (TEMPLATE_WHY_SIZE). An empty
 * request is refused. */
int script_request_parse(const char *text, struct template *ret, char *why);

/* The same, of which nothing is kept. */
int script_request_check(const char *text, char *why);

#endif
