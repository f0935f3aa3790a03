/*
 * Names of kinds of requests: UTF-8 without control characters, so
 * that a name is the same in results, on terminals and in
 * objectives.
 */
#ifndef WEIR_LOAD_KIND_NAME_H
#define WEIR_LOAD_KIND_NAME_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define KIND_NAME_RULE "the name of a kind is UTF-8 without control characters"

/* Returns the length of the first character, or 0 if it is invalid or a control
 * character. */
static inline size_t kind_name_character(const char *text, size_t len)
{
    static const uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000};
    const uint8_t first = len > 0 ? (uint8_t)text[0] : 0;

    if (first < 0x80) {
        return first >= 0x20 && first != 0x7f;
    }
    const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || size > len) {
        return 0;
    }
    uint32_t code = first & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        if (((uint8_t)text[i] & 0xc0U) != 0x80) {
            return 0;
        }
        code = code << 6 | ((uint8_t)text[i] & 0x3fU);
    }
    return code >= least[size] && code <= 0x10ffff &&
                   (code < 0xd800 || code > 0xdfff)
               ? size
               : 0;
}

/* Writes a name as a CSV cell, quoted if it has a comma or a quote. */
static inline void kind_name_write_cell(const char *name, FILE *out)
{
    const char *quote = strpbrk(name, ",\"") ? "\"" : "";

    fputs(quote, out);
    for (; *name; name++) {
        fputs(*name == '"' ? "\"" : "", out);
        fputc(*name, out);
    }
    fputs(quote, out);
}

/* Returns how many bytes at the start of a text are valid in a name. */
static inline size_t kind_name_span(const char *text, size_t len)
{
    size_t at = 0;
    size_t size = 1;

    while (at < len && size > 0) {
        size = kind_name_character(text + at, len - at);
        at += size;
    }
    return at;
}

#endif
