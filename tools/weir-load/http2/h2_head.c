/*
 * Converts the head of an HTTP/1.1 request to the fields of HTTP/2, in place.
 * The lines are from http_request.c: each ends with CR LF, and its syntax was
 * checked there.
 */
#include "h2_session.h"

#include "http2.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Indices of pseudo-fields. Without a Host field, the first one is METHOD. */
enum { AUTHORITY, METHOD, SCHEME, PATH, FIRST_FIELD };

struct piece {
    char *at;
    size_t len;
};

static struct piece trim(char *at, char *end)
{
    while (at < end && is_blank(*at)) {
        at++;
    }
    while (end > at && is_blank(end[-1])) {
        end--;
    }
    return (struct piece){at, (size_t)(end - at)};
}

/* Splits a field into its value and its name, which it converts to lower
 * case. */
static struct piece part_field(char *line, char *end, struct piece *ret_value)
{
    char *colon = memchr(line, ':', (size_t)(end - line));
    const struct piece name = {line, (size_t)(colon - line)};

    *ret_value = trim(colon + 1, end);
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] >= 'A' && name.at[i] <= 'Z') {
            name.at[i] = (char)(name.at[i] - 'A' + 'a');
        }
    }
    return name;
}

static void set(struct h2_head *self, size_t place, struct piece name,
                struct piece value, bool is_kept)
{
    const uint8_t flags =
        is_kept ? NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE
                : NGHTTP2_NV_FLAG_NONE;

    assert(place < H2_FIELDS_MAX);
    self->fields[place] = (nghttp2_nv){.name = (uint8_t *)name.at,
                                       .value = (uint8_t *)value.at,
                                       .namelen = name.len,
                                       .valuelen = value.len,
                                       .flags = flags};
    self->bytes += name.len + value.len;
}

static struct piece piece_of(const char *text)
{
    return (struct piece){(char *)(uintptr_t)text, strlen(text)};
}

/* Parses "GET /path HTTP/1.1". None of the three parts has a blank. */
static void read_first_line(struct h2_head *self, char *line, char *end,
                            bool is_tls, bool is_kept)
{
    char *blank = memchr(line, ' ', (size_t)(end - line));
    char *last = memrchr(line, ' ', (size_t)(end - line));

    set(self, METHOD, piece_of(":method"),
        (struct piece){line, (size_t)(blank - line)}, is_kept);
    set(self, SCHEME, piece_of(":scheme"), piece_of(is_tls ? "https" : "http"),
        is_kept);
    set(self, PATH, piece_of(":path"),
        (struct piece){blank + 1, (size_t)(last - blank) - 1}, is_kept);
}

static void read_field(struct h2_head *self, char *line, char *end,
                       bool is_kept)
{
    struct piece value;
    const struct piece name = part_field(line, end, &value);

    if (name.len == 4 && memcmp(name.at, "host", 4) == 0) {
        self->first = self->fields + AUTHORITY;
        set(self, AUTHORITY, piece_of(":authority"), value, is_kept);
    } else if (!h2_field_is_dropped(name.at, name.len, value.at, value.len)) {
        set(self, self->count++, name, value, is_kept);
    }
}

void h2_head_read(struct h2_head *self, char *text, size_t len, bool is_tls,
                  size_t length, bool is_kept)
{
    char *const text_end = text + len;
    bool is_first = true;

    self->first = self->fields + METHOD;
    self->count = FIRST_FIELD;
    self->bytes = 0;
    while (text < text_end) {
        char *end = memchr(text, '\n', (size_t)(text_end - text));
        assert(end && end > text && end[-1] == '\r');
        if (is_first) {
            read_first_line(self, text, end - 1, is_tls, is_kept);
        } else {
            read_field(self, text, end - 1, is_kept);
        }
        is_first = false;
        text = end + 1;
    }
    if (length != SIZE_MAX) {
        snprintf(self->length, sizeof(self->length), "%zu", length);
        set(self, self->count++, piece_of("content-length"),
            piece_of(self->length), false);
    }
    self->count -= (size_t)(self->first - self->fields);
}
