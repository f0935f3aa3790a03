/*
 * Parses a request on the command line. An error in an escape names an
 * offset in the text, and an error in a placeholder an offset in the decoded
 * bytes.
 */
#include "request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int script_request_parse(const char *text, struct template *ret, char *why)
{
    char *bytes = malloc(strlen(text) + 1);
    size_t at = 0;

    if (!bytes) {
        return why_no_memory(why);
    }
    const ssize_t len = script_unescape(text, bytes, &at);
    int err = -EINVAL;
    if (len < 0) {
        snprintf(why, WHY_SIZE,
                 "at byte %zu, '%.24s': write \\r \\n \\t \\0 \\\\ or \\xHH",
                 at + 1, text + at);
    } else if (len == 0) {
        snprintf(why, WHY_SIZE, "it is empty");
    } else {
        snprintf(why, WHY_SIZE, "no memory");
        err = template_parse(bytes, (size_t)len, ret, why);
        if (err == 0 && template_may_be_empty(ret)) {
            /* all parts are {csv:COLUMN} */
            snprintf(why, WHY_SIZE, "it %s empty",
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
