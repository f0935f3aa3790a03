/*
 * Internals of pipe transports. A pipe is a connection whose device moves bytes
 * one way. A file calls only files after it in this list: pipe_open.c, pipe.c,
 * pipe_read.c and pipe_write.c, splice.c, pipe_state.c.
 *
 * O_NONBLOCK is not set, because other processes may share the open file
 * description, as with a terminal. A pipe waits with a poll, and then moves
 * bytes in a way that the file allows and that never blocks the loop:
 *
 *     socket   recvmsg and sendmsg with MSG_DONTWAIT
 *     nowait   preadv2 and pwritev2 with RWF_NOWAIT
 *     worker   reads and writes that may wait in a worker thread of the kernel;
 *              they are cancelled at the end (splice.c)
 *
 * A FIFO that was opened by name and a terminal refuse nowait with -EOPNOTSUPP,
 * so they use the worker. A regular file always uses the worker, and is never
 * polled: on FUSE the poll would wait for another process, in the loop's
 * thread.
 */
#ifndef WEIR_LIB_TRANSPORT_PIPE_PIPE_IMPL_H
#define WEIR_LIB_TRANSPORT_PIPE_PIPE_IMPL_H

#include "lib/transport/intake.h"
#include "pipe.h"
#include "uring/op.h"

/*
 * Reads and writes that may block, in worker threads of the kernel. On a kernel
 * without ASYNC_RETRY (see wr_prep_read_waiting()) they splice between the file
 * and a pipe, the stage. Files that refuse splice with -EINVAL are read and
 * written directly: a regular file opened to append, and a few devices.
 */

struct wr_splice {
    int ends[2]; /* read and write end of the stage; -1 if not made */
    uint32_t staged;
    bool is_refused;
};

void wr_splice_init(struct wr_splice *splice);
void wr_splice_close(struct wr_splice *splice);

/* Prepares a read of at most @len bytes into @buf, which must stay valid until
 * the operation ends. Returns 0 or an error. */
WEIR_MUST_USE int wr_splice_prep_read(struct wr_splice *splice,
                                      struct wr_uring *uring,
                                      struct wr_file_op *op, int fd, void *buf,
                                      uint32_t len);
/* Called with the result of the operation. Returns the number of bytes in @buf,
 * 0 at the end, or an error. After -EAGAIN, poll and read again. */
int32_t wr_splice_read_completed(struct wr_splice *splice, void *buf,
                                 int32_t res);

/* Maximum bytes of a write. */
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

enum wr_pipe_io {
    WR_PIPE_IDLE,
    WR_PIPE_POLLING, /* for bytes or for space */
    WR_PIPE_WORKING,
    WR_PIPE_IOS,
};

struct wr_pipe {
    struct wr_connection c;
    enum wr_pipe_direction direction : 8;
    enum wr_pipe_io io : 8;
    enum wr_pipe_way way : 8; /* changes to worker at most once */
    bool sees_changes : 1;    /* polls are edge-triggered */
    bool is_file : 1;

    struct wr_file_op op;
    struct wr_splice splice;
    /* End of a read pipe's pause; in state ENDING, next cancel of a worker. */
    struct wr_timer timer;

    /* a worker's buffer for reading; NULL before its use */
    uint8_t *scratch;

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
