/*
 * Error codes (errors.h) of the errors that Redis answers with. Each
 * kind, named by the first word of the error's text, is counted
 * separately.
 */
#ifndef WEIR_LOAD_REDIS_ERRORS_H
#define WEIR_LOAD_REDIS_ERRORS_H

#include <stddef.h>

/* First code; the other codes decrease from it. */
enum {
    REDIS_ERROR = -5200,
};

/* Returns the code of a text like "WRONGTYPE Operation against ...". Unknown
 * words are REDIS_OTHER. */
int redis_error_of(const char *text, size_t len);

/* Returns a name like "REDIS_WRONGTYPE", or NULL if the code is not of
 * Redis. */
const char *redis_error_name(int code);

/* Returns one line without a full stop. The code must have a name. */
const char *redis_error_text(int code);

#endif
