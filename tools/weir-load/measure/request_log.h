/*
 * --log: a line for each measured request, as it ended.
 *
 * A thread that measures only notes a request, in a ring of its own that never
 * grows; the main thread writes what the rings have, some times in a hundred
 * milliseconds, and does not wait for one who reads a pipe. If a ring is full
 * the request is not noted, and counted: the file is slower than the load then,
 * and the load is what is measured.
 */
#ifndef WEIR_LOAD_REQUEST_LOG_H
#define WEIR_LOAD_REQUEST_LOG_H

#include "kinds.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* A power of 2. */
#define REQUEST_LOG_SIZE (1U << 16)

/* A line without its kind, at most. */
#define REQUEST_LOG_LINE 112U

/* What a pipe which is ready takes at once (PIPE_BUF). */
#define REQUEST_LOG_PIPE 4096U

enum request_end {
    REQUEST_OK,
    REQUEST_FAILED,  /* another answer than was expected */
    REQUEST_TIMEOUT, /* no answer in time */
    REQUEST_LOST,    /* with its connection */
};

struct request_note {
    uint64_t number;
    uint64_t meant_ns;
    uint64_t sent_ns;
    uint64_t end_ns;
    uint32_t conn;
    uint16_t status; /* 0: there is none */
    uint8_t end;
    uint8_t kind; /* its place, where there are kinds */
};

/* Where lines are written to. */
struct request_log_end {
    FILE *out;
    /* Times are from here on. */
    uint64_t begin_ns;
    /* NULL: none is counted. */
    const struct kinds *kinds;
};

struct request_log {
    /* Notes until now: written by the thread, and taken by the writer. Each has
     * its own line of the cache. */
    _Alignas(64) uint64_t noted;
    uint64_t dropped;
    _Alignas(64) uint64_t taken;
    struct request_note notes[REQUEST_LOG_SIZE];
};

/* NULL without memory. */
struct request_log *request_log_new(void);

/* Note a request, on the log's thread. */
void request_log_note(struct request_log *log, const struct request_note *note);

/* On the log's thread: requests that cannot be noted. */
static inline void request_log_drop(struct request_log *log, uint64_t count)
{
    log->dropped += count;
}

/* Write what was noted until now, so many lines at most, on one thread. Returns
 * how many lines there were. */
uint64_t request_log_write(struct request_log *log,
                           const struct request_log_end *end, uint64_t most);

/* So many lines a pipe which is ready takes at once, behind the header. */
uint64_t request_log_piece(const struct kinds *kinds);

void request_log_write_header(FILE *out);

#endif
