/*
 * Reads and writes that may block, made by worker threads of the kernel. If the
 * workers may not poll the file (ASYNC_RETRY, see wr_prep_read_waiting()), they
 * splice between the file and a pipe, the stage. The loop fills the stage
 * before a write and empties it after a read. Files that refuse splice with
 * -EINVAL are read and written directly: a regular file opened to append, which
 * is never polled, and a few kinds of devices, including a terminal opened to
 * append.
 */
#ifndef WEIR_LIB_TRANSPORT_PIPE_SPLICE_H
#define WEIR_LIB_TRANSPORT_PIPE_SPLICE_H

#include "uring/op.h"

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

/* Prepares a write, by the rules of wr_splice_prep_read(). */
#define WR_SPLICE_BYTES (4u << 10)
WEIR_MUST_USE int wr_splice_prep_write(struct wr_splice *splice,
                                       struct wr_uring *uring,
                                       struct wr_file_op *op, int fd,
                                       const void *buf, uint32_t len);
int32_t wr_splice_write_completed(struct wr_splice *splice, int32_t res);

#endif
