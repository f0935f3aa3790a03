/*
 * Parses Redis replies (RESP2 and RESP3) as they arrive: where a reply ends,
 * and whether it is an error, nil, or a push message.
 *
 * Bytes may be split anywhere. Only the first bytes of a reply are kept, so a
 * reader has a fixed size. Nesting and the size of a reply are limited.
 * Streamed strings and aggregates ("$?", "*?") are refused, because no server
 * sends them.
 */
#ifndef WEIR_LOAD_RESP_H
#define WEIR_LOAD_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Most nested aggregates. */
#define RESP_DEPTH_MAX 32U

/* Most bytes of a simple string, an error or a number. */
#define RESP_LINE_MAX 65536U

/* Most bytes of a string with a length, as in Redis, and of a reply. */
#define RESP_STRING_MAX (UINT64_C(512) << 20)
#define RESP_REPLY_MAX  (UINT64_C(1) << 30)

/* Most elements of an aggregate. */
#define RESP_COUNT_MAX (UINT64_C(1) << 28)

/* How many first bytes of a reply are kept for messages. */
#define RESP_SHOWN_MAX 128U

#define RESP_FAULTS(X)                                                         \
    X(TYPE, "no type of RESP")                                                 \
    X(LINE, "a line that CR and LF do not end")                                \
    X(LONG_LINE, "a line of more than 64 KiB")                                 \
    X(VALUE, "a value that its type does not have")                            \
    X(LENGTH, "a length that is no number")                                    \
    X(STRING, "a string of more than 512 MiB")                                 \
    X(COUNT, "an aggregate of more than 2^28 elements")                        \
    X(STREAMED, "a streamed string or aggregate ('?'), which is not read")     \
    X(DEPTH, "aggregates in more than 32 others")                              \
    X(PLACE, "a push message inside a reply")                                  \
    X(SIZE, "a reply of more than 1 GiB")

#define RESP_FAULT(name, text) RESP_FAULT_##name,

enum resp_fault { RESP_FAULT_NONE, RESP_FAULTS(RESP_FAULT) };

enum resp_kind {
    RESP_VALUE,
    RESP_NIL,
    RESP_ERROR,
    RESP_PUSH, /* a published message or an invalidation; no request caused
                * it */
};

enum resp_state {
    RESP_AT_TYPE,
    RESP_IN_LINE,
    RESP_AT_FEED, /* after a CR */
    RESP_IN_STRING,
    RESP_AT_STRING_END, /* at the CR or LF after a string */
    RESP_COMPLETE,
};

/* Must be zero-initialised before the first reply. */
struct resp_reader {
    enum resp_state state;
    enum resp_kind kind;
    enum resp_fault fault;
    /* The value being parsed: its type, and the length and number of its first
     * line. */
    char type;
    bool is_negative;
    bool has_digits;
    uint32_t line_len;
    uint64_t number;
    /* Bytes still missing of the string, or of the CR and LF after it. */
    uint64_t left_bytes;
    uint64_t total_bytes;
    /* Number of open aggregates; left[i] is the number of missing elements of
     * aggregate i. Bit i of attributes is set if aggregate i is an attribute,
     * which is not an element of its parent. */
    uint32_t depth;
    uint32_t attributes;
    uint32_t left[RESP_DEPTH_MAX];
    /* First bytes of the reply, without the attributes before it. */
    uint32_t shown_len;
    char shown[RESP_SHOWN_MAX];
};

/*
 * Parses a reply or a part of it; @len must not be 0. Returns how many bytes
 * were used: all, unless state is RESP_COMPLETE. The fields then keep their
 * values until resp_reset(). Returns -EBADMSG and sets fault if the reply is
 * invalid.
 */
ssize_t resp_read(struct resp_reader *reader, const uint8_t *bytes, size_t len);

static inline void resp_reset(struct resp_reader *reader)
{
    reader->state = RESP_AT_TYPE;
    reader->kind = RESP_VALUE;
    reader->fault = RESP_FAULT_NONE;
    reader->total_bytes = 0;
    reader->depth = 0;
    reader->attributes = 0;
    reader->shown_len = 0;
}

const char *resp_fault_text(enum resp_fault fault);

#endif
