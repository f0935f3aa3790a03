/*
 * --capture takes a value from an answer; later requests of the same connection
 * can use it as {NAME}.
 *
 *     token=json:data.tokens[0].value    from a JSON body; "$." may precede
 *                                        the path, and "$" is the whole body
 *     csrf=header:X-CSRF-Token           the first header of this name
 *     sid=cookie:SESSION                 a cookie, as last set
 *
 * Answers are untrusted: the bytes that are searched and the length of a value
 * are limited, and values have no control characters, so a value cannot end a
 * line of a request.
 */
#ifndef WEIR_LOAD_CAPTURE_H
#define WEIR_LOAD_CAPTURE_H

#include "tools/weir-load/base/why.h"

#include "template.h"

#include <stddef.h>
#include <stdint.h>

/* Larger bodies are not searched for values. */
#define CAPTURE_BODY_MAX (64U << 10)

enum capture_kind {
    CAPTURE_JSON,
    CAPTURE_HEADER,
    CAPTURE_COOKIE,
};

struct capture {
    /* The option's value; borrowed. */
    const char *text;
    /* Number of its name (template.h). */
    size_t number;
    enum capture_kind kind;
    /* JSON path, empty for the whole body, or name of the header or cookie;
     * points into text. */
    const char *where;
};

/* An answer. Its head has all lines as they were received. */
struct capture_answer {
    const char *head;
    size_t head_len;
    const char *body;
    size_t body_len;
};

/* Parses NAME=KIND:WHERE and adds the name. Returns 0, or -EINVAL with one line
 * in @why. */
int capture_parse(const char *text, struct capture *ret, char *why);

/* Takes the value from an answer; it is allocated and replaces the old value.
 * Returns 0, -ENOMEM, or -EINVAL with one line in @why if the answer has no
 * such value. */
int capture_take(const struct capture *self,
                 const struct capture_answer *answer,
                 struct template_value *value, char *why);

#endif
