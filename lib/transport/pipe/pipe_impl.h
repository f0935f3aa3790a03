/*
 * The inside of a pipe transport, shared by the files that make it up. Calls go
 * one way, from each file to those below it:
 *
 *     pipe_open.c     making one of a descriptor
 *     pipe.c          life: completions, decisions carried out, loss, freeing
 *     pipe_read.c     waiting for bytes, reading and delivering them
 *     pipe_write.c    the send queue on its way to the kernel
 *     splice.c        reads and writes that may have to wait
 *     pipe_time.c     time-outs
 *     pipe_state.c    the operation, the next step, what must always hold
 *
 * The description behind the descriptor may be shared, with the shell and all
 * that it starts in the case of a terminal, so its flags stay as they are: weir
 * does not set O_NONBLOCK. It waits by a poll and then moves bytes in the way
 * that the file allows (`way`), of which none can hold up the loop:
 *
 *     socket   recvmsg and sendmsg that do not wait (MSG_DONTWAIT)
 *     nowait   preadv2 and pwritev2 that do not wait (RWF_NOWAIT)
 *     worker   reads and writes in a worker thread of the kernel, which may
 *              have to wait there, and are cancelled at the end (splice.h)
 *
 * A FIFO that was opened by its name, a terminal and a regular file tell by
 * -EOPNOTSUPP that only the last one is left. A regular file is always ready,
 * and no poll is made of it: one on FUSE would ask the process of its file
 * system, and the loop's thread wait for the answer.
 *
 * Life of a pipe (life.h). close() of a write pipe leads from OPEN to CLOSING,
 * of a read pipe to DOOMED, as do abort(), the peer's end, an error, a time-out
 * and a failed callback. Then all is cancelled, and when the last operation has
 * ended the connection is lost.
 */
#ifndef WEIR_LIB_TRANSPORT_PIPE_PIPE_IMPL_H
#define WEIR_LIB_TRANSPORT_PIPE_PIPE_IMPL_H

#include "lib/transport/clock.h"
#include "lib/transport/delivery.h"
#include "lib/transport/intake.h"
#include "lib/transport/life.h"
#include "lib/transport/outbox.h"
#include "pipe.h"
#include "splice.h"

/* The next step of a pipe's life. */
enum wr_pipe_next {
    WR_PIPE_WAIT, /* nothing to do before an operation ends */
    WR_PIPE_GO,   /* the state stays: see what can be read or written */
    WR_PIPE_DOOM, /* nothing is left to wait for */
    WR_PIPE_END,  /* cancel what is in flight */
    WR_PIPE_LOSE, /* nothing is in flight: tell the protocol */
};

/* How bytes come and go; see above. */
enum wr_pipe_way {
    WR_PIPE_BY_SOCKET,
    WR_PIPE_BY_NOWAIT,
    WR_PIPE_BY_WORKER,
};

/* The operation that comes before the next bytes move, or moves them.
 *
 *     idle -> polling -> idle                        no room or byte was there
 *     idle -> polling -> idle -> working -> idle     in a worker thread
 */
enum wr_pipe_io {
    WR_PIPE_IDLE,    /* nothing in the kernel */
    WR_PIPE_POLLING, /* a poll is in flight, for bytes or for room */
    WR_PIPE_WORKING, /* a read or a write is in flight */
    WR_PIPE_IOS,
};

struct wr_pipe {
    weir_transport t;
    int fd;
    enum wr_pipe_direction direction : 8;
    enum wr_pipe_io io : 8;   /* set by wr_pipe_set_io() alone */
    enum wr_pipe_way way : 8; /* falls to worker at most once */
    bool eof_seen : 1;        /* set by the read that returned 0 */
    bool sees_changes : 1;    /* polls are ones that tell changes alone */
    bool is_file : 1;         /* a regular one; set before birth */

    struct wr_op op;         /* the poll, or the read or write in a worker */
    struct wr_splice splice; /* of those in a worker */

    /* Of a read pipe. */
    struct wr_delivery delivery; /* shut from state CLOSING on */
    struct wr_timer rest_timer;  /* reading rests until then */
    uint8_t *scratch; /* where a worker reads to; made on first use */

