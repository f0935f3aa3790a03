/*
 * The outbox of a connection: bytes and files to be sent. A write is accepted
 * or refused as a whole. Queued bytes are a copy, memory of the caller, or
 * leased bytes of the receive pool. A file is queued between written bytes,
 * part by part.
 *
 *     new -> open -> ended -> closed
 *              \---> closing
 *
 *     open, ended <-> moving
 *     open, ended, closing, closed -> gone
 *     new, open, ended, closing, closed -> shut
 *
 * An outbox starts zeroed. If a write or a file fails during a close, the
 * outbox calls ->doom(), because the peer must not see a clean end without
 * these bytes.
 */
#ifndef WEIR_LIB_TRANSPORT_OUTBOX_H
#define WEIR_LIB_TRANSPORT_OUTBOX_H

#include "sendfile.h"
#include "transport.h"

/*
 * A sender sends a file. The ring reads a part of the file into a chunk, so
 * nothing blocks on the file's device. Then the chunk joins the send queue. The
 * next part is read while the depth is at most the high mark and fewer than two
 * parts wait, so memory does not depend on the file's size. For a pipe this
 * costs as much CPU as a splice by a worker thread of the ring (Linux 6.18).
 *
 * A device with ->splice is offered cached bytes first, when the queue is
 * empty. A part that is read for such a device is sent from its chunk, not
 * queued. Bytes that the socket does not take are dropped and looked up again.
 *
 *     next --> reading --> sending --> next    without the queue
 *     next --> reading --------------> next    into the queue
 *     next, reading, sending --> stopping --> done
 *     next, reading, sending ---------------> done
 *
 * After the last part, the sender stays in NEXT until the queue is sent. The
 * transport is lost only after done was called.
 */

enum wr_sender_state {
    WR_SENDER_NEXT, /* waits to read a part, or to finish */
    WR_SENDER_READING,
    WR_SENDER_SENDING,
    WR_SENDER_STOPPING,
    WR_SENDER_DONE, /* done is about to be called */
    WR_SENDER_STATES,
};

struct wr_sender {
    weir_transport *t;
    struct wr_sendfile file;
    enum wr_sender_state state; /* set by sender_set_state() alone */
    /* Error that stops the sender; later the result of the file. */
    int err;
    bool has_lost_queue;   /* set when the queue will be dropped */
    uint64_t sent_bytes;   /* bytes of the file that were sent or queued */
    uint64_t queued_bytes; /* part of sent_bytes that was queued */
    size_t last_bytes;
    struct wr_chunk *chunk; /* the part being read or sent */
    struct wr_file_op read_op;
    struct wr_ready ready;
};

WEIR_MUST_USE struct wr_sender *wr_sender_new(weir_transport *t,
                                              const struct wr_sendfile *file);

/* Queues a short cached file at once, so that it is sent with written bytes. */
void wr_sender_join(struct wr_sender *f);
/* Called when the next part may be read, or the depth may have fallen. */
void wr_sender_go_on(struct wr_sender *f);

/* Called when the device's send of a part, or its wait for space, has ended. */
void wr_sender_sent(struct wr_sender *f, int32_t res);
/* Called when the device has nothing of a stopping file in flight. */
void wr_sender_stopped(struct wr_sender *f);

/* Subtracts from sent_bytes the file's bytes that are dropped with the last
 * @waiting bytes of the queue. Returns their number, or 0 if called again. */
WEIR_MUST_USE uint64_t wr_sender_take_back(struct wr_sender *f,
                                           uint64_t waiting);

/* Cancels the file. Queued bytes that ->withdraw leaves are still sent. */
void wr_sender_cancel(struct wr_sender *f);

/* Ends the file with its connection. Queued bytes are not sent. */
void wr_sender_break(struct wr_sender *f);

void wr_sender_abandon(struct wr_sender *f);

void wr_sender_check_invariants(const struct wr_sender *f);
void wr_sender_check_progress(const struct wr_sender *f);

const char *wr_sender_state_name(const struct wr_sender *f);

static inline bool wr_sender_is_active(const struct wr_sender *f)
{
    return f && f->state < WR_SENDER_STOPPING;
}

enum wr_outbox_state {
    WR_OUTBOX_NEW,
    WR_OUTBOX_OPEN,
    WR_OUTBOX_ENDED,   /* write_eof was called: the queue is still sent */
    WR_OUTBOX_CLOSING, /* close was called; resume_writing may still write */
    WR_OUTBOX_CLOSED,  /* close was called after write_eof */
    WR_OUTBOX_MOVING,  /* the connection moves: nothing is sent */
    WR_OUTBOX_GONE,    /* the peer accepts no more bytes */
    WR_OUTBOX_SHUT,    /* the connection ends: the queue is dropped */
    WR_OUTBOX_STATES,
};

struct wr_outbox {
    struct wr_sendq queue;
    /* Bytes passed to a transport below, which has not sent them yet. */
    uint64_t passed_bytes;
    /* Sender of a file; while set, no write is accepted. */
    struct wr_sender *sender;
    enum wr_outbox_state state : 8; /* set by outbox_set_state() alone */
    bool in_resume;                 /* set during resume_writing */
    bool is_stalled; /* set from wr_outbox_stall() to wr_outbox_go_on() */
    bool is_opening; /* set by the owner until the peer has answered the SYN */
    /* Set by the owner of a closing connection: bytes dropped since the last
     * send, or since all sent bytes were acknowledged. */
    uint32_t dropped_bytes;
};

