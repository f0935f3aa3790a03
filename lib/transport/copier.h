/*
 * A file on its way through the send queue of a transport: how those send files
 * that must see the bytes, or whose descriptor takes none from the page cache.
 *
 * The ring reads parts of the file into blocks, so that nothing waits for the
 * file's device, and each part is queued behind what was written. The next one
 * is read while the transport's depth is not above its high mark, and there are
 * two of them at most: a file takes as much memory as its peer lets stand,
 * whatever its size is.
 * For a pipe of 64 KiB that costs 385 us of CPU a MiB; a splice by the ring,
 * which a worker thread of the kernel makes, costs 391 (Linux 6.18).
 *
 *     copying --all is queued--> draining --the kernel has it--> done
 *        \___________________________\______________ stopping __/
 *
 * STOPPING waits for the read that was in flight, DONE for the loop to tell the
 * program. A part is read into a chunk, which the queue owns from then on.
 *
 * The transport calls wr_copier_go_on() when its depth has fallen. It is lost
 * only after it was told the end.
 */
#ifndef WEIR_LIB_TRANSPORT_COPIER_H
#define WEIR_LIB_TRANSPORT_COPIER_H

#include "lib/base/sendq.h"
#include "sendfile.h"

enum wr_copier_state {
    WR_COPIER_COPYING,  /* parts of the file are left */
    WR_COPIER_DRAINING, /* all is queued, and not yet sent */
    WR_COPIER_STOPPING, /* it ends when the read has ended */
    WR_COPIER_DONE,     /* the loop is about to tell */
    WR_COPIER_STATES,
};

/* The functions of the transport, which a copier calls up. */
struct wr_copier_ops {
    /* Queues a chunk with @len bytes behind what is queued, whatever the limits
     * are. */
    void (*queue)(weir_transport *t, struct wr_chunk *chunk, size_t len);
    /* The copier is gone: writes are accepted again. While the transport closes
     * an error must not come to a clean end. */
    void (*ended)(weir_transport *t, int err);
    size_t part_bytes; /* most that are read at once */
};

struct wr_copier {
    weir_transport *t;
    const struct wr_copier_ops *ops;
    const struct wr_sendq *queue; /* of the transport */
    struct wr_sendfile file;
    enum wr_copier_state state; /* set by copier_set_state() alone */
    int err;                    /* from STOPPING on */
    bool is_broken;             /* set when the connection has ended */
    uint64_t sent_bytes;        /* of the file that were queued, and not lost */
    size_t last_bytes;          /* of these, in the last part */
    struct wr_chunk *reading;   /* of read_op, or NULL */
    struct wr_op read_op;
    struct wr_ready ready;
};

/* One that begins with the first wr_copier_go_on(); NULL without memory. */
WEIR_MUST_USE struct wr_copier *wr_copier_new(weir_transport *t,
                                              const struct wr_sendfile *file,
                                              const struct wr_copier_ops *ops,
                                              const struct wr_sendq *queue);

/* Few bytes that are ready are queued at once: they leave with what was written
 * before. The rest follows with wr_copier_go_on(). */
void wr_copier_join(struct wr_copier *c);
/* The depth of the transport may have fallen. */
void wr_copier_go_on(struct wr_copier *c);

/* The program wants no more of it: bytes that are queued are sent. */
void wr_copier_cancel(struct wr_copier *c);

/* The connection has ended, or will: bytes that are queued are not sent. */
void wr_copier_break(struct wr_copier *c);

/* The ring broke, and the connection with it. */
void wr_copier_abandon(struct wr_copier *c);

/* Holds wherever code of the user may run; pure. */
void wr_copier_check_invariants(const struct wr_copier *c);
/* Holds besides between two turns, of a transport that can send. */
void wr_copier_check_rest(const struct wr_copier *c);

/* For weir_loop_dump(). */
const char *wr_copier_state_name(const struct wr_copier *c);

/* True while its end is not decided. */
static inline bool wr_copier_is_active(const struct wr_copier *c)
{
    return c && c->state < WR_COPIER_STOPPING;
}

#endif
