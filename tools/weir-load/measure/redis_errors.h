/*
 * Codes of errors (errors.h) of the errors that Redis answers with.
 *
 * By their first word, which says what kind they are, each is counted and named
 * apart.
 */
#ifndef WEIR_LOAD_REDIS_ERRORS_H
#define WEIR_LOAD_REDIS_ERRORS_H

#include <stddef.h>

/* From here on down. */
enum {
    REDIS_ERROR = -5200,
};

/* By the text of an error, as "WRONGTYPE Operation against ...". One whose word
 * is not known is REDIS_OTHER. */
int redis_error_of(const char *text, size_t len);

/* "REDIS_WRONGTYPE"; NULL: it is no such code. */
const char *redis_error_name(int code);

/* One line without a dot at its end, of a code that has a name. */
const char *redis_error_text(int code);

#endif
