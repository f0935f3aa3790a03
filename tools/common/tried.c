/*
 * Writes the failed attempts of an operation in the format of error_text
 * (weir/connect.h), so that lines look the same whether the library or a tool
 * writes them.
 */
#include "tried.h"

#include "weir/error.h"

#include <stdio.h>

static size_t write_one(const struct weir_attempt *attempt, const char *before,
                        char *buf, size_t size)
{
    const bool has_own =
        attempt->own_address.len > 0 &&
        !weir_address_is_equal(&attempt->own_address, &attempt->address);
    char text[WEIR_ADDRESS_TEXT_SIZE];
    char own[WEIR_ADDRESS_TEXT_SIZE];
    const int len = snprintf(
        buf, size, "%s%s: %s%s%s%s", before,
        weir_address_format(&attempt->address, text, sizeof(text)),
        weir_strerror(attempt->err), has_own ? " (from " : "",
        has_own ? weir_address_format(&attempt->own_address, own, sizeof(own))
                : "",
        has_own ? ")" : "");

    return len < 0 ? 0 : (size_t)len < size ? (size_t)len : size - 1;
}

size_t tried_write(const weir_pending *pending, char *buf, size_t size)
{
    struct weir_attempt attempt = {.size = sizeof(attempt)};
    size_t len = 0;

    buf[0] = '\0';
    for (size_t i = 0; weir_pending_get_attempt(pending, i, &attempt) == 0;
         i++) {
        if (attempt.err < 0) {
            len +=
                write_one(&attempt, len > 0 ? "; " : "", buf + len, size - len);
        }
    }
    return len;
}
