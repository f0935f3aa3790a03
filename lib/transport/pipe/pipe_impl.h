/*
 * Internals of pipe transports. A pipe is a connection whose device moves bytes
 * one way (connection.h). A file calls only files after it in this list:
 * pipe_open.c, pipe.c, pipe_read.c and pipe_write.c, splice.c, pipe_state.c.
 *
 * The open file description may be shared; a terminal's is shared with the
 * shell and all its children. So O_NONBLOCK is not set. A pipe waits with a
 * poll, and moves bytes in a way that the file allows and that never blocks the
 * loop:
 *
 *     socket   recvmsg and sendmsg that do not wait (MSG_DONTWAIT)
 *     nowait   preadv2 and pwritev2 that do not wait (RWF_NOWAIT)
 *     worker   reads and writes in a worker thread of the kernel, which may
 *              have to wait there, and are cancelled at the end (splice.c)
 *
 * A FIFO that was opened by name and a terminal refuse nowait with -EOPNOTSUPP,
 * so only the worker is left. A regular file always uses the worker
 * (pipe_open.c). It is always ready and is never polled: a poll on FUSE would
 * ask the process of the file system, and the loop's thread would wait for the
 * answer.
 */
#ifndef WEIR_LIB_TRANSPORT_PIPE_PIPE_IMPL_H
#define WEIR_LIB_TRANSPORT_PIPE_PIPE_IMPL_H

#include "lib/transport/intake.h"
#include "pipe.h"
#include "uring/op.h"

/*
 * Reads and writes that may block, made by worker threads of the kernel. On a
 * kernel without ASYNC_RETRY (see wr_prep_read_waiting()) they splice between
 * the file and a pipe, the stage. The loop fills the stage before a write and
 * empties it after a read. Files that refuse splice with -EINVAL are read and
 * written directly: a regular file opened to append, which is never polled, and
 * a few kinds of devices, including a terminal opened to append.
 */

struct wr_splice {
    int ends[2];     /* read end and write end of the stage; -1 if not made */
    uint32_t staged; /* bytes of the write in flight */
    bool is_refused; /* set when the file has refused splice */
};

void wr_splice_init(struct wr_splice *splice);
/* Closes the stage. No operation may be in flight. */
void wr_splice_close(struct wr_splice *splice);

/* Prepares a read of at most @len bytes into @buf, which must stay valid until
 * the operation ends. On an error nothing was prepared. */
WEIR_MUST_USE int wr_splice_prep_read(struct wr_splice *splice,
                                      struct wr_uring *uring,
                                      struct wr_file_op *op, int fd, void *buf,
                                      uint32_t len);
/* Called with the result of the operation. Returns the number of bytes in @buf,
 * 0 at the end, or an error. After -EAGAIN, poll and read again. */
int32_t wr_splice_read_completed(struct wr_splice *splice, void *buf,
                                 int32_t res);

/* Like wr_splice_prep_read(), for a write. */
#define WR_SPLICE_BYTES (4u << 10)
WEIR_MUST_USE int wr_splice_prep_write(struct wr_splice *splice,
                                       struct wr_uring *uring,
                                       struct wr_file_op *op, int fd,
                                       const void *buf, uint32_t len);
int32_t wr_splice_write_completed(struct wr_splice *splice, int32_t res);

enum wr_pipe_way {
    WR_PIPE_BY_SOCKET,
    WR_PIPE_BY_NOWAIT,
    WR_PIPE_BY_WORKER,
};

/* State of the operation that waits for the next bytes or moves them.
 *
 *     idle <-> polling    waits for bytes or for space
 *     idle <-> working    a worker thread reads or writes */
enum wr_pipe_io {
    WR_PIPE_IDLE,
    WR_PIPE_POLLING, /* a poll for bytes or for space is in flight */
    WR_PIPE_WORKING, /* a read or a write is in flight */
    WR_PIPE_IOS,
};

struct wr_pipe {
    struct wr_connection c;
    enum wr_pipe_direction direction : 8;
    enum wr_pipe_io io : 8;   /* set by wr_pipe_set_io() alone */
    enum wr_pipe_way way : 8; /* changes to worker at most once */
    bool sees_changes : 1;    /* polls are edge-triggered */
    bool is_file : 1;         /* the file is a regular file; never changes */

    struct wr_file_op op;    /* the poll, or a worker's read or write */
    struct wr_splice splice; /* state of a worker's read or write */
    struct wr_timer timer;   /* end of a pause of a read pipe; in state ENDING,
                              * next cancel of a worker */

    /* Only for a read pipe. */
    uint8_t *scratch; /* a worker's buffer, made on first use */

    /* Only for a write pipe. */
    struct wr_turn_end turn_end;
    struct wr_op watch_op; /* polls for the end of the reader */
};

/* Maximum bytes that a worker reads at a time. */
#define WR_PIPE_SCRATCH (16u << 10)

static inline struct wr_pipe *wr_pipe_of(const struct wr_connection *c)
{
    return (struct wr_pipe *)(uintptr_t)c;
}

extern const struct wr_transport_ops wr_pipe_read_ops;
extern const struct wr_transport_ops wr_pipe_write_ops;
void wr_pipe_init(struct wr_pipe *p, int fd, enum wr_pipe_direction direction);

/* Starts to wait for bytes, or leaves a queue, as needed. */
void wr_pipe_update_read(struct wr_pipe *p);
void wr_pipe_read_completed(struct wr_pipe *p, int32_t res);
void wr_pipe_read_fed(weir_transport *t, enum wr_demand_state queue);

void wr_pipe_write_init(struct wr_pipe *p);
void wr_pipe_watch(struct wr_pipe *p);
void wr_pipe_write_completed(struct wr_pipe *p, int32_t res);
void wr_pipe_watched(struct wr_pipe *p, int32_t res);
/* Writes at the end of the loop iteration, unless an operation is in flight. */
void wr_pipe_write_later(struct wr_pipe *p);

void wr_pipe_set_io(struct wr_pipe *p, enum wr_pipe_io io);
void wr_pipe_check_invariants(const struct wr_connection *c);
void wr_pipe_check_progress(const struct wr_connection *c);
void wr_pipe_dump(const struct wr_connection *c, FILE *out);

#endif
