/*
 * A configuration of weir-proxy from directives as a file has them.
 *
 * A text has several: "listen unix:/a; to unix:/b". Each is on a line of its
 * own.
 */
#ifndef WEIR_TESTS_UNIT_PROXY_CONFIG_H
#define WEIR_TESTS_UNIT_PROXY_CONFIG_H

#include "tests/unit.h"
#include "tools/weir-proxy/config/words.h"

struct directive {
    char name[32];
    char value[512];
};

extern struct config config;
extern char why[OPTION_WHY_SIZE]; /* of the last directive or check */

/* Runs a body with an empty configuration. */
void with_empty(void (*body)(void));

/* Applies a directive. */
void says(const char *name, const char *value);

/* Returns false if a text has no directive number @line, from 1. */
bool directive_at(const char *text, unsigned line, struct directive *ret);

/* Expects that the configuration is refused, with @reason and at the directive
 * @name, NULL for none; @text has its directives. */
void expect_lack(const char *name, const char *reason, const char *text);

#endif
