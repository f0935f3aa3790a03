/*
 * Readers: descriptors that arrived with bytes (SCM_RIGHTS). They have their
 * own queue. A descriptor is queued before its byte can be read, so a task that
 * has read a message takes the message's descriptors without waiting.
 *
 * At the end of a loop iteration queued descriptors pause the transport, unless
 * a task waits for more bytes. So a peer cannot fill the process's descriptor
 * table, and a task that takes descriptors after each message loses none.
 */
#include "reader.h"

#include "lib/transport/transport.h"
#include "uring/closer.h"
#include "weir/unix.h"

#include <string.h>

struct wr_reader_fds {
    uint32_t count;
    int fds[WEIR_FDS_MAX];
};

/* @t has no discard_fds if the program's own protocol feeds the reader. */
static void reader_fds_discard(weir_transport *t, const int *fds, size_t count)
{
    if (t->ops->discard_fds) {
        t->ops->discard_fds(t, fds, count);
    } else {
        wr_closer_close_alone(fds, count);
    }
}

static void reader_fds_free(weir_reader *reader)
{
    wr_free(&reader->loop->counting, reader->fds, sizeof(*reader->fds));
    reader->fds = NULL;
}

/* Returns how many descriptors can be queued: none between a loss and its
 * report, because later descriptors would be taken for the lost ones. */
static size_t reader_fds_room(weir_reader *reader)
{
    if (reader->has_lost_fds) {
        return 0;
    }
    if (!reader->fds) {
        reader->fds = wr_alloc(&reader->loop->counting, sizeof(*reader->fds));
        if (!reader->fds) {
            return 0;
        }
        reader->fds->count = 0;
    }
    return WEIR_FDS_MAX - reader->fds->count;
}

void wr_reader_feed_fds(weir_reader *reader, weir_transport *t, const int *fds,
                        size_t count, bool lost)
{
    wr_reader_check_invariants(reader);
    if (reader->is_eof || reader->exception) {
        reader_fds_discard(t, fds, count);
        return;
    }
    const size_t room = count > 0 ? reader_fds_room(reader) : 0;
    const size_t kept = count < room ? count : room;

    if (kept > 0) {
        memcpy(reader->fds->fds + reader->fds->count, fds, kept * sizeof(int));
        reader->fds->count += (uint32_t)kept;
        wr_reader_look_later(reader);
    }
    reader_fds_discard(t, fds + kept, count - kept);
    reader->has_lost_fds |= lost || kept < count;
    wr_reader_check_invariants(reader);
}

void wr_reader_drop_fds(weir_reader *reader)
{
    if (WR_UNLIKELY(reader->fds != NULL)) {
        wr_closer_close_alone(reader->fds->fds, reader->fds->count);
        reader_fds_free(reader);
    }
}

ssize_t weir_reader_take_fds(weir_reader *reader, int *fds, size_t max_count)
{
    int err = wr_loop_check(reader->loop);
    wr_require(err >= 0, err);
    wr_reader_check_invariants(reader);
    if (max_count == 0) {
        return 0;
    }
    struct wr_reader_fds *all = reader->fds;
    if (!all) {
        err = reader->has_lost_fds ? -ENOBUFS : 0;
        reader->has_lost_fds = false;
        return err;
    }
    const uint32_t count = (uint32_t)wr_min_u64(all->count, max_count);
    wr_assert(count > 0);
    memcpy(fds, all->fds, count * sizeof(int));
    all->count -= count;
    memmove(all->fds, all->fds + count, all->count * sizeof(int));
    if (all->count == 0) {
        reader_fds_free(reader);
        if (reader->is_paused) {
            wr_reader_resume_if_low(reader);
        }
    }
    return (ssize_t)count;
}
