/*
 * A part of a file on its way into a descriptor: the rules that all who send
 * files share.
 *
 * A piece of the part that is in the page cache is sent by one system call,
 * which copies nothing. One that is not is read by the ring into a block and
 * sent from there, so that nothing waits for the file's device. The block is
 * given back when its send has ended, and what that did not take is looked up
 * in the cache again: a slow peer pins no memory. Transports that have to see
 * the bytes read all of them. Their state is a sender's (sender.h); a task that
 * sends a file on a socket of the program has it on its stack.
 */
#ifndef WEIR_LIB_TRANSPORT_SENDFILE_H
#define WEIR_LIB_TRANSPORT_SENDFILE_H

#include "lib/base/sendq.h"
#include "lib/loop/loop.h"
#include "weir/sendfile.h"

/* Of one read: those of the largest chunk. */
#define WR_SENDFILE_READ                                                       \
    ((64u << 10) - sizeof(struct wr_block) - sizeof(struct wr_chunk))

/* Few bytes, and no more, are read at once if they are ready, and leave with
 * what was written before them. */
#define WR_SENDFILE_SMALL (32u << 10)

struct wr_sendfile {
    int fd;
    uint64_t offset;
    uint64_t left;   /* bytes to send, if the file has as many */
    uint64_t size;   /* of the file, when it was looked at */
    uint64_t burst;  /* bytes taken since the socket last lacked room */
    size_t look;     /* bytes that are looked up at once */
    bool is_full;    /* set when the descriptor took less than it was offered */
    bool is_told;    /* set when the kernel has told of the cache */
    bool only_reads; /* set when its place in the cache cannot be told, or
                      * sendfile() does not take it */
    weir_sendfile_done_fn *done;
    void *arg;
};

/* A part of @count bytes, or WEIR_TO_END, without `done`. Looks at the file:
 * 0, or why it cannot be sent, as of weir_transport_sendfile(). */
WEIR_MUST_USE int wr_sendfile_init(struct wr_sendfile *part, int fd,
                                   uint64_t offset, uint64_t count);

/* Offers the next piece to the socket @fd, as far as it is ready in the cache:
 * how many bytes were taken; 0, the next are to be read, which also finds the
 * file's end; or an error of the socket. */
WEIR_MUST_USE int64_t wr_sendfile_splice(struct wr_sendfile *part,
                                         struct wr_budget *budget, int fd);

/* The bytes that are left, if there are few; 0: there are many, or none. */
size_t wr_sendfile_small_bytes(const struct wr_sendfile *part);

/* The next @bytes were taken. */
void wr_sendfile_took(struct wr_sendfile *part, uint64_t bytes);

#endif
