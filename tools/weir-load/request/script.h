/*
 * Requests and answers of protocols that weir-load does not know: bytes to send
 * as they are written on the command line, and a rule that says where an answer
 * ends.
 *
 * delim:BYTES        behind the first BYTES
 * count:N:BYTES      behind the N-th
 * len:SIZE           after SIZE bytes
 * prefix:4be@2+1     a length field of 4 bytes, the most significant first
 *                    (le: the least), behind 2 other bytes; it counts what
 *                    follows it, and here 1 byte more (-1: less). Fields have
 *                    1, 2, 4 or 8 bytes
 *
 * In BYTES and requests stand \r \n \t \\ and \xHH for what they do in C, and
 * \0 for a byte of zero.
 */
#ifndef WEIR_LOAD_SCRIPT_H
#define WEIR_LOAD_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The longest delimiter, and the longest beginning that is compared. */
#define SCRIPT_BYTES_MAX 64U

/* The largest answer. */
#define SCRIPT_ANSWER_MAX (UINT64_C(1) << 30)

/* Room for every reason that a parser gives. */
#define SCRIPT_WHY_SIZE 256

enum script_kind {
    SCRIPT_DELIMITER, /* the count-th one ends the answer */
    SCRIPT_LENGTH,
    SCRIPT_PREFIX,
};

struct script_rule {
    enum script_kind kind;
    uint8_t delimiter[SCRIPT_BYTES_MAX];
    /* How much of the delimiter is still matched when a byte does not fit. */
    uint8_t fallback[SCRIPT_BYTES_MAX];
    size_t delimiter_len;
    uint64_t count;
    uint64_t size_bytes;
    /* The length field. */
    uint32_t field_at;
    uint32_t field_size;
    bool is_big_endian;
    uint64_t surplus_bytes;
    bool is_less;
    /* Every answer begins with these. */
    uint8_t begin[SCRIPT_BYTES_MAX];
    size_t begin_len;
};

/* An answer that is being read; all zero before its first byte. */
struct script_reader {
    uint64_t size_bytes;
    /* Bytes of the delimiter that have come, and whole delimiters. */
    uint32_t matched;
    uint64_t found;
    uint64_t field;
    /* The first bytes. */
    uint32_t shown_len;
    uint8_t shown[SCRIPT_BYTES_MAX];
};

/* What the flags say. */
struct script_options {
    /* As given; NULL: no script. */
    const char *request;
    const char *begin;
    struct script_rule rule;
};

/* Bytes out of text with escapes. Returns their number, at most strlen(text);
 * or -EINVAL, and the place of the first wrong byte, from 0. */
ssize_t script_unescape(const char *text, char *out, size_t *ret_at);

/* Read a rule. 0, or -EINVAL with one line in why. */
int script_parse_rule(const char *text, struct script_rule *ret, char *why);

/* What every answer has to begin with, with escapes; the same. */
int script_parse_begin(const char *text, struct script_rule *rule, char *why);

/* Read an answer or a part of it; len is not 0. Returns how many bytes were
 * used, or -EMSGSIZE: its length field says too much, or less than nothing.
 * When it is complete, what the reader shows stays until it is cleared. */
ssize_t script_read(const struct script_rule *rule,
                    struct script_reader *reader, const uint8_t *data,
                    size_t len, bool *ret_complete);

/* Of a complete answer: does it begin as it should? */
bool script_is_good(const struct script_rule *rule,
                    const struct script_reader *reader);

#endif
