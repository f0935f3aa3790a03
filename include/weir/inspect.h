/**
 * @file
 * Inspection of a loop: counts, the state of all live objects, features.
 *
 * For operators and tests. These calls change nothing, and none is cheap enough
 * for every message.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_INSPECT_H
#define WEIR_INSPECT_H

#include "base.h"

#include <stdio.h>

WEIR_BEGIN_DECLS

/** Counts since the loop was made, and present values. */
struct weir_loop_statistics {
    size_t size;
    /** Iterations of the loop. */
    uint64_t turns;
    /** Calls of io_uring_enter(), or submissions and waits with epoll. */
    uint64_t enters;
    /** Operations submitted to the kernel. */
    uint64_t submitted;
    /** Completions handled. */
    uint64_t completions;
    /** Completion queue overflows. */
    uint64_t overflows;
    /** Early submissions because the queue was full. */
    uint64_t sq_full;
    /** Operations in flight now, without the loop's own wait for timers. */
    uint64_t ops_in_flight;
    /** Connections alive now. */
    uint64_t connections;
    /** Receive buffers made, in bytes. */
    uint64_t pool_bytes;
    /** Receive buffers posted to the kernel now. */
    uint64_t buffers_posted;
    /** Leases in use now. */
    uint64_t leases;
    /** Received bytes held now, by leases and paused connections. */
    uint64_t held_bytes;
    /** Bytes that readers hold in their own memory, outside receive buffers. */
    uint64_t kept_bytes;
    /** Receives that found no buffer. */
    uint64_t starved;
    /** Bytes waiting to be sent now, in all connections. */
    uint64_t queued_bytes;
    /** Bytes received. */
    uint64_t received_bytes;
    /** Bytes the kernel has accepted for sending. */
    uint64_t sent_bytes;
    /** Bytes copied by write and writelines. */
    uint64_t copied_by_write;
    /** Bytes copied so that they do not pin a receive buffer. */
    uint64_t copied_by_compaction;
    /** Bytes copied into the memory of buffered protocols, and of callers that
     * read a stream into their own memory. */
    uint64_t copied_to_protocol;
    /** Bytes copied because a view, or bytes kept for one, straddled receive
     * buffers, and by weir_reader_feed_data(). */
    uint64_t copied_by_view;
    /** Tasks that have not ended, including those of the library. */
    uint64_t tasks;
    /** Tasks started, including those of the library. */
    uint64_t tasks_spawned;
    /** Resumptions of tasks. */
    uint64_t task_switches;
    /** Stacks of tasks, in use and kept for reuse. */
    uint64_t stacks;
    /** The deepest use of any stack, in bytes, rounded up to pages. Each call
     * checks at most 4096 stacks. */
    uint64_t stack_high_water_bytes;
    /** Timers armed now. */
    uint64_t timers;
    /** Bytes of memory allocated now, without the loop (about 20 KiB). */
    uint64_t memory_bytes;
    /** Name lookups answered from the loop's cache, or by the query of another
     * lookup (resolver.h). */
    uint64_t name_hits;
    /** Name lookups that could have been answered from the cache but went to
     * the resolver. */
    uint64_t name_misses;
    /** The part of queued_bytes that was received and is forwarded without a
     * copy; it also counts in held_bytes. */
    uint64_t queued_held_bytes;
    /** 1 if the loop's engine is epoll, else 0 (weir_loop_get_engine()). */
    uint64_t poll_engines;
};

/**
 * Read the statistics. Visits each connection, for queued_held_bytes.
 *
 * @return 0, or -EPERM or -ECHILD as from all functions of a loop; then nothing
 *         is written
 */
WEIR_API WEIR_MUST_USE int
weir_loop_get_statistics(const weir_loop *loop,
                         struct weir_loop_statistics *ret);

/**
 * Write the statistics as text, a line "name value" for each.
 *
 * @param buf   destination, always terminated if @p size is not 0
 * @param size  bytes in @p buf
 * @return      bytes of the whole text, without its NUL
 */
WEIR_API size_t weir_loop_format_statistics(const weir_loop *loop, char *buf,
                                            size_t size);

/**
 * Write statistics as weir_loop_format_statistics() does, for example the
 * statistics of several loops (weir_threads_get_statistics()).
 *
 * @param statistics  the statistics; borrowed. Fields beyond their size are 0
 * @param buf         destination, always terminated if @p size is not 0
 * @param size        bytes in @p buf
 * @return            bytes of the whole text, without its NUL
 * @retval -EINVAL  no statistics
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_statistics_format(const struct weir_loop_statistics *statistics, char *buf,
                       size_t size);

/**
 * Write statistics in the text format of Prometheus, for a page that a program
 * serves at /metrics.
 *
 * Each field is a family of one sample: a gauge `weir_NAME` for a present
 * value, a counter `weir_NAME_total` for a count since the loop was made.
 * weir_threads_get_statistics() sums several loops.
 *
 * @param statistics  the statistics; borrowed. Fields beyond their size are 0
 * @param out         destination; borrowed, and not flushed
 * @return            0 or an error
 * @retval -EINVAL  no statistics, or no destination
 * @retval -EIO     the destination has failed, perhaps before this call
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_statistics_write_prometheus(const struct weir_loop_statistics *statistics,
                                 FILE *out);

/**
 * Write the state of the loop for an operator: a line for the loop, with its
 * engine, and a line for each of its objects. A connection's line has its
 * addresses, states, operations in flight, receive window, held bytes, queue
 * depth and first error; a relay's line has, for each direction, the state, the
 * bytes and what it waits for. All lines are written by one call, so that no
 * other writer's output gets between them on a stream without a buffer
 * (stderr), unless memory runs out.
 *
 * @param out  destination; borrowed
 */
WEIR_API void weir_loop_dump(const weir_loop *loop, FILE *out);

/** Called for each task; must not free the loop. */
typedef void weir_task_walk_fn(void *arg, weir_task *task);

/**
 * Call a function for each task of the loop that has not ended, including the
 * calling task, oldest first; asyncio's all_tasks.
 *
 * The library's own tasks, such as health checks of upstreams, are left out.
 * The function may cancel tasks, which end later, and spawn tasks, which are
 * not passed to it. It must not suspend.
 *
 * @param fn  called with each task, borrowed; weir_task_ref() keeps it
 * @return    the number of tasks; 0 on another thread
 */
WEIR_API size_t weir_loop_walk_tasks(weir_loop *loop, weir_task_walk_fn *fn,
                                     void *arg);

/**
 * Get a text that describes what a task waits for, for example "sleep", "lock",
 * "queue get" or "read"; weir_loop_dump() prints it too. The texts may change.
 *
 * @return static text; NULL if the task does not wait, or has ended
 */
WEIR_API const char *weir_task_get_wait(const weir_task *task);

/**
 * Write a line for the engine, with the reason if it is not io_uring, and a
 * line for each feature of the kernel: its name, the first kernel that has it,
 * and "yes", "no", "masked" (by WEIR_FEATURES_MASK) or "needs" with another
 * feature that is missing; then weir's fallback.
 *
 * @param buf   destination, always terminated if @p size is not 0
 * @param size  bytes in @p buf
 * @return      bytes of the whole text, without its NUL
 */
WEIR_API size_t weir_loop_get_features_text(const weir_loop *loop, char *buf,
                                            size_t size);

WEIR_END_DECLS

#endif
