/*
 * The sending of a file on a transport.
 *
 * A part of the file is read into a chunk by the ring, so that nothing waits
 * for the file's device, and joins the send queue behind what was written. The
 * next one is read while the transport's depth is not above its high mark, and
 * two of them wait at most: a file takes as much memory as its peer lets stand,
 * whatever its size is.
 * For a pipe of 64 KiB that costs 385 us of CPU a MiB; a splice by the ring,
 * which a worker thread of the kernel makes, costs 391 (Linux 6.18).
 *
 * A device that takes bytes from the page cache is offered those first, once
 * the queue is empty. A part that is read for it is sent from its chunk, beside
 * the queue: what the device does not take of it is dropped and looked up
 * again.
 *
 *     next --> reading --> sending --> next    beside the queue
 *     next --> reading --------------> next    into the queue
 *     next, reading, sending --> stopping --> done
 *     next, reading, sending ---------------> done
 *
 * In state NEXT the file waits for its turn or, without bytes left, for the
 * queue to be sent. STOPPING waits for what is in flight, DONE for the loop to
 * tell the program.
 *
 * The transport calls wr_sender_go_on() when it is the file's turn or its depth
 * has fallen. It is lost only after the program was told.
 */
#ifndef WEIR_LIB_TRANSPORT_SENDER_H
#define WEIR_LIB_TRANSPORT_SENDER_H

#include "sendfile.h"

enum wr_sender_state {
    WR_SENDER_NEXT,     /* the next part waits for its turn, or the end */
    WR_SENDER_READING,  /* a part is being read */
    WR_SENDER_SENDING,  /* and sent from its chunk */
    WR_SENDER_STOPPING, /* it ends when what is in flight has ended */
    WR_SENDER_DONE,     /* the loop is about to tell */
    WR_SENDER_STATES,
};

/* How a device that takes bytes from the cache goes on. */
enum wr_sender_step {
    WR_SENDER_GOES_ON,    /* with the next bytes, in the next turn */
    WR_SENDER_LACKS_ROOM, /* once there is room */
    WR_SENDER_BREAKS,     /* with an error, which breaks the connection */
};

/* The functions of the transport, which a sender calls up, constant for each
 * kind. */
struct wr_sender_ops {
    /* Queues a chunk with @len bytes behind what is queued, whatever the limits
     * are. */
    void (*queue)(weir_transport *t, struct wr_chunk *chunk, size_t len);
    /* The sender is gone: writes are accepted again. While the transport closes
     * an error must not come to a clean end. */
    void (*ended)(weir_transport *t, int err);
    /* The program knows, and may have begun another. NULL: nothing waits for
     * that. */
    void (*told)(weir_transport *t);
    size_t part_bytes; /* most that are read at once */

    /* The others are of a device that takes bytes from the cache. The next of
     * them, as wr_sendfile_splice(); -EINTR: in the next turn. */
    int64_t (*splice)(weir_transport *t, struct wr_sendfile *file);
    /* Begins to send @len bytes of a part, whose end wr_sender_sent() is told;
     * or why it cannot. */
    int (*send)(weir_transport *t, const void *data, size_t len);
    void (*went)(weir_transport *t, enum wr_sender_step step, int err);
    /* True: nothing of the file is in flight nor, unless it will be dropped, in
     * the queue. False: it is cancelled, and wr_sender_sent() or
     * wr_sender_stopped() follows. */
    bool (*withdraw)(weir_transport *t);
};

struct wr_sender {
    weir_transport *t;
    const struct wr_sender_ops *ops;
    const struct wr_sendq *queue; /* of the transport */
    struct wr_sendfile file;
    enum wr_sender_state state; /* set by sender_set_state() alone */
    int err;                    /* why it stops, then its result */
    bool has_lost_queue;    /* set when what is in the queue will not be sent */
    uint64_t sent_bytes;    /* of the file that left, or are in the queue */
    uint64_t queued_bytes;  /* of these, that went through the queue */
    size_t last_bytes;      /* in the last part */
    struct wr_chunk *chunk; /* of the read, or of the send of its bytes */
    struct wr_op read_op;
    struct wr_ready ready;
};

/* One that begins with the first wr_sender_go_on(); NULL without memory. */
WEIR_MUST_USE struct wr_sender *wr_sender_new(weir_transport *t,
                                              const struct wr_sendfile *file,
                                              const struct wr_sender_ops *ops,
                                              const struct wr_sendq *queue);

/* Few bytes that are ready are queued at once: they leave with what was written
 * before. The rest follows with wr_sender_go_on(). */
void wr_sender_join(struct wr_sender *f);
/* It is the file's turn, or the depth of the transport may have fallen. */
void wr_sender_go_on(struct wr_sender *f);

/* A send of a part has ended, or a wait for room. */
void wr_sender_sent(struct wr_sender *f, int32_t res);
/* Nothing of a file that stops is in flight any more. */
void wr_sender_stopped(struct wr_sender *f);

/* The last @waiting bytes of the queue are not sent: how many of them are the
 * file's, which is told once. */
WEIR_MUST_USE uint64_t wr_sender_take_back(struct wr_sender *f,
                                           uint64_t waiting);

/* The program wants no more of it: bytes that are queued are sent, unless the
 * device withdraws them. */
void wr_sender_cancel(struct wr_sender *f);

/* The connection has ended, or will: bytes that are queued are not sent. */
void wr_sender_break(struct wr_sender *f);

/* The ring broke, and the connection with it. */
void wr_sender_abandon(struct wr_sender *f);

/* Holds wherever code of the user may run; pure. */
void wr_sender_check_invariants(const struct wr_sender *f);
/* Holds besides between two turns, of a transport that can send. */
void wr_sender_check_progress(const struct wr_sender *f);

/* For weir_loop_dump(). */
const char *wr_sender_state_name(const struct wr_sender *f);

/* True while its end is not decided. */
static inline bool wr_sender_is_active(const struct wr_sender *f)
{
    return f && f->state < WR_SENDER_STOPPING;
}

#endif
