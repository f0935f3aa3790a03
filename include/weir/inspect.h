/**
 * @file
 * Looking into a loop: counts, the state of all that is alive, features.
 *
 * For operators and tests. Nothing here changes anything, and none of it is
 * cheap enough for every message.
 *
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_INSPECT_H
#define WEIR_INSPECT_H

#include "base.h"

#include <stdio.h>

WEIR_BEGIN_DECLS

/** Counts since the loop was made, and how things stand now. */
struct weir_loop_statistics {
    /** sizeof(struct weir_loop_statistics). */
    size_t size;
    /** Turns of the loop. */
    uint64_t turns;
    /** System calls that entered the ring. */
    uint64_t enters;
    /** Operations handed to the kernel. */
    uint64_t submitted;
    /** Completions handled. */
    uint64_t completions;
    /** Completion queue overflows. */
    uint64_t overflows;
    /** Submissions made early because the queue was full. */
    uint64_t sq_full;
    /** Operations in flight now, without the loop's own wait for timers. */
    uint64_t ops_in_flight;
    /** Connections alive now. */
    uint64_t connections;
    /** Receive buffers made, in bytes. */
    uint64_t pool_bytes;
    /** Receive buffers posted to the kernel now. */
    uint64_t buffers_posted;
    /** Leases out now. */
    uint64_t leases;
    /** Received bytes held now, by leases and paused connections. */
    uint64_t held_bytes;
    /** Memory of readers for what had to leave the receive buffers, bytes. */
    uint64_t kept_bytes;
    /** How often a receive found no buffer. */
    uint64_t starved;
    /** Bytes waiting to be sent now, in all connections. */
    uint64_t queued_bytes;
    /** Bytes received. */
    uint64_t received_bytes;
    /** Bytes the kernel has accepted for sending. */
    uint64_t sent_bytes;
    /** Bytes copied by write and writelines. */
    uint64_t copied_by_write;
    /** Bytes copied so that they pin no receive buffer. */
    uint64_t copied_by_compaction;
    /** Bytes copied into the memory of buffered protocols and of callers that
     * read a stream into their own. */
    uint64_t copied_to_protocol;
    /** Bytes copied because a view, or something kept for one, straddled
     * receive buffers, and by weir_reader_feed_data(). */
    uint64_t copied_by_view;
    /** Tasks that have not ended. */
    uint64_t tasks;
    /** Tasks started. */
    uint64_t tasks_spawned;
    /** How often a task was continued. */
    uint64_t task_switches;
    /** Stacks of tasks, in use and kept for the next. */
    uint64_t stacks;
    /** The deepest use of any stack, in bytes, in whole pages. Each call looks
     * at no more than 4096 stacks. */
    uint64_t stack_high_water_bytes;
    /** Timers armed now. */
    uint64_t timers;
    /** Memory of the library now, from its allocator, in bytes, without the
     * loop's own (some 20 KiB). */
    uint64_t memory_bytes;
};

/**
 * Read the statistics.
 *
 * @param loop  the loop; borrowed
 * @param ret   filled in, as far as its size says
 * @return      0, or what all functions of a loop return elsewhere: then
 *              nothing is written
 * @retval WEIR_EOPTIONSIZE  its size is not set
 */
WEIR_API WEIR_MUST_USE int
weir_loop_get_statistics(const weir_loop *loop,
                         struct weir_loop_statistics *ret);

/**
 * The statistics as text, one "name value" a line.
 *
 * @param loop  the loop; borrowed
 * @param buf   destination, always terminated when @p size is not 0
 * @param size  bytes in @p buf
 * @return      bytes that the whole text has, without its NUL
 */
WEIR_API size_t weir_loop_get_statistics_text(const weir_loop *loop, char *buf,
                                              size_t size);

/**
 * Write what an operator needs at 3 a.m.: the loop, and for each connection
 * its addresses, states, operations in flight, credit, held bytes, queue depth
 * and first error; one line each.
 *
 * @param loop  the loop; borrowed
 * @param out   where to; borrowed
 */
WEIR_API void weir_loop_dump(const weir_loop *loop, FILE *out);

/** Called for each task; must not free the loop. */
typedef void weir_task_visit_fn(void *arg, weir_task *task);

/**
 * Call a function for each task of the loop that has not ended, the calling one
 * among them, oldest first; asyncio's all_tasks.
 *
 * The function may do with tasks what it likes: those that it cancels end later
 * and those that it spawns are not visited. It must not suspend.
 *
 * @param loop   the loop; borrowed
 * @param visit  called with each task, borrowed; weir_task_ref() keeps it
 * @param arg    its first argument
 * @return       how many there were; 0 on another thread
 */
WEIR_API size_t weir_loop_visit_tasks(weir_loop *loop,
                                      weir_task_visit_fn *visit, void *arg);

/**
 * Tell what a task waits for, in words such as "sleep", "lock", "queue get" or
 * "read"; weir_loop_dump() has it too. For people: the words may change.
 *
 * @param task  the task; borrowed
 * @return      static text; NULL of a task that does not wait, or has ended
 */
WEIR_API const char *weir_task_get_wait(const weir_task *task);

/**
 * Write which features the running kernel's io_uring has, and how weir does
 * without those that it lacks: one line for each feature, with its name, the
 * first kernel that has it, "yes", "no", "masked" (by WEIR_FEATURES_MASK) or
 * "needs" and the feature without which it is of no use.
 *
 * @param loop  the loop; borrowed
 * @param buf   destination, always terminated when @p size is not 0
 * @param size  bytes in @p buf
 * @return      bytes that the whole text has, without its NUL
 */
WEIR_API size_t weir_loop_get_features_text(const weir_loop *loop, char *buf,
                                            size_t size);

WEIR_END_DECLS

#endif
