/*
 * Pending responses of a server connection, in a ring. They are sent in order,
 * at the times of serve_pace.c. After the peer's last byte, pending responses
 * are still sent before the connection is closed.
 *
 * A mode's connection begins with a struct answers. It must be allocated with
 * malloc(), and answers_lost() frees it. The mode adds responses and writes
 * them.
 */
#ifndef WEIR_LOAD_SERVE_ANSWERS_H
#define WEIR_LOAD_SERVE_ANSWERS_H

#include "modes.h"

#include "weir/buffer.h"
#include "weir/loop.h"
#include "weir/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A pending response. The mode sets the fields that it needs. */
struct answer {
    /* Set by answers_add(). */
    uint64_t due_ns;
    /* Received bytes and a reference to their lease. The lease is NULL if there
     * are no bytes. */
    struct weir_buf piece;
    /* Size of the body. */
    uint64_t size_bytes;
    uint16_t status;
    uint8_t minor;
    bool is_head_request;
    bool closes;
};

struct answers {
    struct mode_counts *counts;
    weir_transport *transport;
    int (*write)(struct answers *answers, const struct answer *answer);
    /* A ring with the oldest response at `head`. The capacity is a power of
     * two. */
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

/* Adds the response to a request that was received now. @extra_ns is added to
 * the service time. Takes ownership of the lease of answer->piece. Returns 0 or
 * -ENOMEM. */
int answers_add(struct answers *answers, const struct answer *answer,
                uint64_t extra_ns);

/* Sends the responses that are due, and starts the timer for the others. Must
 * be called after adding responses. */
void answers_send(struct answers *answers);

/* Writes @len bytes of a text by reference. Returns 0 or the error of a
 * write. */
int answers_write_text(struct answers *answers, uint64_t len);

/* Callbacks of the mode's protocol. Their user pointer is the struct
 * answers. */
void answers_made(void *user, weir_transport *t);
void answers_lost(void *user, weir_transport *t, int err);
void answers_pause(void *user, weir_transport *t);
void answers_resume(void *user, weir_transport *t);
int answers_end_of_stream(void *user, weir_transport *t);

/*
 * The server's HTTP mode. The query of a request controls the response, as in
 * haterm; the path is ignored:
 *
 *     ?s=SIZE    size of the body, or a distribution of sizes (sizes.c)
 *     t=TIME     service time; a plain number is in milliseconds
 *     r=STATUS   status
 *     close=1    closes the connection after the response
 */

struct serve_http_wish {
    struct sizes sizes;
    uint64_t delay_ns;
    uint16_t status;
    bool closes;
    bool is_head_request;
    uint8_t minor;
};

/* Parses a line like "GET /x?s=1k HTTP/1.1\r". *ret must have the defaults.
 * Returns 0, or the status with which to refuse an invalid line or query. */
int serve_http_parse_line(const char *line, size_t len,
                          struct serve_http_wish *ret);

extern const struct weir_protocol serve_http_protocol;
int serve_http_create(void *arg, weir_transport *t,
                      struct weir_protocol_binding *ret);
int serve_http_write(struct answers *answers, const struct answer *answer);

#endif
