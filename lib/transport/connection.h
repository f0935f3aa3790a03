/*
 * Connections: streams of bytes on any device.
 *
 * A connection is the common part of stream transports: a life, an intake, an
 * outbox, a delivery and a clock, with their entries of the transport's table.
 * A device moves the bytes: it receives, it sends the queue, and it is called
 * when no byte follows and when the end is decided. A device is a constant
 * table of functions, in the table of the transport's kind, and a struct that
 * begins with the connection.
 *
 *     step: held bytes -> device receives -> end of the stream -> file -> life
 *
 * Every event pushes the step, and only the step advances the connection's
 * life. A connection is lost when nothing of it is in flight any more.
 */
#ifndef WEIR_LIB_TRANSPORT_CONNECTION_H
#define WEIR_LIB_TRANSPORT_CONNECTION_H

#include "clock.h"
#include "delivery.h"
#include "intake.h"
#include "life.h"
#include "outbox.h"

struct wr_connection {
    weir_transport t;
    struct wr_outbox outbox;
    struct wr_delivery delivery;
    struct wr_clock clock;
    bool is_made;  /* set before connection_made */
    bool end_sent; /* set when no byte follows and ->shut was called */
    bool eof_seen; /* set when the device has received the end */
};

struct wr_device {
    size_t size; /* of the struct that begins with the connection */
    /* Bytes move one way: the end of the stream is the end of the connection,
     * even if the protocol would keep it. */
    bool is_one_way;
    /* Called in each step: receives bytes while wr_connection_wants() is true.
     * After a close it may receive to drop the bytes. */
    void (*receive)(struct wr_connection *c);
    /* Bytes were queued: sends them, but later than in this call. */
    void (*send)(struct wr_connection *c);
    /* Everything is sent and no byte follows. NULL: the peer sees the end when
     * the device is closed. */
    void (*shut)(struct wr_connection *c);
    /* Called in each step until the end is decided: 0, or the error that makes
     * sending impossible. NULL: the device sets the error itself. */
    int (*look)(const struct wr_connection *c);
    /* The end is decided: cancels operations. If any was in flight, the device
     * calls wr_connection_push() after the last. */
    void (*stop)(struct wr_connection *c);
    /* True while the kernel may use memory of the connection or its queue. */
    bool (*is_in_flight)(const struct wr_connection *c);
    /* True if bytes wait to be received; for a device that receives. */
    bool (*has_arrived)(const struct wr_connection *c);
    /* Called after connection_lost: frees the device. NULL: nothing to free. */
    void (*close)(struct wr_connection *c);
    /* Holds wherever code of the user may run; pure. */
    void (*check)(const struct wr_connection *c);
    /* Asserts, between turns without a pending step, that something will
     * continue each direction that is stopped. */
    void (*check_progress)(const struct wr_connection *c);
    /* Writes the device's facts for weir_loop_dump(). NULL: none. */
    void (*dump)(const struct wr_connection *c, FILE *out);
};

static inline struct wr_connection *wr_connection_of(const weir_transport *t)
{
    wr_debug_assert(t->ops->device);
    return (struct wr_connection *)(uintptr_t)t; /* its first field */
}

/* Makes a NEW connection with the limits of @options; NULL without memory. */
WEIR_MUST_USE struct wr_connection *
wr_connection_make(weir_loop *loop, const struct wr_transport_ops *ops,
                   const struct weir_connection_options *options);
/* Frees a connection whose protocol was never called. */
void wr_connection_discard(struct wr_connection *c);
/* Adds a connection with a bound protocol to the loop; connection_made follows
 * in its first step. */
void wr_connection_begin(struct wr_connection *c);
/* Calls connection_made now instead of in the first step. */
void wr_connection_tell_made(struct wr_connection *c);

static inline void wr_connection_push(struct wr_connection *c)
{
    wr_life_push_step(&c->t);
}

/* True if the protocol may be called with more bytes. */
static inline bool wr_connection_wants(const struct wr_connection *c)
{
    return c->t.state == WR_LIFE_OPEN && wr_delivery_is_free(&c->delivery) &&
           !c->eof_seen && c->t.error == 0;
}

/* Credit for the next receive; 0: the connection waits for credit. */
WEIR_MUST_USE uint32_t wr_connection_ask(struct wr_connection *c,
                                         uint64_t stuck_bytes);
/* Notes that receiving continues; restarts the peer's read time-out if the lack
 * of credit had stopped it. */
void wr_connection_goes_on(struct wr_connection *c);
/* Counts received bytes that the device delivers itself. */
void wr_connection_note_received(struct wr_connection *c, uint64_t bytes);
/* Delivers a copy of received bytes. */
void wr_connection_received(struct wr_connection *c, const void *data,
                            size_t len);
/* The peer has ended its stream; called once, after its last byte. */
void wr_connection_received_end(struct wr_connection *c);
/* The first bytes of the queue were sent. Callbacks may write, close and abort.
 */
void wr_connection_sent(struct wr_connection *c, uint64_t bytes);

/* ---- the entries of a table ---- */

bool wr_connection_is_reading(const weir_transport *t);
struct weir_depth wr_connection_get_depth(const weir_transport *t);
const struct wr_sendq *wr_connection_get_unoffered(const weir_transport *t);
void wr_connection_get_handover(const weir_transport *t,
                                struct wr_handover *ret);
bool wr_connection_has_unread(const weir_transport *t);
void wr_connection_write_eof(weir_transport *t);
void wr_connection_pause_reading(weir_transport *t);
void wr_connection_resume_reading(weir_transport *t);
void wr_connection_fed(weir_transport *t, enum wr_demand_state queue);
int wr_connection_set_timeouts(weir_transport *t,
                               const struct weir_timeouts *timeouts);
void wr_connection_close(weir_transport *t);
void wr_connection_abort(weir_transport *t);
void wr_connection_dump(const weir_transport *t, FILE *out);
void wr_connection_check(const weir_transport *t);
void wr_connection_free(weir_transport *t);
extern const struct wr_outbox_ops wr_connection_outbox_ops;

/* For all connections; `fed` is wr_connection_fed() or the device's own. */
#define WR_CONNECTION_OPS                                                      \
    .protocol_kinds = WR_PROTOCOL_STREAMS,                                     \
    .delivery_offset = offsetof(struct wr_connection, delivery),               \
    .outbox = &wr_connection_outbox_ops, .is_closing = wr_life_is_closing,     \
    .set_timeouts = wr_connection_set_timeouts,                                \
    .set_protocol = wr_intake_set_protocol, .close = wr_connection_close,      \
    .abort = wr_connection_abort, .doom = wr_life_doom,                        \
    .dump = wr_connection_dump, .check = wr_connection_check,                  \
    .free = wr_connection_free

/* For connections that receive. */
#define WR_CONNECTION_READ_OPS                                                 \
    .pause_reading = wr_connection_pause_reading,                              \
    .resume_reading = wr_connection_resume_reading,                            \
    .is_reading = wr_connection_is_reading,                                    \
    .has_unread = wr_connection_has_unread,                                    \
    .set_read_limit = wr_intake_set_limit

/* For connections that send. */
#define WR_CONNECTION_WRITE_OPS .write = wr_outbox_write, WR_OUTBOX_OPS

#endif
