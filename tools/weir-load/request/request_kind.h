/*
 * A kind of request, as written in a line of a file after the weight of a mix
 * (mix.h). HTTP: method, path and an optional body, or only a path, which means
 * GET. Other protocols: where the answer ends, optionally what it begins with,
 * and the request. Redis: a command. A name in brackets may come first.
 *
 *     POST /items {"id": {seq}}
 *     [list] GET /items?page={seq}
 *     delim:\r\n begin:STORED set key{rand:1:1000} 0 0 5\r\nhello\r\n
 *
 * Lines directly below an HTTP request are its headers or, with '@', the file
 * with its body:
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

/* Form of a request. Some functions take a bool is_http instead, for the first
 * two forms. */
enum request_form {
    REQUEST_SCRIPT,
    REQUEST_HTTP,
    REQUEST_REDIS, /* a command as in redis_command.h */
};

struct request_kind {
    /* The first line and the lines below that belong to it, as written. */
    char *line;
    /* Name from "[NAME]" at the start of the line, or NULL. */
    const char *name;
    /* For HTTP. @body may be NULL. Headers follow each other, each with a
     * terminating zero, and are sent before the headers of the command line. */
    const char *method;
    const char *path;
    const char *body;
    const char *headers;
    size_t header_count;
    /* For other protocols: the request with escapes; and the end of the answer,
     * NULL for Redis. */
    const char *request;
    struct script_rule *rule;
};

/* Returns true for a header or body file of the HTTP request above. */
bool request_kind_goes_on(const char *line, size_t len);

/* Finds the end of a request whose first line ends at @end. Returns its offset,
 * and adds the number of lines below that belong to the request to
 * *ret_below. */
size_t request_kind_find_end(const char *text, size_t end, size_t len,
                             unsigned *ret_below);

/* Stores a line, or several separated by '\n'. Returns a second copy for
 * request_kind_read() to modify, owned by the kind, or NULL if out of
 * memory. */
char *request_kind_keep(struct request_kind *kind, const char *line,
                        size_t len);

/* Parses the copy, from @words. Returns 0, or a negative error with one line in
 * @why (WHY_SIZE). Call request_kind_fini() in any case. */
int request_kind_read(struct request_kind *kind, char *words,
                      enum request_form form, char *why);

/* Returns the text after an optional [NAME]. */
char *request_kind_skip_name(char *line);

/* Splits off the first word; *text is set to the text after the blanks. */
char *request_kind_take_word(char **text);

void request_kind_fini(struct request_kind *kind);

#endif
