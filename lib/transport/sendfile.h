/*
 * Sends a part of a file to a descriptor. Bytes in the page cache are sent by
 * one system call without a copy. Other bytes are read by the ring into a block
 * and sent from there, so nothing blocks on the file's device. The block is
 * freed when its send has ended, and unsent bytes are looked up in the cache
 * again, so a slow peer pins no memory.
 */
#ifndef WEIR_LIB_TRANSPORT_SENDFILE_H
#define WEIR_LIB_TRANSPORT_SENDFILE_H

#include "lib/base/sendq.h"
#include "lib/loop/loop.h"
#include "weir/sendfile.h"

/*
 * The table of cached parts of files. mincore() reports which pages are ready,
 * in 60 ns a page. cachestat() takes 9 ns a page, but also counts pages whose
 * read has only begun. So a part is looked up with mincore() first; during the
 * next second it is enough that cachestat() finds no page missing. This
 * overlooks a page that left the cache within this second and that another
 * process has begun to read again. A loop has one table, with an entry for each
 * 4 MiB of a file.
 */

struct wr_file_id {
    uint64_t device;
    uint64_t inode;
};

/* True if the @len bytes at @offset were found ready within the last second. */
WEIR_MUST_USE bool wr_cached_is_known(weir_loop *loop,
                                      const struct wr_file_id *file,
                                      uint64_t offset, size_t len);

/* Records that these bytes are cached now. Does nothing if out of memory. */
void wr_cached_note(weir_loop *loop, const struct wr_file_id *file,
                    uint64_t offset, size_t len);

/* Clears the entries with any of these bytes, because a page is missing. */
void wr_cached_forget(weir_loop *loop, const struct wr_file_id *file,
                      uint64_t offset, size_t len);

/* Maximum bytes of one read: the capacity of the largest chunk. */
#define WR_SENDFILE_READ                                                       \
    ((64u << 10) - sizeof(struct wr_block) - sizeof(struct wr_chunk))

/* A cached file of at most this size is sent together with written bytes. */
#define WR_SENDFILE_SMALL (32u << 10)

struct wr_sendfile {
    int fd;
    struct wr_file_id id;
    uint64_t offset;
    uint64_t left;  /* bytes to send, unless the file is shorter */
    uint64_t size;  /* size of the file when it was checked */
    uint64_t burst; /* bytes taken since the socket was last full */
    size_t look;    /* bytes to look up in the cache at once */
    bool is_full;
    bool is_told; /* the kernel can report the cache of this file */
    /* Original flags of a socket that was made non-blocking, else -1. */
    int flags;
    uint64_t counted_end;
    uint64_t counted_until_ns;
    bool never_counts;
    /* The kernel cannot report the cache, or sendfile() refuses the file. */
    bool only_reads;
    weir_sendfile_done_fn *done;
    void *arg;
};

/* Checks the file and initialises a part of @count bytes or WEIR_TO_END,
 * without `done`. Returns 0, or an error of weir_transport_sendfile(). */
WEIR_MUST_USE int wr_sendfile_init(struct wr_sendfile *part, int fd,
                                   uint64_t offset, uint64_t count);

/* Returns the length of the cached part of the next piece, or 0 if the next
 * bytes must be read; the read also finds the end of the file. */
size_t wr_sendfile_cached_bytes(struct wr_sendfile *part, weir_loop *loop);

/* Handles the result of offering @len bytes to a socket. Returns the number
 * taken, 0 if the bytes must be read, or the socket's error. */
WEIR_MUST_USE int64_t wr_sendfile_offered(struct wr_sendfile *part,
                                          weir_loop *loop, size_t len,
                                          int64_t res);

/* Restores the original flags of the socket @fd. */
void wr_sendfile_end_burst(struct wr_sendfile *part, int fd);

/* Sends the cached part of the next piece to the program's socket @fd. */
WEIR_MUST_USE int64_t wr_sendfile_splice(struct wr_sendfile *part,
                                         weir_loop *loop, int fd);

/* Returns the bytes left if at most WR_SENDFILE_SMALL, else 0. */
size_t wr_sendfile_small_bytes(const struct wr_sendfile *part);

void wr_sendfile_took(struct wr_sendfile *part, uint64_t bytes);

#endif
