/*
 * A kind of request as a line of a file has it, behind the weight of a mix
 * (mix.h) or the time of a replay (replay.h): for HTTP a method, a path and
 * perhaps a body, or a path alone, which is a GET; for other protocols where
 * the answer ends, perhaps what it begins with, and the request.
 *
 *     POST /items {"id": {seq}}
 *     delim:\r\n begin:STORED set key{rand:1:1000} 0 0 5\r\nhello\r\n
 */
#ifndef WEIR_LOAD_REQUEST_KIND_H
#define WEIR_LOAD_REQUEST_KIND_H

#include "script.h"

#include <stdbool.h>
#include <stddef.h>

struct request_kind {
    /* The line as it was written. */
    char *line;
    /* HTTP; the body may be NULL. */
    const char *method;
    const char *path;
    const char *body;
    /* Others: with escapes, and where the answer ends. */
    const char *request;
    struct script_rule *rule;
};

/* Keep a line. Returns a second copy, of which request_kind_read() cuts the
 * words and which the kind owns; or NULL, and there is no memory. */
char *request_kind_keep(struct request_kind *kind, const char *line,
                        size_t len);

/* Read what stands in the copy from words on. 0, or a negative error with one
 * line in why (TEMPLATE_WHY_SIZE); the kind is to be freed in any case. */
int request_kind_read(struct request_kind *kind, char *words, bool is_http,
                      char *why);

/* Cut off the first word of a text; what follows the blanks behind it is left.
 */
char *request_kind_take_word(char **text);

void request_kind_fini(struct request_kind *kind);

#endif
