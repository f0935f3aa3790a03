/*
 * Internals of readers, for the stream protocol that owns the reader and for
 * the reading calls.
 *
 * The reader may be freed while a reading call waits. So the call has a
 * wr_reader_visit on its stack, and wr_reader_fini() sets its reader to NULL.
 * After a wait that returns an error the reader must not be accessed.
 */
#ifndef WEIR_LIB_STREAM_READER_H
#define WEIR_LIB_STREAM_READER_H

#include "lib/base/recvq.h"
#include "lib/loop/loop.h"
#include "lib/task/task.h"
#include "weir/reader.h"

struct wr_reader_visit {
    struct wr_waiter waiter;
    struct wr_list link;
    weir_reader *reader; /* NULL if the reader was freed */
};

struct weir_reader {
    struct wr_recvq queue;
    weir_loop *loop;
    weir_transport *transport; /* may be NULL */
    struct wr_list waiters;    /* at most one task */
    /* The call that was woken and uses the reader, or a long read, or NULL. */
    struct wr_reader_visit *woken;
    struct wr_list visits;
    struct wr_timer compaction_timer;
    struct wr_turn_end turn_end;
    struct wr_evictable evictable;
    size_t limit_bytes;
    size_t high_bytes; /* reading is paused above this; see wr_reader_high() */
    size_t needed;
    size_t moved;              /* bytes that a long read has taken */
    size_t consumed;           /* of the last WEIR_ELIMIT */
    size_t expected;           /* of the last WEIR_EINCOMPLETE */
    struct wr_reader_fds *fds; /* may be NULL */
    int exception;             /* the first error; never cleared */
    bool is_eof;
    bool is_paused : 1; /* this reader has paused the transport */
    /* Set until a call reports the loss of descriptors. */
    bool has_lost_fds : 1;
    bool reports_idle : 1;
    bool is_reporting_idle;
    bool was_read; /* bytes were consumed since compaction_timer was armed */
    /* Set until the iteration's end if other connections need memory. */
    bool must_evict;
};

void wr_reader_init(weir_reader *reader, weir_loop *loop, size_t limit_bytes);

/* Frees the contents. A waiting task gets -ECANCELED. */
void wr_reader_fini(weir_reader *reader);

/* Like weir_reader_feed_buf(), but drops bytes if the reader has ended. */
WEIR_MUST_USE int wr_reader_feed(weir_reader *reader,
                                 const struct weir_buf *buf);

/* Takes descriptors that arrived with the next bytes. @t closes those that do
 * not fit. @lost is true if others were closed before. */
void wr_reader_feed_fds(weir_reader *reader, weir_transport *t, const int *fds,
                        size_t count, bool lost);
void wr_reader_drop_fds(weir_reader *reader);

void wr_reader_check_invariants(const weir_reader *reader);

static inline void wr_reader_debug_check(const weir_reader *reader)
{
    wr_debug_assert(wr_loop_check(reader->loop) < 0 ||
                    (wr_reader_check_invariants(reader), true));
}

void wr_reader_memory_init(weir_reader *reader);
void wr_reader_memory_fini(weir_reader *reader);

/* Pause and resume the transport. Resuming ends only this reader's pause. */
void wr_reader_pause(weir_reader *reader);
void wr_reader_resume(weir_reader *reader);

/* Joins the unread bytes, which stay in the queue. Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_reader_gather(weir_reader *reader, struct weir_buf *ret);
void wr_reader_discard(weir_reader *reader);

void wr_reader_resume_if_low(weir_reader *reader);

WEIR_MUST_USE int wr_reader_begin_slowly(weir_reader *reader);

/* The end of the loop iteration handles the unread bytes. */
static inline void wr_reader_look_later(weir_reader *reader)
{
    wr_loop_at_turn_end(reader->loop, &reader->turn_end);
}

/* Reading is paused above this number of unread bytes. It is lower while other
 * connections need the memory. */
static inline uint64_t wr_reader_high(const weir_reader *reader)
{
    return wr_budget_reader_high(&reader->loop->budget, reader->high_bytes);
}

/* True while a reading call waits or was woken, and during a long read.
 * Excludes calls that were cancelled, or yield before they read. */
static inline bool wr_reader_is_busy(const weir_reader *reader)
{
    return reader->woken || !wr_list_is_empty(&reader->waiters);
}

/* True while a task waits in a read and no byte is buffered. After the first
 * call, each wait of a read calls wr_transport_note_idle(). */
bool wr_reader_is_idle(weir_reader *reader);

/* Starts a reading call, and ends the last view. Returns 0 or an error. */
WEIR_MUST_USE static inline int wr_reader_begin(weir_reader *reader)
{
    wr_reader_debug_check(reader);
    if (WR_UNLIKELY(!wr_task_try_enter(reader->loop))) {
        return wr_reader_begin_slowly(reader);
    }
    if (WR_UNLIKELY(wr_reader_is_busy(reader))) {
        return -EBUSY;
    }
    wr_recvq_drop_shown(&reader->queue);
    wr_debug_assert(reader->moved == 0);
    return 0;
}

/* Like wr_reader_wait(). @visit->reader is NULL if the reader was freed. */
WEIR_MUST_USE int wr_reader_wait_as(weir_reader *reader,
                                    struct wr_reader_visit *visit,
                                    size_t needed);

static inline size_t wr_reader_available(const weir_reader *reader)
{
    return reader->queue.total + reader->moved;
}

/* Waits until @needed bytes are buffered or no more will arrive. Returns 0, or
 * an error, after which the reader may have been freed. */
WEIR_MUST_USE int wr_reader_wait(weir_reader *reader, size_t needed);

/* Must be called before a reading call returns an error. */
static inline void wr_reader_note_left(weir_reader *reader)
{
    if (reader->queue.total > 0) {
        wr_reader_look_later(reader);
    }
}

static inline void wr_reader_consumed(weir_reader *reader)
{
    reader->was_read = true;
    if (WR_UNLIKELY(reader->is_paused)) {
        wr_reader_resume_if_low(reader);
    }
    wr_reader_note_left(reader);
    wr_reader_debug_check(reader);
}

static inline ssize_t wr_reader_copy_out(weir_reader *reader, void *buf,
                                         size_t len)
{
    wr_debug_assert(len > 0);
    wr_recvq_read(&reader->queue, buf, len);
    reader->loop->counts.copied_to_protocol += len;
    wr_reader_consumed(reader);
    return (ssize_t)len;
}

static inline ssize_t wr_reader_show(weir_reader *reader, size_t len,
                                     struct weir_buf *ret)
{
    wr_debug_assert(len > 0);
    wr_debug_assert(len <= wr_recvq_first_len(&reader->queue));
    wr_recvq_show(&reader->queue, len, ret);
    wr_reader_consumed(reader);
    return (ssize_t)len;
}

#endif
