/*
 * Rules about where an answer ends, for protocols that weir-load does not know.
 * A reader stores a few numbers and the first bytes of an answer, so answers
 * may be split anywhere. Delimiters are found with the algorithm of Knuth,
 * Morris and Pratt.
 */
#include "request.h"
#include "tools/common/units.h"
#include "tools/weir-load/base/base.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_SIZE 32U

/* Parses the escape after a backslash. Returns its length, or 0 if it is
 * invalid. */
static size_t read_escape(const char *text, char *ret)
{
    static const char names[] = "rnt0\\";
    static const char bytes[] = "\r\n\t\0\\";

    if (text[0] == 'x') {
        const int byte = hex_pair(text + 1);
        *ret = (char)byte;
        return byte >= 0 ? 3 : 0;
    }
    const char *name = text[0] != '\0' ? strchr(names, text[0]) : NULL;
    if (!name) {
        return 0;
    }
    *ret = bytes[name - names];
    return 1;
}

ssize_t script_unescape(const char *text, char *out, size_t *ret_at)
{
    size_t len = 0;
    size_t at = 0;

    while (text[at] != '\0') {
        if (text[at] != '\\') {
            out[len++] = text[at++];
            continue;
        }
        const size_t used = read_escape(text + at + 1, &out[len]);
        if (used == 0) {
            *ret_at = at;
            return -EINVAL;
        }
        len++;
        at += used + 1;
    }
    return (ssize_t)len;
}

static int refuse_at(const char *text, size_t at, const char *reason, char *why)
{
    return why_refuse(why, -EINVAL, "'%.80s': at byte %zu: %s", text, at + 1,
                      reason);
}

static int read_bytes(const char *text, size_t at, uint8_t *out,
                      size_t *ret_len, char *why)
{
    char bytes[4 * SCRIPT_BYTES_MAX + 1];
    size_t wrong = 0;

    if (text[at] == '\0') {
        return refuse_at(text, at, "bytes are missing", why);
    }
    if (strlen(text + at) >= sizeof(bytes)) {
        return refuse_at(text, at, "more than 64 bytes", why);
    }
    const ssize_t len = script_unescape(text + at, bytes, &wrong);
    if (len < 0) {
        return refuse_at(text, at + wrong,
                         "write \\r \\n \\t \\0 \\\\ or \\xHH", why);
    }
    if ((size_t)len > SCRIPT_BYTES_MAX) {
        return refuse_at(text, at, "more than 64 bytes", why);
    }
    memcpy(out, bytes, (size_t)len);
    *ret_len = (size_t)len;
    return 0;
}

static void make_fallback(struct script_rule *rule)
{
    size_t matched = 0;

    rule->fallback[0] = 0;
    for (size_t i = 1; i < rule->delimiter_len; i++) {
        while (matched > 0 && rule->delimiter[i] != rule->delimiter[matched]) {
            matched = rule->fallback[matched - 1];
        }
        matched += rule->delimiter[i] == rule->delimiter[matched];
        rule->fallback[i] = (uint8_t)matched;
    }
}

static int read_delimiter(const char *text, size_t at, struct script_rule *rule,
                          char *why)
{
    rule->kind = SCRIPT_DELIMITER;
    const int err =
        read_bytes(text, at, rule->delimiter, &rule->delimiter_len, why);
    if (err == 0) {
        make_fallback(rule);
    }
    return err;
}

/* Parses a number that ends before a character of @ends. Returns its length, or
 * 0. */
static size_t read_number(const char *text, const char *ends,
                          int (*parse)(const char *text, uint64_t *ret),
                          uint64_t *ret)
{
    char number[NUMBER_SIZE];
    const size_t len = strcspn(text, ends);

    if (len >= sizeof(number)) {
        return 0;
    }
    memcpy(number, text, len);
    number[len] = '\0';
    return parse(number, ret) == 0 ? len : 0;
}

static int read_count(const char *text, size_t at, struct script_rule *rule,
                      char *why)
{
    const size_t len =
        read_number(text + at, ":", units_parse_count, &rule->count);

    if (len == 0 || rule->count == 0) {
        return refuse_at(text, at, "write count:N:BYTES", why);
    }
    if (text[at + len] != ':') {
        return refuse_at(text, at + len, "write count:N:BYTES", why);
    }
    return read_delimiter(text, at + len + 1, rule, why);
}

static int read_length(const char *text, size_t at, struct script_rule *rule,
                       char *why)
{
    rule->kind = SCRIPT_LENGTH;
    if (read_number(text + at, "", units_parse_size, &rule->size_bytes) == 0 ||
        rule->size_bytes == 0 || rule->size_bytes > SCRIPT_ANSWER_MAX) {
        return refuse_at(text, at, "write a size from 1 to 1G", why);
    }
    return 0;
}

/* Parses a field such as "4be". Returns its length, or 0. */
static size_t read_field(const char *text, struct script_rule *rule)
{
    if (text[0] != '1' && text[0] != '2' && text[0] != '4' && text[0] != '8') {
        return 0;
    }
    rule->field_size = (uint32_t)(text[0] - '0');
    if (strncmp(text + 1, "be", 2) == 0 || strncmp(text + 1, "le", 2) == 0) {
        rule->is_big_endian = text[1] == 'b';
        return 3;
    }
    return rule->field_size == 1 ? 1 : 0;
}

