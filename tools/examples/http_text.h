/*
 * Removes pieces from the front of a request's text. Refuses a piece that
 * violates RFC 9112: a bare CR or LF, a control character, a name with a space
 * before its colon. Does no I/O.
 */
#ifndef WEIR_EXAMPLES_HTTP_TEXT_H
#define WEIR_EXAMPLES_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct text {
    const char *data;
    size_t len;
};

static inline bool text_is(struct text text, const char *word)
{
    return strlen(word) == text.len &&
           strncasecmp(text.data, word, text.len) == 0;
}

/* Removes the bytes before the first @mark, and the mark itself. */
static inline bool take_before(struct text *rest, char mark, struct text *ret)
{
    const char *end = memchr(rest->data, mark, rest->len);
    if (!end) {
        return false;
    }
    *ret = (struct text){rest->data, (size_t)(end - rest->data)};
    rest->data = end + 1;
    rest->len -= ret->len + 1;
    return true;
}

static inline bool take_line(struct text *rest, struct text *ret)
{
    if (!take_before(rest, '\r', ret) || rest->len == 0 ||
        rest->data[0] != '\n') {
        return false;
    }
    rest->data++;
    rest->len--;
    for (size_t i = 0; i < ret->len; i++) {
        unsigned char byte = (unsigned char)ret->data[i];
        if ((byte < ' ' && byte != '\t') || byte == 127) {
            return false;
        }
    }
    return true;
}

static inline struct text trim(struct text text)
{
    while (text.len > 0 && strchr(" \t", text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && strchr(" \t", text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* Removes a header's name from its line. The value remains. */
static inline bool take_name(struct text *line, struct text *ret)
{
    static const char named[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklm"
                                "nopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    bool is_good = take_before(line, ':', ret) && ret->len > 0;
    for (size_t i = 0; is_good && i < ret->len; i++) {
        is_good = strchr(named, ret->data[i]) != NULL;
    }
    *line = trim(*line);
    return is_good;
}

#endif
