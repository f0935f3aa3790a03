/*
 * What XML 1.0 allows: UTF-8 without surrogates, without the last two
 * characters of the first plane, and of the characters below a space those
 * that end a word or a line.
 */
#include "markup.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool is_continued(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

size_t markup_length(const char *text, size_t len)
{
    const uint8_t *at = (const uint8_t *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t size = at[0] < 0x80   ? 1
                        : at[0] < 0xC0 ? 0
                        : at[0] < 0xE0 ? 2
                        : at[0] < 0xF0 ? 3
                        : at[0] < 0xF8 ? 4
                                       : 0;

    if (size <= 1 || size > len) {
        return size == 1 ? 1 : 0;
    }
    uint32_t code = at[0] & (0xFFU >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if (!is_continued(at[i])) {
            return 0;
        }
        code = code << 6 | (at[i] & 0x3FU);
    }
    bool is_surrogate = code >= 0xD800 && code < 0xE000;
    bool is_none = code == 0xFFFE || code == 0xFFFF || code > 0x10FFFF;
    return code < least[size] || is_surrogate || is_none ? 0 : size;
}

static const char *entity_of(char letter)
{
    switch (letter) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    default:
        return NULL;
    }
}

void markup_write_part(const char *text, size_t len, FILE *out)
{
    for (size_t i = 0; i < len;) {
        size_t size = markup_length(text + i, len - i);
        bool is_shown = size > 1 || (size == 1 && (text[i] & 0x60) != 0) ||
                        (size == 1 && strchr("\t\n\r", text[i]));
        const char *entity = entity_of(text[i]);
        if (entity) {
            fputs(entity, out);
        } else if (is_shown) {
            fwrite(text + i, 1, size, out);
        } else {
            fputc('?', out);
        }
        i += size > 0 ? size : 1;
    }
}

void markup_write(const char *text, FILE *out)
{
    markup_write_part(text, strlen(text), out);
}

size_t markup_count(const char *text)
{
    size_t count = 0;

    for (; *text; text++) {
        count += !is_continued((uint8_t)*text);
    }
    return count;
}