static int read_prefix(const char *text, size_t at, struct script_rule *rule,
                       char *why)
{
    static const char form[] =
        "write prefix:4be@OFFSET+SURPLUS, or 1, 2le, ...";
    uint64_t offset = 0;

    rule->kind = SCRIPT_PREFIX;
    size_t len = read_field(text + at, rule);
    if (len == 0) {
        return refuse_at(text, at, form, why);
    }
    at += len;
    if (text[at] == '@') {
        len = read_number(text + at + 1, "+-", units_parse_count, &offset);
        if (len == 0 || offset > 4096) {
            return refuse_at(text, at + 1, "write an offset up to 4096", why);
        }
        at += len + 1;
    }
    rule->field_at = (uint32_t)offset;
    if (text[at] == '+' || text[at] == '-') {
        rule->is_less = text[at] == '-';
        len = read_number(text + at + 1, "", units_parse_count,
                          &rule->surplus_bytes);
        if (len == 0 || rule->surplus_bytes > 4096) {
            return refuse_at(text, at + 1, "write a number up to 4096", why);
        }
        at += len + 1;
    }
    return text[at] == '\0' ? 0 : refuse_at(text, at, form, why);
}

static const struct {
    const char *word;
    int (*read)(const char *text, size_t at, struct script_rule *rule,
                char *why);
} rules[] = {
    {"delim:", read_delimiter},
    {"count:", read_count},
    {"len:", read_length},
    {"prefix:", read_prefix},
};

int script_parse_rule(const char *text, struct script_rule *ret, char *why)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const size_t len = strlen(rules[i].word);
        if (strncmp(text, rules[i].word, len) == 0) {
            struct script_rule rule = {.count = 1};
            const int err = rules[i].read(text, len, &rule, why);
            if (err == 0) {
                *ret = rule;
            }
            return err;
        }
    }
    return refuse_at(text, 0, "write delim:, count:, len: or prefix:", why);
}

int script_parse_begin(const char *text, struct script_rule *rule, char *why)
{
    return read_bytes(text, 0, rule->begin, &rule->begin_len, why);
}

static size_t read_delimited(const struct script_rule *rule,
                             struct script_reader *reader, const uint8_t *data,
                             size_t len, bool *ret_complete)
{
    size_t at = 0;

    while (at < len) {
        if (reader->matched == 0) {
            const uint8_t *first =
                memchr(data + at, rule->delimiter[0], len - at);
            if (!first) {
                return len;
            }
            at = (size_t)(first - data);
        }
        while (reader->matched > 0 &&
               data[at] != rule->delimiter[reader->matched]) {
            reader->matched = rule->fallback[reader->matched - 1];
        }
        reader->matched += data[at] == rule->delimiter[reader->matched];
        at++;
        if (reader->matched == rule->delimiter_len) {
            reader->matched = 0;
            reader->found++;
            if (reader->found == rule->count) {
                *ret_complete = true;
                return at;
            }
        }
    }
    return at;
}

static size_t read_counted(struct script_reader *reader, uint64_t total_bytes,
                           size_t len, bool *ret_complete)
{
    const uint64_t left = total_bytes - reader->size_bytes;

    *ret_complete = left <= len;
    return left < len ? (size_t)left : len;
}

/* Returns the length of the whole answer, or 0 if the field is invalid. */
static uint64_t measure(const struct script_rule *rule, uint64_t field)
{
    const uint64_t head = rule->field_at + rule->field_size;

    if (field > SCRIPT_ANSWER_MAX ||
        (rule->is_less && field < rule->surplus_bytes)) {
        return 0;
    }
    return head + field +
           (rule->is_less ? 0 - rule->surplus_bytes : rule->surplus_bytes);
}

static ssize_t read_prefixed(const struct script_rule *rule,
                             struct script_reader *reader, const uint8_t *data,
                             size_t len, bool *ret_complete)
{
    const uint64_t head = rule->field_at + rule->field_size;
    size_t at = 0;

    while (at < len && reader->size_bytes < head) {
        if (reader->size_bytes >= rule->field_at) {
            const uint64_t index = reader->size_bytes - rule->field_at;
            if (rule->is_big_endian) {
                reader->field = reader->field << 8 | data[at];
            } else {
                reader->field |= (uint64_t)data[at] << (8 * index);
            }
        }
        reader->size_bytes++;
        at++;
    }
    if (reader->size_bytes < head) {
        return (ssize_t)at;
    }
    const uint64_t total = measure(rule, reader->field);
    if (total == 0) {
        return -EMSGSIZE;
    }
    const size_t part = read_counted(reader, total, len - at, ret_complete);
    reader->size_bytes += part;
    return (ssize_t)(at + part);
}

ssize_t script_read(const struct script_rule *rule,
                    struct script_reader *reader, const uint8_t *data,
                    size_t len, bool *ret_complete)
{
    ssize_t used = 0;

    *ret_complete = false;
    switch (rule->kind) {
    case SCRIPT_DELIMITER:
        used = (ssize_t)read_delimited(rule, reader, data, len, ret_complete);
        break;
    case SCRIPT_LENGTH:
        used =
            (ssize_t)read_counted(reader, rule->size_bytes, len, ret_complete);
        reader->size_bytes += (uint64_t)used;
        break;
    default:
        used = read_prefixed(rule, reader, data, len, ret_complete);
        break;
    }
    reader->shown_len = (uint32_t)shown_add(
        reader->shown, sizeof(reader->shown), reader->shown_len, data,
        used < 0 ? len : (size_t)used);
    return used;
}

bool script_is_good(const struct script_rule *rule,
                    const struct script_reader *reader)
{
    return reader->shown_len >= rule->begin_len &&
           memcmp(reader->shown, rule->begin, rule->begin_len) == 0;
}
