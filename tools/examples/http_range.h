/*
 * The range of bytes that a request names (RFC 9110, section 14), and its part
 * of a file. Requests with several ranges or other units get the whole file.
 * Does no I/O.
 */
#ifndef WEIR_EXAMPLES_HTTP_RANGE_H
#define WEIR_EXAMPLES_HTTP_RANGE_H

#include "http_text.h"

#include <stdint.h>

struct http_range {
    bool is_wanted;
    bool is_end; /* the last bytes of the file; @last is their number */
    uint64_t first;
    uint64_t last;
};

/* Parses at most 18 digits. Returns UINT64_MAX if it is not a number. */
static inline uint64_t read_number(struct text text)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return UINT64_MAX;
        }
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    return text.len == 0 || text.len > 18 ? UINT64_MAX : number;
}

/* Parses "bytes=1-2", "bytes=1-" or "bytes=-2"; any other value is ignored. */
static inline struct http_range read_range(struct text value)
{
    struct http_range range = {.is_wanted = false};
    struct text unit;
    struct text first;
    bool is_one = take_before(&value, '=', &unit) && text_is(unit, "bytes");
    if (!is_one || !take_before(&value, '-', &first)) {
        return range;
    }
    range.is_end = first.len == 0;
    range.first = range.is_end ? 0 : read_number(first);
    range.last = read_number(value);
    range.is_wanted =
        range.first <= range.last && range.first != UINT64_MAX &&
        (value.len > 0 ? range.last != UINT64_MAX : !range.is_end);
    return range;
}

struct file_part {
    uint64_t first;
    uint64_t count;
    uint64_t length;
};

/* Computes the requested part. Returns the status of the response. */
static inline int choose_part(const struct http_range *range,
                              struct file_part *part)
{
    *part = (struct file_part){0, part->length, part->length};
    if (!range->is_wanted) {
        return 200;
    }
    if (range->is_end) {
        part->count = range->last < part->length ? range->last : part->length;
        part->first = part->length - part->count;
    } else if (range->first < part->length) {
        bool is_inside = range->last < part->length;
        part->first = range->first;
        part->count =
            (is_inside ? range->last + 1 : part->length) - part->first;
    } else {
        part->count = 0;
    }
    return part->count ? 206 : 416;
}

#endif
