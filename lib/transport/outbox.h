/*
 * Outboxes: what waits to be sent on a connection.
 *
 * A write is accepted whole or refused whole. The kinds of writes differ in
 * where the bytes stay until they are sent: copied, copied from several pieces,
 * in memory of the caller, or under a lease of the receive pool. A file lies
 * between them, part after part.
 *
 *     unborn -> open -> ended -> closed -> shut
 *                 \---> closing ---------/
 *                  \______\_______\_ gone
 *
 * An outbox knows the transport, its protocol and the budget, and nothing of
 * how bytes leave. Its owner embeds one, zeroed, says where by `outbox` of its
 * table, and tells it when bytes have left; what the life of the connection
 * means for it is told by life.h. Bytes that are refused while a close sends
 * the others would be missed by the peer at what looks like a clean end: then
 * the outbox dooms the transport by `doom` of its table.
 */
#ifndef WEIR_LIB_TRANSPORT_OUTBOX_H
#define WEIR_LIB_TRANSPORT_OUTBOX_H

#include "sender.h"
#include "transport.h"

enum wr_outbox_state {
    WR_OUTBOX_UNBORN,  /* there is no connection yet */
    WR_OUTBOX_OPEN,    /* the program may write */
    WR_OUTBOX_ENDED,   /* write_eof was called: what waits is sent */
    WR_OUTBOX_CLOSING, /* so was close; resume_writing may still write */
    WR_OUTBOX_CLOSED,  /* so was close, after write_eof */
    WR_OUTBOX_GONE,    /* the peer takes no more */
    WR_OUTBOX_SHUT,    /* the connection ends: what waits is dropped */
    WR_OUTBOX_STATES,
};

struct wr_outbox {
    struct wr_sendq queue;
    /* Left the queue and are not sent: a transport below has them. */
    uint64_t passed_bytes;
    struct wr_sender *sender;       /* of a file: no write is accepted */
    enum wr_outbox_state state : 8; /* set by outbox_set_state() alone */
    bool in_resume;                 /* set around resume_writing */
};

/* The owner's part, constant for each kind. */
struct wr_outbox_ops {
    size_t offset; /* of the outbox, in the transport's struct */
    /* @len bytes were queued: the owner sends them when the turn ends. */
    void (*queued)(weir_transport *t, size_t len);
    /* A file was begun, which goes on when the turn ends; a few bytes of it may
     * be queued next. */
    void (*file_begins)(weir_transport *t);
    /* The sender is about to be gone, and what waited for that may go on. */
    void (*file_ended)(weir_transport *t);
    /* With wr_outbox_queue_file() and wr_outbox_file_ended(). */
    const struct wr_sender_ops *sender;
};

static inline struct wr_outbox *wr_outbox_of(const weir_transport *t)
{
    return (struct wr_outbox *)((uintptr_t)t + t->ops->outbox->offset);
}

/* Holds wherever code of the user may run; pure. */
static inline void wr_outbox_check_invariants(const struct wr_outbox *o)
{
    wr_assert(o->state < WR_OUTBOX_STATES);
    wr_assert(wr_sendq_is_empty(&o->queue) == (o->queue.bytes == 0));
    wr_debug_assert(o->state != WR_OUTBOX_UNBORN || o->queue.bytes == 0);
    wr_debug_assert(o->state != WR_OUTBOX_UNBORN || !o->sender);
    wr_debug_check(wr_sendq_check_invariants(&o->queue));
}

/* ---- the state of the connection ---- */

/* The protocol knows the connection, or is about to. */
void wr_outbox_open(struct wr_outbox *o);
/* No byte follows those that wait. Nothing happens unless it is open. */
void wr_outbox_end(struct wr_outbox *o);
void wr_outbox_close(struct wr_outbox *o);
/* The peer takes no more, of a connection that is not over. */
void wr_outbox_lose_peer(struct wr_outbox *o);
/* The connection ends. */
void wr_outbox_shut(struct wr_outbox *o);

