/*
 * libFuzzer's entry to the heads of requests that have a command for
 * weir-proxy: bytes as a head, of which a token is read.
 *
 *     ninja tests/fuzz/fuzz-posting
 *     tests/fuzz/fuzz-posting CORPUS
 */
#include "tools/weir-proxy/posting.h"
#include "tests/fuzz/check.h"
#include "tools/weir-proxy/control.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const char console_name[] = "fuzz-posting";

char control_do(struct worker *worker, const struct control_sender *sender,
                const char *line, size_t len, FILE *out)
{
    (void)worker;
    (void)sender;
    (void)line;
    (void)len;
    (void)out;
    return CONTROL_DONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char token[] = "0123456789abcdef";
    char *head = malloc(size > 0 ? size : 1); /* no more than it has */

    if (!head) {
        return 0;
    }
    memcpy(head, data, size);
    if (posting_has_token(head, size, token)) {
        check(memmem(head, size, token, sizeof(token) - 1) != NULL);
    }
    free(head);
    return 0;
}
