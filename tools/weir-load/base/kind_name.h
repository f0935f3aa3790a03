/*
 * What the name of a kind of requests consists of: characters of UTF-8 that are
 * no control characters, so that it is the same in results, on terminals and in
 * objectives.
 */
#ifndef WEIR_LOAD_KIND_NAME_H
#define WEIR_LOAD_KIND_NAME_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* What a line says of other names. */
#define KIND_NAME_RULE "the name of a kind is UTF-8 without control characters"

/* How many bytes the first character of a text has; 0: it is none, or a control
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

/* Write a name as a cell of a table, in quotes where it has a comma or some. */
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

/* How many bytes from the begin of a text on are such characters. */
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