/* True when an end was asked for, and comes after the last byte. */
static inline bool wr_outbox_is_ending(const struct wr_outbox *o)
{
    return o->state >= WR_OUTBOX_ENDED && o->state <= WR_OUTBOX_CLOSED;
}

/* True when nothing more is sent. */
static inline bool wr_outbox_is_over(const struct wr_outbox *o)
{
    return o->state >= WR_OUTBOX_GONE;
}

/* ---- what is written ---- */

/* The bytes that were written and not sent. */
static inline uint64_t wr_outbox_depth(const struct wr_outbox *o)
{
    return o->queue.bytes + o->passed_bytes;
}

/* True when bytes or a file wait to be sent. */
static inline bool wr_outbox_has_unsent(const struct wr_outbox *o)
{
    return !wr_sendq_is_empty(&o->queue) || o->sender;
}

/* True when @len more bytes may be written behind @depth, as is mostly so. */
static inline bool wr_outbox_has_room(const weir_transport *t,
                                      const struct wr_outbox *o, uint64_t depth,
                                      size_t len)
{
    wr_debug_assert(depth == wr_outbox_depth(o));
    return o->state == WR_OUTBOX_OPEN && !o->sender &&
           wr_transport_can_write(t) && len <= t->hard_limit_bytes &&
           depth <= t->hard_limit_bytes - len;
}

/* 0 when @len more bytes may be written, or why not. Where there is no room for
 * them the refusal is remembered, as all later writes are refused too, and a
 * connection that is closing is doomed. */
WEIR_MUST_USE int wr_outbox_check(weir_transport *t, size_t len);

/* ---- what leaves ---- */

/* The first @bytes of the queue, which leave it next, were handed below. */
static inline void wr_outbox_pass(struct wr_outbox *o, uint64_t bytes)
{
    wr_assert(bytes <= o->queue.bytes);
    o->passed_bytes += bytes;
}

/* Below has sent or dropped as many of them. */
static inline void wr_outbox_passed(struct wr_outbox *o, uint64_t bytes)
{
    wr_assert(bytes <= o->passed_bytes);
    o->passed_bytes -= bytes;
}

/* The first @bytes leave the queue. Release callbacks may write, close and
 * abort. */
void wr_outbox_consume(weir_transport *t, uint64_t bytes);
/* The depth has fallen: a protocol that was paused may write on. It may also
 * close and abort. */
void wr_outbox_notify(weir_transport *t);
/* Gives up what waits, of a connection that has ended or is broken. */
void wr_outbox_drop(weir_transport *t);

/* ---- the entries of a table ---- */

int wr_outbox_write(weir_transport *t, const void *data, size_t len);
int wr_outbox_writelines(weir_transport *t, const struct iovec *iov,
                         size_t count, size_t total);
int wr_outbox_write_ref(weir_transport *t, const void *data, size_t len,
                        weir_release_fn *release, void *arg);
int wr_outbox_write_lease(weir_transport *t, const struct weir_buf *buf);
int wr_outbox_sendfile(weir_transport *t, const struct wr_sendfile *file);
void wr_outbox_cancel_sendfile(weir_transport *t);
void wr_outbox_limits_changed(weir_transport *t);
/* The ring broke: a read of a file ends now. Part of `abandon`. */
void wr_outbox_abandon(weir_transport *t);

/* Of all that have an outbox; `write` may be one that is shorter. */
#define WR_OUTBOX_OPS                                                          \
    .can_write_eof = true, .writelines = wr_outbox_writelines,                 \
    .write_ref = wr_outbox_write_ref, .write_lease = wr_outbox_write_lease,    \
    .sendfile = wr_outbox_sendfile,                                            \
    .cancel_sendfile = wr_outbox_cancel_sendfile,                              \
    .limits_changed = wr_outbox_limits_changed

/* For the sender. */
void wr_outbox_queue_file(weir_transport *t, struct wr_chunk *chunk,
                          size_t len);
void wr_outbox_file_ended(weir_transport *t, int err);

#endif
