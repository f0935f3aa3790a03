/*
 * Answers of a connection of the server that wait until they are due, in a
 * ring: serve_pace.h says when that is. They leave in order, and a peer that
 * has sent its last byte gets what waits before its connection is closed.
 *
 * A mode's connection begins with a struct answers, which is allocated by
 * malloc() and freed by answers_lost(); the mode adds answers and writes them.
 */
#ifndef WEIR_LOAD_SERVE_ANSWERS_H
#define WEIR_LOAD_SERVE_ANSWERS_H

#include "modes.h"

#include "weir/buffer.h"
#include "weir/loop.h"
#include "weir/transport.h"

#include <stdbool.h>
#include <stdint.h>

/* An answer that waits; the mode fills what it needs. */
struct answer {
    /* Set by answers_add(). */
    uint64_t due_ns;
    /* Received bytes, kept; or no lease. */
    struct weir_buf piece;
    /* Of a body. */
    uint64_t size_bytes;
    uint16_t status;
    uint8_t minor;
    bool is_head_request;
    /* It is the last one: the connection is closed behind it. */
    bool closes;
};

struct answers {
    struct mode_counts *counts;
    weir_transport *transport;
    /* Writes an answer: 0 or the error of a write. */
    int (*write)(struct answers *answers, const struct answer *answer);
    /* A ring of a power of two, oldest at head. */
    struct answer *ring;
    uint32_t capacity;
    uint32_t head;
    uint32_t count;
    struct weir_handle timer;
    /* Set when the ring holds too many, cleared when few are left. */
    bool is_full;
    /* Set by pause_writing, cleared by resume_writing. */
    bool writing_paused;
    /* No more answers follow: the peer has sent its last byte, or the last one
     * was written. */
    bool has_ended;
};

/* Add an answer to a request that came now, extra_ns added to its service time.
 * The piece's lease is the ring's then. 0 or -ENOMEM. */
int answers_add(struct answers *answers, const struct answer *answer,
                uint64_t extra_ns);

/* Send what is due, wait for the rest; after answers were added. */
void answers_send(struct answers *answers);

/* Write so many bytes of a text, by reference: 0 or the error of a write. */
int answers_write_text(struct answers *answers, uint64_t len);

/* Entries of the mode's protocol; user is the struct answers. */
void answers_made(void *user, weir_transport *t);
void answers_lost(void *user, weir_transport *t, int err);
void answers_pause(void *user, weir_transport *t);
void answers_resume(void *user, weir_transport *t);
int answers_end_of_stream(void *user, weir_transport *t);

#endif
