/*
 * Pending responses of a server connection, in a ring, with the times from
 * serve_pace.h. They are sent in order. After the peer's last byte, pending
 * responses are still sent before the connection is closed.
 *
 * A mode's connection begins with a struct answers, allocated with malloc() and
 * freed by answers_lost(). The mode adds responses and writes them.
 */
#ifndef WEIR_LOAD_SERVE_ANSWERS_H
#define WEIR_LOAD_SERVE_ANSWERS_H

#include "modes.h"

#include "weir/buffer.h"
#include "weir/loop.h"
#include "weir/transport.h"

#include <stdbool.h>
#include <stdint.h>

/* A pending response; the mode fills in the fields that it needs. */
struct answer {
    /* Set by answers_add(). */
    uint64_t due_ns;
    /* Received bytes with a reference to their lease; the lease is NULL if
     * there are none. */
    struct weir_buf piece;
    /* Size of the body. */
    uint64_t size_bytes;
    uint16_t status;
    uint8_t minor;
    bool is_head_request;
    /* The connection is closed after this response. */
    bool closes;
};

struct answers {
    struct mode_counts *counts;
    weir_transport *transport;
    /* Writes a response. Returns 0 or the error of a write. */
    int (*write)(struct answers *answers, const struct answer *answer);
    /* A ring with a power of two as capacity; the oldest is at head. */
    struct answer *ring;
    uint32_t capacity;
    uint32_t head;
    uint32_t count;
    struct weir_handle timer;
    /* Set when the ring has too many responses, cleared when few are left. */
    bool is_full;
    /* Set by pause_writing, cleared by resume_writing. */
    bool writing_paused;
    /* No more responses follow: the peer's stream has ended, or the last
     * response was written. */
    bool has_ended;
};

/* Adds the response to a request received now; extra_ns is added to its service
 * time. Takes over the piece's lease. Returns 0 or -ENOMEM. */
int answers_add(struct answers *answers, const struct answer *answer,
                uint64_t extra_ns);

/* Sends the responses that are due, and starts the timer for the others. Must
 * be called after adding responses. */
void answers_send(struct answers *answers);

/* Writes @len bytes of a text by reference. Returns 0 or the error of a write.
 */
int answers_write_text(struct answers *answers, uint64_t len);

/* Callbacks for the mode's protocol; their user pointer is the struct
 * answers. */
void answers_made(void *user, weir_transport *t);
void answers_lost(void *user, weir_transport *t, int err);
void answers_pause(void *user, weir_transport *t);
void answers_resume(void *user, weir_transport *t);
int answers_end_of_stream(void *user, weir_transport *t);

#endif
