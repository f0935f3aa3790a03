/*
 * The parts of files that were found in the page cache, whichever transfer
 * looked them up.
 *
 * Only mincore() reports of each page whether it is ready, and it costs 60 ns a
 * page. cachestat() counts the pages of a range in 9 ns each, but also counts
 * those whose read has begun. So a part of a file is looked up by mincore() the
 * first time; for a second from then on it is enough that no page of it is
 * missing. What this may overlook is a page that left the cache within this
 * second and that another reader is just reading again.
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

#endif