static inline void wr_outbox_check_invariants(const struct wr_outbox *o)
{
    wr_assert(o->state < WR_OUTBOX_STATES);
    wr_assert(wr_sendq_is_empty(&o->queue) == (o->queue.bytes == 0));
    wr_debug_assert(o->state != WR_OUTBOX_NEW || o->queue.bytes == 0);
    wr_debug_assert(o->state != WR_OUTBOX_NEW || !o->sender);
    wr_debug_check(wr_sendq_check_invariants(&o->queue));
}

void wr_outbox_open(struct wr_outbox *o);
/* In state OPEN, ends the stream after the queued bytes; else has no effect. */
void wr_outbox_end(struct wr_outbox *o);
void wr_outbox_close(struct wr_outbox *o);
void wr_outbox_begin_leaving(struct wr_outbox *o);
/* @has_ended is true if write_eof was called before the move. */
void wr_outbox_come_back(struct wr_outbox *o, bool has_ended);
void wr_outbox_lose_peer(struct wr_outbox *o);
void wr_outbox_shut(struct wr_outbox *o);

static inline bool wr_outbox_is_ending(const struct wr_outbox *o)
{
    return o->state >= WR_OUTBOX_ENDED && o->state <= WR_OUTBOX_CLOSED;
}

static inline bool wr_outbox_has_ended(const struct wr_outbox *o)
{
    return o->state == WR_OUTBOX_ENDED || o->state == WR_OUTBOX_CLOSED;
}

static inline bool wr_outbox_is_over(const struct wr_outbox *o)
{
    return o->state >= WR_OUTBOX_MOVING;
}

static inline uint64_t wr_outbox_depth(const struct wr_outbox *o)
{
    return o->queue.bytes + o->passed_bytes;
}

/* True if bytes or a file wait to be sent, or the SYN is unanswered. */
static inline bool wr_outbox_has_unsent(const struct wr_outbox *o)
{
    return !wr_sendq_is_empty(&o->queue) || o->sender || o->is_opening;
}

/* True if @len bytes may be written at @depth; else see wr_outbox_check(). */
static inline bool wr_outbox_has_room(const weir_transport *t,
                                      const struct wr_outbox *o, uint64_t depth,
                                      size_t len)
{
    wr_debug_assert(depth == wr_outbox_depth(o));
    return o->state == WR_OUTBOX_OPEN && !o->sender &&
           wr_transport_can_write(t) && len <= t->hard_limit_bytes &&
           depth <= t->hard_limit_bytes - len;
}

/* Returns 0 if @len more bytes may be written, else the error of the write.
 * After -ENOBUFS later writes fail, too, and a closing connection is doomed. */
WEIR_MUST_USE int wr_outbox_check(weir_transport *t, size_t len);

/* Called before wr_outbox_consume(), if a transport below takes the bytes. */
static inline void wr_outbox_pass(struct wr_outbox *o, uint64_t bytes)
{
    wr_assert(bytes <= o->queue.bytes);
    o->passed_bytes += bytes;
}

/* Called when the transport below has sent or dropped @bytes. */
static inline void wr_outbox_passed(struct wr_outbox *o, uint64_t bytes)
{
    wr_assert(bytes <= o->passed_bytes);
    o->passed_bytes -= bytes;
}

/* Counts @bytes that a close has dropped. Returns the total. */
static inline uint32_t wr_outbox_note_dropped(struct wr_outbox *o, size_t bytes)
{
    const uint32_t most = UINT32_MAX - o->dropped_bytes;

    wr_assert(bytes > 0);
    wr_assert(o->state >= WR_OUTBOX_CLOSING);
    o->dropped_bytes += bytes < most ? (uint32_t)bytes : most;
    return o->dropped_bytes;
}

static inline void wr_outbox_forget_dropped(struct wr_outbox *o)
{
    o->dropped_bytes = 0;
}

/* Called when the peer takes nothing. Copies queued bytes, and bytes queued
 * later, out of receive buffers, because a few bytes would pin a large
 * buffer. */
void wr_outbox_stall(weir_transport *t);
static inline void wr_outbox_go_on(struct wr_outbox *o)
{
    wr_assert(o->is_stalled);
    o->is_stalled = false;
}

/* Removes the first @bytes. Release callbacks may write, close and abort. */
void wr_outbox_consume(weir_transport *t, uint64_t bytes);
void wr_outbox_notify(weir_transport *t);
void wr_outbox_drop(weir_transport *t);

int wr_outbox_write(weir_transport *t, const void *data, size_t len);
int wr_outbox_writelines(weir_transport *t, const struct iovec *iov,
                         size_t count, size_t total);
int wr_outbox_write_ref(weir_transport *t, const void *data, size_t len,
                        weir_release_fn *release, void *arg);
int wr_outbox_write_lease(weir_transport *t, const struct weir_buf *buf);
int wr_outbox_sendfile(weir_transport *t, const struct wr_sendfile *file);
void wr_outbox_cancel_sendfile(weir_transport *t);
void wr_outbox_limits_changed(weir_transport *t);
/* Ends a read of a file now, because the ring has failed. */
void wr_outbox_abandon(weir_transport *t);

void wr_outbox_queue_file(weir_transport *t, struct wr_chunk *chunk,
                          size_t len);
void wr_outbox_end_file(weir_transport *t, int err);

#endif