    /* Of a write pipe. */
    struct wr_turn_end turn_end;
    struct wr_outbox outbox;
    struct wr_op watch_op; /* notices that the reader has gone */

    struct wr_clock clock;
};

/* Bytes that a worker reads at a time. */
#define WR_PIPE_SCRATCH (16u << 10)

static inline struct wr_pipe *wr_pipe_of(const weir_transport *t)
{
    return (struct wr_pipe *)(uintptr_t)t; /* its first field */
}

/* pipe.c */

/* A pipe in state UNBORN, or NULL without memory. */
WEIR_MUST_USE struct wr_pipe *wr_pipe_make(weir_loop *loop, int fd,
                                           enum wr_pipe_direction direction);
/* Takes back one whose protocol was never called. */
void wr_pipe_unmake(struct wr_pipe *p);
/* From now on the loop knows of it. */
void wr_pipe_bear(struct wr_pipe *p);

/* pipe_read.c */
void wr_pipe_read_init(struct wr_pipe *p);
/* Waits for bytes, or leaves a queue, as things stand. */
void wr_pipe_update_read(struct wr_pipe *p);
/* The poll for bytes, or the read in a worker, has completed. */
void wr_pipe_read_completed(struct wr_pipe *p, int32_t res);
/* A queue of the budget lets the pipe read; @was_due: its turn has come. */
void wr_pipe_read_fed(struct wr_pipe *p, bool was_due);
void wr_pipe_pause_reading(weir_transport *t);
void wr_pipe_resume_reading(weir_transport *t);

/* Delivers what was held, as far as the protocol takes it. */
void wr_pipe_read_held(struct wr_pipe *p);
int wr_pipe_set_protocol(weir_transport *t,
                         const struct weir_protocol_binding *binding,
                         const struct weir_buf *initial, size_t count);

/* pipe_write.c */
void wr_pipe_write_init(struct wr_pipe *p);
/* Begins to watch for the end of the reader. */
void wr_pipe_watch(struct wr_pipe *p);
/* The poll for room, or the write in a worker, has completed. */
void wr_pipe_write_completed(struct wr_pipe *p, int32_t res);
/* The watch has completed. */
void wr_pipe_watched(struct wr_pipe *p, int32_t res);
/* At the end of the turn, unless an operation comes before. */
void wr_pipe_write_later(struct wr_pipe *p);
extern const struct wr_outbox_ops wr_pipe_outbox_ops;

/* pipe_time.c */
void wr_pipe_times_init(struct wr_pipe *p);
int wr_pipe_set_timeouts(weir_transport *t,
                         const struct weir_timeouts *timeouts);
/* A fact that the time-outs depend on has changed. */
void wr_pipe_times_changed(struct wr_pipe *p);

/* pipe_state.c */
void wr_pipe_set_io(struct wr_pipe *p, enum wr_pipe_io io);
/* Decides from the facts what comes next in the pipe's life; pure. */
enum wr_pipe_next wr_pipe_next_step(const struct wr_pipe *p);
/* Holds wherever code of the user may run; pure. */
void wr_pipe_check_invariants(const struct wr_pipe *p);
/* Holds besides between two turns of the loop: something will go on with every
 * pipe that is not at its end. */
void wr_pipe_check_progress(const struct wr_pipe *p);
/* For weir_loop_dump(). */
const char *wr_pipe_io_name(const struct wr_pipe *p);

/* True when the protocol may be called with received bytes. */
static inline bool wr_pipe_is_reading(const struct wr_pipe *p)
{
    return p->direction == WR_PIPE_READ && p->t.state == WR_LIFE_OPEN &&
           wr_delivery_may_show(&p->delivery) && !p->eof_seen &&
           p->t.error == 0;
}

/* A byte has moved, or the wait for one begins. */
static inline void wr_pipe_note_moved(struct wr_pipe *p)
{
    if (WR_UNLIKELY(p->clock.has_limits)) {
        wr_clock_note_received(&p->clock);
        wr_clock_note_sent(&p->clock);
    }
}

#endif
