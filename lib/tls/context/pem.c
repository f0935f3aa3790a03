/*
 * PEM: a line that begins a block, base64, a line that ends it. A block ends at
 * the next dashes, whatever their label, so that a block without an end takes
 * nothing of the next block.
 */
#include "pem.h"

#include "uring/check.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/coding.h>

#define PEM_LINE_MAX 64

int wr_tls_pem_next(struct wr_bytes *text, const char *label,
                    struct wr_bytes *ret)
{
    char line[PEM_LINE_MAX];
    const uint8_t *end = text->data + text->size;

    int len = snprintf(line, sizeof(line), "-----BEGIN %s-----", label);
    wr_assert(len > 0 && (size_t)len < sizeof(line));
    const uint8_t *begin =
        text->size > 0 ? memmem(text->data, text->size, line, (size_t)len)
                       : NULL;
    if (!begin) {
        return 0;
    }
    begin += len;
    const uint8_t *after =
        memmem(begin, (size_t)(end - begin), "-----", strlen("-----"));
    after = after ? after : end;
    word32 size = (word32)(after - begin);
    uint8_t *data = malloc((size_t)size + 1);
    if (!data) {
        return -ENOMEM;
    }
    wr_assert((size_t)(after - begin) <= INT_MAX);
    if (Base64_Decode(begin, size, data, &size) != 0 || size == 0) {
        free(data);
        data = NULL;
        size = 0;
    }
    *text = (struct wr_bytes){.data = after, .size = (size_t)(end - after)};
    *ret = (struct wr_bytes){.data = data, .size = size};
    return 1;
}
