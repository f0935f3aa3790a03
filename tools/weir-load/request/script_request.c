/*
 * The escapes are undone first, so a template has the bytes that are sent.
 *
 * What is wrong is told with its place in the text as it was written, or for a
 * place with the one among the bytes.
 */
#include "script_request.h"

#include "script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int script_request_parse(const char *text, struct template *ret, char *why)
{
    char *bytes = malloc(strlen(text) + 1);
    size_t at = 0;

    if (!bytes) {
        snprintf(why, TEMPLATE_WHY_SIZE, "no memory");
        return -ENOMEM;
    }
    const ssize_t len = script_unescape(text, bytes, &at);
    int err = -EINVAL;
    if (len < 0) {
        snprintf(why, TEMPLATE_WHY_SIZE,
                 "at byte %zu, '%.24s': write \\r \\n \\t \\0 \\\\ or \\xHH",
                 at + 1, text + at);
    } else if (len == 0) {
        snprintf(why, TEMPLATE_WHY_SIZE, "it is empty");
    } else {
        snprintf(why, TEMPLATE_WHY_SIZE, "no memory");
        err = template_parse(bytes, (size_t)len, ret, why);
        if (err == 0 && template_may_be_empty(ret)) {
            /* Of an empty file alone, or of patterns. */
            snprintf(why, TEMPLATE_WHY_SIZE, "it %s empty",
                     ret->size_max == 0 ? "is" : "may be");
            template_fini(ret);
            err = -EINVAL;
        }
    }
    free(bytes);
    return err;
}

int script_request_check(const char *text, char *why)
{
    struct template request;

    const int err = script_request_parse(text, &request, why);
    if (err == 0) {
        template_fini(&request);
    }
    return err;
}
