/*
 * Replies of Redis (RESP2 and RESP3), read as they come: where one ends, and
 * whether it is an error, nil, or a message that no request asked for.
 *
 * Nothing is kept of a reply but its first bytes. However the bytes are cut,
 * and whatever a server sends, a reader has a fixed size: aggregates are nested
 * up to a limit, and a reply has a largest size. Strings and aggregates whose
 * length comes behind them ("$?", "*?") are refused: no server sends them.
 */
#ifndef WEIR_LOAD_RESP_H
#define WEIR_LOAD_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Aggregates in each other. */
#define RESP_DEPTH_MAX 32U

/* Of a line: of a simple string, an error or a number. */
#define RESP_LINE_MAX 65536U

/* Of a string with a length, which Redis itself limits, and of a whole reply.
 */
#define RESP_STRING_MAX (UINT64_C(512) << 20)
#define RESP_REPLY_MAX  (UINT64_C(1) << 30)

/* Elements of one aggregate. */
#define RESP_COUNT_MAX (UINT64_C(1) << 28)

/* First bytes of a reply that are kept to be shown. */
#define RESP_SHOWN_MAX 128U

/* Why a reply is not understood, with one line about each. */
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
    RESP_PUSH, /* of no request: what was subscribed to, or an invalidation */
};

enum resp_state {
    RESP_AT_TYPE,
    RESP_IN_LINE,
    RESP_AT_FEED, /* behind a CR */
    RESP_IN_STRING,
    RESP_AT_STRING_END, /* CR and LF behind a string */
    RESP_COMPLETE,
};

/* All zero before the first byte of a reply. */
struct resp_reader {
    enum resp_state state;
    enum resp_kind kind;
    enum resp_fault fault;
    /* Of the value that is being read: its type, how long its line is, and the
     * number in it. */
    char type;
    bool is_negative;
    bool has_digits;
    uint32_t line_len;
    uint64_t number;
    /* Bytes of a string that are to come, or of its end. */
    uint64_t left_bytes;
    uint64_t total_bytes;
    /* Of each aggregate that is open, the elements that are to come; and those
     * that are attributes, which are no element of the one around them. */
    uint32_t depth;
    uint32_t attributes;
    uint32_t left[RESP_DEPTH_MAX];
    /* Of the value itself, without the attributes before it. */
    uint32_t shown_len;
    char shown[RESP_SHOWN_MAX];
};

/*
 * Read a reply or a part of it; len is not 0. Returns how many bytes were used,
 * all of them unless the reply is complete (state); what the reader has of it
 * then stays until it is cleared. -EBADMSG: it is not understood (fault).
 */
ssize_t resp_read(struct resp_reader *reader, const uint8_t *bytes, size_t len);

/* Begin with the next reply. */
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

/* A line about the fault of a reader. */
const char *resp_fault_text(enum resp_fault fault);

#endif
