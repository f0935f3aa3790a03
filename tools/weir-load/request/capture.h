/*
 * --capture: a value out of an answer, for the requests that follow on the same
 * connection as {NAME}.
 *
 *     token=json:data.tokens[0].value    of a body that is JSON; "$." may stand
 *                                        before the path, and "$" for it all
 *     csrf=header:X-CSRF-Token           of a header, the first of this name
 *     sid=cookie:SESSION                 of a cookie, as it was set last
 *
 * Answers are strangers' bytes: how much of them is looked at has an end, and
 * so has a value, which has no control characters: it cannot end a line of a
 * request.
 */
#ifndef WEIR_LOAD_CAPTURE_H
#define WEIR_LOAD_CAPTURE_H

#include "template.h"

#include <stddef.h>
#include <stdint.h>

/* A larger body is not looked at. */
#define CAPTURE_BODY_MAX (64U << 10)

/* Room for every reason. */
#define CAPTURE_WHY_SIZE 256

enum capture_kind {
    CAPTURE_JSON,
    CAPTURE_HEADER,
    CAPTURE_COOKIE,
};

struct capture {
    /* As it was written; borrowed. */
    const char *text;
    /* Of its name (template.h). */
    size_t number;
    enum capture_kind kind;
    /* The path, which is empty for a whole body, or the name of the header or
     * cookie; in the text. */
    const char *where;
};

/* An answer; the head is all of its lines, as they came. */
struct capture_answer {
    const char *head;
    size_t head_len;
    const char *body;
    size_t body_len;
};

/* Read NAME=WHAT:WHERE, and add the name. 0, or -EINVAL with a line in why. */
int capture_parse(const char *text, struct capture *ret, char *why);

/* Get the value out of an answer; it is allocated, and takes the place of the
 * one before. 0, -ENOMEM, or -EINVAL with a line in why: there is none. */
int capture_take(const struct capture *self,
                 const struct capture_answer *answer,
                 struct template_value *value, char *why);

#endif
