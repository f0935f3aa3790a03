/*
 * A kind of request as a line of a file has it, behind the weight of a mix
 * (mix.h): for HTTP a method, a path and
 * perhaps a body, or a path alone, which is a GET; for other protocols where
 * the answer ends, perhaps what it begins with, and the request. Of Redis it is
 * a command. A name in brackets may stand before it all.
 *
 *     POST /items {"id": {seq}}
 *     [list] GET /items?page={seq}
 *     delim:\r\n begin:STORED set key{rand:1:1000} 0 0 5\r\nhello\r\n
 *
 * Lines directly below a request of HTTP are its headers, or with a '@' the
 * file that is its body:
 *
 *     POST /items
 *     Content-Type: application/json
 *     @item.json
 */
#ifndef WEIR_LOAD_REQUEST_KIND_H
#define WEIR_LOAD_REQUEST_KIND_H

#include "script.h"

#include <stdbool.h>
#include <stddef.h>

/* What a line has; a bool that says "HTTP" is one of the first two. */
enum request_form {
    REQUEST_SCRIPT,
    REQUEST_HTTP,
    REQUEST_REDIS, /* a command, as redis_command.h reads it */
};

struct request_kind {
    /* The line as it was written, and those below it that belong to it. */
    char *line;
    /* As it is called; NULL: it has no name of its own. */
    const char *name;
    /* HTTP; the body may be NULL. Headers stand one behind the other, each with
     * a zero at its end, and go before those of the command line. */
    const char *method;
    const char *path;
    const char *body;
    const char *headers;
    size_t header_count;
    /* Others: with escapes, and where the answer ends (Redis: NULL). */
    const char *request;
    struct script_rule *rule;
};

/* Does a line belong to the request of HTTP above it, as a header or as the
 * file of its body? */
bool request_kind_goes_on(const char *line, size_t len);

/* Where the request of a line ends that ends at @end: lines below may belong to
 * it. Counts them. */
size_t request_kind_find_end(const char *text, size_t end, size_t len,
                             unsigned *ret_below);

/* Keep a line, or several with '\n' between them. Returns a second copy, of
 * which request_kind_read() cuts the words and which the kind owns; or NULL,
 * and there is no memory. */
char *request_kind_keep(struct request_kind *kind, const char *line,
                        size_t len);

/* Read what stands in the copy from words on. 0, or a negative error with one
 * line in why (TEMPLATE_WHY_SIZE); the kind is to be freed in any case. */
int request_kind_read(struct request_kind *kind, char *words,
                      enum request_form form, char *why);

/* Where a line goes on behind the name that it may begin with. */
char *request_kind_skip_name(char *line);

/* Cut off the first word of a text; what follows the blanks behind it is left.
 */
char *request_kind_take_word(char **text);

void request_kind_fini(struct request_kind *kind);

#endif
