/*
 * Reads and writes of a file that may have to wait for them.
 *
 * Worker threads of the kernel make them. Where those may not poll the file
 * (ASYNC_RETRY, see wr_prep_read_waiting()), they splice between it and a pipe
 * of weir's own, the stage, which the loop fills before and empties after.
 * Files that cannot be spliced, which say so by -EINVAL, are read and written
 * there too: a regular file that is appended to, which is not polled in any
 * case, and devices of a few kinds, also a terminal that was opened to append.
 */
#ifndef WEIR_LIB_TRANSPORT_PIPE_SPLICE_H
#define WEIR_LIB_TRANSPORT_PIPE_SPLICE_H

#include "uring/op.h"

struct wr_splice {
    int ends[2];     /* to read from, to write to; -1: not made */
    uint32_t staged; /* bytes of the write in flight */
    bool is_refused; /* set when the file could not be spliced */
};

void wr_splice_init(struct wr_splice *splice);
/* No operation may be in flight. */
void wr_splice_close(struct wr_splice *splice);

/* Reads at most @len bytes into memory that stays until the operation ends. An
 * error says that nothing was prepared. */
WEIR_MUST_USE int wr_splice_prep_read(struct wr_splice *splice,
                                      struct wr_uring *uring, struct wr_op *op,
                                      int fd, void *buf, uint32_t len);
/* To be called with the result of the operation: the bytes that are in @buf
 * now, 0 at the end, or an error; -EAGAIN: poll, and read again. */
int32_t wr_splice_read_completed(struct wr_splice *splice, void *buf,
                                 int32_t res);

/* A write of at most WR_SPLICE_BYTES, by the same rules. */
#define WR_SPLICE_BYTES (4u << 10)
WEIR_MUST_USE int wr_splice_prep_write(struct wr_splice *splice,
                                       struct wr_uring *uring, struct wr_op *op,
                                       int fd, const void *buf, uint32_t len);
int32_t wr_splice_write_completed(struct wr_splice *splice, int32_t res);

#endif
