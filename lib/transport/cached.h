/*
 * Remembers which parts of files were found in the page cache. Only mincore()
 * reports for each page whether it is ready, and it costs 60 ns a page.
 * cachestat() counts the pages of a range in 9 ns each, but also counts pages
 * whose read has only begun. So a part is looked up with mincore() first;
 * during the next second it is enough that cachestat() finds no page missing.
 * This misses a page that left the cache within this second and whose next
 * read, by any reader but this loop, began before the loop counted. A loop has
 * one table; a file takes an entry for each 4 MiB.
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

/* Notes that these bytes are ready now; does nothing without memory. */
void wr_cached_note(weir_loop *loop, const struct wr_file_id *file,
                    uint64_t offset, size_t len);

/* A page is missing: clears the entries that contain any of these bytes. */
void wr_cached_forget(weir_loop *loop, const struct wr_file_id *file,
                      uint64_t offset, size_t len);

#endif
