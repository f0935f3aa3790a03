/*
 * PEM: a line that begins a block, base64, a line that ends it.
 *
 * A block ends at the next dashes, whatever their label, so that a block
 * without an end includes nothing of the next block.
 */
#include "pem.h"

#include "uring/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEM_LINE_MAX 64

/* Returns the value of a base64 character (RFC 4648, 4), or 64 if it is
 * invalid. */
static uint8_t pem_bits_of(uint8_t letter)
{
    return letter >= 'A' && letter <= 'Z'   ? (uint8_t)(letter - 'A')
           : letter >= 'a' && letter <= 'z' ? (uint8_t)(letter - 'a' + 26)
           : letter >= '0' && letter <= '9' ? (uint8_t)(letter - '0' + 52)
           : letter == '+'                  ? 62
           : letter == '/'                  ? 63
                                            : 64;
}

static bool pem_is_space(uint8_t letter)
{
    return letter == '\n' || letter == '\r' || letter == ' ' || letter == '\t';
}

size_t wr_tls_pem_decode(struct wr_bytes from, uint8_t *ret)
{
    const uint8_t *text = from.data;
    const size_t size = from.size;
    uint32_t bits = 0;
    size_t letters = 0;
    size_t pads = 0;
    size_t used = 0;

    for (size_t i = 0; i < size; i++) {
        const uint8_t six = pem_bits_of(text[i]);
        if (pem_is_space(text[i])) {
            continue;
        }
        if (text[i] == '=' && ++pads <= 2) {
            continue;
        }
        if (six == 64 || pads > 0) {
            return 0;
        }
        bits = bits << 6 | six;
        if (++letters % 4 == 0) {
            ret[used++] = (uint8_t)(bits >> 16);
            ret[used++] = (uint8_t)(bits >> 8);
            ret[used++] = (uint8_t)bits;
        }
    }
    if ((letters + pads) % 4 != 0) {
        return 0;
    }
    if (letters % 4 >= 2) {
        ret[used++] = (uint8_t)(letters % 4 == 2 ? bits >> 4 : bits >> 10);
    }
    if (letters % 4 == 3) {
        ret[used++] = (uint8_t)(bits >> 2);
    }
    wr_assert(used <= size);
    return used;
}

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
    uint8_t *data = malloc((size_t)(after - begin) + 1);
    if (!data) {
        return -ENOMEM;
    }
    const struct wr_bytes body = {.data = begin,
                                  .size = (size_t)(after - begin)};
    const size_t size = wr_tls_pem_decode(body, data);
    if (size == 0) {
        free(data);
        data = NULL;
    }
    *text = (struct wr_bytes){.data = after, .size = (size_t)(end - after)};
    *ret = (struct wr_bytes){.data = data, .size = size};
    return 1;
}
