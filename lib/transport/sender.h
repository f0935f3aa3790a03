/*
 * Sends a file on a transport. The ring reads a part of the file into a chunk,
 * so nothing blocks on the file's device. The chunk joins the send queue after
 * written bytes. The next part is read while the depth is not above the high
 * mark, and at most two parts wait, so memory does not depend on the file's
 * size. For a pipe of 64 KiB this costs 385 us of CPU per MiB; a splice by a
 * worker thread of the ring costs 391 (Linux 6.18).
 *
 * A device that can send from the page cache is offered cached bytes first,
 * when the queue is empty. A part that is read for such a device is sent from
 * its chunk without the queue. Bytes that it does not take are dropped and
 * looked up again.
 *
 *     next --> reading --> sending --> next    without the queue
 *     next --> reading --------------> next    into the queue
 *     next, reading, sending --> stopping --> done
 *     next, reading, sending ---------------> done
 *
 * In state NEXT the file waits for its turn or, if no bytes are left, until the
 * queue is sent. The transport is lost only after done was called.
 */
#ifndef WEIR_LIB_TRANSPORT_SENDER_H
#define WEIR_LIB_TRANSPORT_SENDER_H

#include "sendfile.h"

enum wr_sender_state {
    WR_SENDER_NEXT, /* the next part, or the end, waits for its turn */
    WR_SENDER_READING,
    WR_SENDER_SENDING,  /* a part is being sent from its chunk */
    WR_SENDER_STOPPING, /* waits for the operation in flight */
    WR_SENDER_DONE,     /* done is about to be called */
    WR_SENDER_STATES,
};

struct wr_sender {
    weir_transport *t; /* of a connection */
    struct wr_sendfile file;
    enum wr_sender_state state; /* set by sender_set_state() alone */
    int err;                    /* error that stops it, later the result */
    bool has_lost_queue;        /* set when the queue will be dropped */
    uint64_t sent_bytes;        /* bytes of the file that were sent or queued */
    uint64_t queued_bytes;      /* part of sent_bytes that passed the queue */
    size_t last_bytes;          /* bytes in the last part */
    struct wr_chunk *chunk;     /* the part being read or sent */
    struct wr_file_op read_op;
    struct wr_ready ready;
};

/* wr_sender_go_on() starts it. Returns NULL if out of memory. */
WEIR_MUST_USE struct wr_sender *wr_sender_new(weir_transport *t,
                                              const struct wr_sendfile *file);

/* Queues a short file at once if it is cached, so that it is sent together with
 * written bytes. wr_sender_go_on() continues. */
void wr_sender_join(struct wr_sender *f);
/* Continues when it is the file's turn or the depth may have fallen. */
void wr_sender_go_on(struct wr_sender *f);

/* Called by the device when a send of a part, or a wait for space, has ended
 * with @res. */
void wr_sender_sent(struct wr_sender *f, int32_t res);
/* Called by the device when a stopping file has no operation in flight any
 * more. */
void wr_sender_stopped(struct wr_sender *f);

/* Uncounts the file's bytes among the last @waiting bytes of the queue, which
 * will not be sent. Returns their number, once. */
WEIR_MUST_USE uint64_t wr_sender_take_back(struct wr_sender *f,
                                           uint64_t waiting);

/* Cancels the file. Queued bytes are still sent unless withdrawn. */
void wr_sender_cancel(struct wr_sender *f);

/* Ends the file together with its connection: queued bytes are not sent. */
void wr_sender_break(struct wr_sender *f);

void wr_sender_abandon(struct wr_sender *f);

void wr_sender_check_invariants(const struct wr_sender *f);
/* Checks between loop iterations, if the transport can send. */
void wr_sender_check_progress(const struct wr_sender *f);

const char *wr_sender_state_name(const struct wr_sender *f);

/* True if there is a sender whose end is not decided. */
static inline bool wr_sender_is_active(const struct wr_sender *f)
{
    return f && f->state < WR_SENDER_STOPPING;
}

#endif
