/*
 * --log: writes a line for each measured request.
 *
 * A measuring thread only records a request in its own ring, which never grows;
 * the main thread writes the rings' contents several times in a hundred
 * milliseconds, and never waits for the reader of a pipe. If a ring is full,
 * because the file is slower than the load, the request is not recorded but
 * counted as dropped: the log must not slow down the load.
 */
#ifndef WEIR_LOAD_REQUEST_LOG_H
#define WEIR_LOAD_REQUEST_LOG_H

#include "kinds.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define REQUEST_LOG_SIZE (1U << 16)

/* Size of the longest line, except for the name of its kind. */
#define REQUEST_LOG_LINE 112U

/* Bytes that a ready pipe accepts without blocking (PIPE_BUF). */
#define REQUEST_LOG_PIPE 4096U

enum request_end {
    REQUEST_OK,
    REQUEST_FAILED, /* wrong answer */
    REQUEST_TIMEOUT,
    REQUEST_LOST, /* lost with its connection */
};

struct request_note {
    uint64_t number;
    uint64_t meant_ns;
    uint64_t sent_ns;
    uint64_t end_ns;
    uint32_t conn;
    uint16_t status; /* 0 if none */
    uint8_t end;
    uint8_t kind; /* index of the kind, if kinds are counted */
};

struct request_log_end {
    FILE *out;
    /* Start of the window; times are relative to it. */
    uint64_t begin_ns;
    /* NULL if kinds are not counted. */
    const struct kinds *kinds;
};

struct request_log {
    /* The measuring thread writes noted and dropped, the writer taken; each
     * side has its own cache line. */
    _Alignas(64) uint64_t noted;
    uint64_t dropped;
    _Alignas(64) uint64_t taken;
    struct request_note notes[REQUEST_LOG_SIZE];
};

/* Returns NULL if out of memory. */
struct request_log *request_log_new(void);

/* Records a request. Called on the log's thread. */
void request_log_note(struct request_log *log, const struct request_note *note);

/* Counts requests that cannot be recorded. Called on the log's thread. */
static inline void request_log_drop(struct request_log *log, uint64_t count)
{
    log->dropped += count;
}

/* Writes at most @most recorded requests; called on one thread only. Returns
 * the number of lines. */
uint64_t request_log_write(struct request_log *log,
                           const struct request_log_end *end, uint64_t most);

/* Returns how many lines a ready pipe accepts at once after the header. */
uint64_t request_log_piece(const struct kinds *kinds);

void request_log_write_header(FILE *out);

#endif
