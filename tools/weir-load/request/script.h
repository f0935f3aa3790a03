/*
 * Requests and answers of protocols that weir-load does not know: bytes to
 * send, and a rule that defines where an answer ends.
 *
 * delim:BYTES        after the first BYTES
 * count:N:BYTES      after the N-th BYTES
 * len:SIZE           after SIZE bytes
 * prefix:4be@2+1     a length field of 4 bytes, big-endian (le: little-
 *                    endian), after 2 other bytes; it counts the bytes
 *                    after it, and here 1 more (-1: less). Fields have
 *                    1, 2, 4 or 8 bytes.
 *
 * In BYTES and requests \r \n \t \\ and \xHH mean the same as in C, and \0 is a
 * zero byte.
 */
#ifndef WEIR_LOAD_SCRIPT_H
#define WEIR_LOAD_SCRIPT_H

#include "tools/weir-load/base/why.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Longest delimiter, and longest beginning that is compared. */
#define SCRIPT_BYTES_MAX 64U

#define SCRIPT_ANSWER_MAX (UINT64_C(1) << 30)

enum script_kind {
    SCRIPT_DELIMITER, /* ends with the count-th delimiter */
    SCRIPT_LENGTH,
    SCRIPT_PREFIX,
};

struct script_rule {
    enum script_kind kind;
    uint8_t delimiter[SCRIPT_BYTES_MAX];
    /* KMP table: bytes still matched after a mismatch. */
    uint8_t fallback[SCRIPT_BYTES_MAX];
    size_t delimiter_len;
    uint64_t count;
    uint64_t size_bytes;
    uint32_t field_at;
    uint32_t field_size;
    bool is_big_endian;
    uint64_t surplus_bytes;
    bool is_less;
    /* Required start of every answer. */
    uint8_t begin[SCRIPT_BYTES_MAX];
    size_t begin_len;
};

/* Reader of one answer; must be zero-initialised before the first byte. */
struct script_reader {
    uint64_t size_bytes;
    /* Matched bytes of the delimiter, and complete delimiters. */
    uint32_t matched;
    uint64_t found;
    uint64_t field;
    uint32_t shown_len;
    uint8_t shown[SCRIPT_BYTES_MAX];
};

struct script_options {
    /* Request as given, or NULL without a script. */
    const char *request;
    const char *begin;
    struct script_rule rule;
};

/* Decodes escapes. Returns the number of bytes, at most strlen(text); or
 * -EINVAL and the offset of the first wrong byte. */
ssize_t script_unescape(const char *text, char *out, size_t *ret_at);

/* Parses a rule. Returns 0, or -EINVAL with one line in @why. */
int script_parse_rule(const char *text, struct script_rule *ret, char *why);

/* Parses the required start of answers, with escapes. Returns like
 * script_parse_rule(). */
int script_parse_begin(const char *text, struct script_rule *rule, char *why);

/* Reads an answer or a part of it; @len must not be 0. Returns the number of
 * bytes used, or -EMSGSIZE if the length field is too large or negative. After
 * a complete answer the reader keeps the answer's first bytes until it is
 * cleared. */
ssize_t script_read(const struct script_rule *rule,
                    struct script_reader *reader, const uint8_t *data,
                    size_t len, bool *ret_complete);

/* Returns true if a complete answer begins as required. */
bool script_is_good(const struct script_rule *rule,
                    const struct script_reader *reader);

#endif
