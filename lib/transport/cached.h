/*
 * The parts of files that were found in the page cache, whichever transfer
 * looked them up.
 *
 * Only mincore() reports of each page whether it is ready, and it costs 60 ns a
 * page. cachestat() counts the pages of a range in 9 ns each, but also counts
 * those whose read has begun. So a part of a file is looked up by mincore() the
 * first time; for a second from then on it is enough that no page of it is
 * missing. A part of which one is missing is not known any more, as the ring
 * will read it. What this may overlook is a page that left the cache within
 * this second, and whose next read, by any reader but this loop, has begun
 * before the loop counted.
 *
 * A loop has one table. A file takes an entry for each 4 MiB.
 */
#ifndef WEIR_LIB_TRANSPORT_CACHED_H
#define WEIR_LIB_TRANSPORT_CACHED_H

#include "lib/loop/loop.h"

struct wr_file_id {
    uint64_t device;
    uint64_t inode;
};

/* True if the @len bytes at @offset were found ready within the last second. */
WEIR_MUST_USE bool wr_cached_is_known(weir_loop *loop,
                                      const struct wr_file_id *file,
                                      uint64_t offset, size_t len);

/* Notes that these bytes were found ready now. Without memory it does
 * nothing. */
void wr_cached_note(weir_loop *loop, const struct wr_file_id *file,
                    uint64_t offset, size_t len);

/* Notes that not all of these bytes are ready: nothing is known any more of
 * the entries that have some of them. */
void wr_cached_forget(weir_loop *loop, const struct wr_file_id *file,
                      uint64_t offset, size_t len);

#endif
