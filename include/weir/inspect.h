/**
 * @file inspect.h
 * Inspection of a loop: counts, the state of all its objects, and features of
 * the kernel.
 *
 * These functions are for operators and tests. They change nothing, but are too
 * slow to be called for every message.
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

/** Statistics of a loop: counts since the loop was made, and present values. */
struct weir_loop_statistics {
    size_t size;
    /** Number of iterations of the loop. */
    uint64_t turns;
    /** Number of calls of io_uring_enter(); with epoll the number of
     * submissions and waits. */
    uint64_t enters;
    /** Number of operations that were submitted to the kernel. */
    uint64_t submitted;
    /** Number of completions that were handled. */
    uint64_t completions;
    /** Number of overflows of the completion queue. */
    uint64_t overflows;
    /** Number of early submissions, because the submission queue was full. */
    uint64_t sq_full;
    /** Number of operations in flight now, without the loop's own wait for
     * timers. */
    uint64_t ops_in_flight;
    /** Number of connections now. */
    uint64_t connections;
    /** Size of all receive buffers of the loop together, in bytes. */
    uint64_t pool_bytes;
    /** Number of receive buffers that the kernel can use now. */
    uint64_t buffers_posted;
    /** Number of leases in use now. */
    uint64_t leases;
    /** Received bytes that leases and paused connections hold now. */
    uint64_t held_bytes;
    /** Received bytes that readers hold in their own memory now, outside
     * receive buffers. */
    uint64_t kept_bytes;
    /** Number of receives for which there was no free buffer. */
    uint64_t starved;
    /** Bytes that wait to be sent now, in all connections. */
    uint64_t queued_bytes;
    /** Bytes that were received. */
    uint64_t received_bytes;
    /** Bytes that the kernel has accepted for sending. */
    uint64_t sent_bytes;
    /** Bytes that weir_transport_write() and weir_transport_writelines() have
     * copied. */
    uint64_t copied_by_write;
    /** Kept bytes that were copied to free their receive buffer (buffer.h). */
    uint64_t copied_by_compaction;
    /** Bytes that were copied into the memory of buffered protocols, and of
     * callers that read a stream into their own memory. */
    uint64_t copied_to_protocol;
    /** Bytes that were copied by weir_reader_feed_data(), or because a view
     * straddled two receive buffers. */
    uint64_t copied_by_view;
    /** Number of tasks that have not ended, including tasks of the library. */
    uint64_t tasks;
    /** Number of tasks that were started, including tasks of the library. */
    uint64_t tasks_spawned;
    /** Number of times that a task was started or continued. */
    uint64_t task_switches;
    /** Number of stacks, including stacks that are kept for later tasks. */
    uint64_t stacks;
    /** Largest use of a stack until now, in bytes, rounded up to pages. Each
     * call checks at most 4096 stacks. */
    uint64_t stack_high_water_bytes;
    /** Number of timers that are set now. */
    uint64_t timers;
    /** Bytes of memory that the loop has allocated now, in addition to the loop
     * itself (about 20 KiB). */
    uint64_t memory_bytes;
    /** Number of name lookups that were answered from the loop's cache, or by
     * the query of another lookup (resolver.h). */
    uint64_t name_hits;
    /** Number of name lookups that may use the cache, but were passed to the
     * resolver. */
    uint64_t name_misses;
    /** The part of queued_bytes that was received and is forwarded without a
     * copy. These bytes are also included in held_bytes. */
    uint64_t queued_held_bytes;
    /** 1 if the loop's engine is epoll, else 0 (weir_loop_get_engine()). */
    uint64_t poll_engines;
};

/**
 * Get the statistics of a loop. The call iterates over all connections, for
 * queued_held_bytes.
 *
 * @return 0, or -EPERM or -ECHILD as for all functions of a loop; after an
 *         error nothing is written
 */
WEIR_API WEIR_MUST_USE int
weir_loop_get_statistics(const weir_loop *loop,
                         struct weir_loop_statistics *ret);

/**
 * Write the statistics of a loop as text, with a line "name value" for each
 * field.
 *
 * @param buf   memory for the text, which is always terminated by a NUL if @p
 *              size is not 0
 * @param size  size of @p buf in bytes
 * @return      number of bytes in the whole text, without the NUL
 */
WEIR_API size_t weir_loop_format_statistics(const weir_loop *loop, char *buf,
                                            size_t size);

/**
 * Write statistics as weir_loop_format_statistics() does, for example the
 * statistics of several loops (weir_threads_get_statistics()).
 *
 * @param statistics  the statistics; borrowed. Fields beyond their
 *                    size count as 0
 * @param buf         memory for the text, which is always terminated by a NUL
 *                    if @p size is not 0
 * @param size        size of @p buf in bytes
 * @return            number of bytes in the whole text, without the NUL
 * @retval -EINVAL  @p statistics is NULL
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_statistics_format(const struct weir_loop_statistics *statistics, char *buf,
                       size_t size);

/**
 * Write statistics in the text format of Prometheus, for a page that a program
 * serves at /metrics.
 *
 * Each field of the statistics becomes one metric with one value: a gauge
 * `weir_NAME` for a present value, or a counter `weir_NAME_total` for a count
 * since the loop was made.
 *
 * weir_threads_get_statistics() adds up the statistics of several loops.
 *
 * @param statistics  the statistics; borrowed. Fields beyond their
 *                    size count as 0
 * @param out         the stream to write to, which is not flushed; borrowed
 * @return            0, or a negative error
 * @retval -EINVAL  @p statistics or @p out is NULL
 * @retval -EIO     @p out has failed, in this call or before
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_statistics_write_prometheus(const struct weir_loop_statistics *statistics,
                                 FILE *out);

/**
 * Write the state of the loop for an operator: a line for the loop, with its
 * engine, and a line for each of its objects. The line of a connection has its
 * addresses, states, operations in flight, receive window, held bytes, queued
 * bytes and first error. The line of a relay has, for each direction, the
 * state, the number of bytes, and what the direction waits for. All lines are
 * written with one call, unless memory runs out. So on a stream without a
 * buffer (stderr) the output of other writers does not get between the lines.
 *
 * @param out  the stream to write to; borrowed
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
 * @param fn  called with each task, which is borrowed; weir_task_ref() keeps it
 * @return    the number of tasks; 0 on another thread
 */
WEIR_API size_t weir_loop_walk_tasks(weir_loop *loop, weir_task_walk_fn *fn,
                                     void *arg);

/**
 * Get a text for the operation that a task waits for, for example "sleep",
 * "lock", "queue get" or "read". weir_loop_dump() prints it, too. The texts may
 * change between versions.
 *
 * @return a static string; NULL if the task does not wait, or has ended
 */
WEIR_API const char *weir_task_get_wait(const weir_task *task);

/**
 * Write a line for the engine, with the reason if it is not io_uring, and a
 * line for each feature of the kernel that weir uses. The line of a feature has
 * its name, the first kernel version that has it, a state and weir's fallback.
 * The state is "yes", "no", "masked" (by WEIR_FEATURES_MASK), or "needs" with
 * another feature that is missing.
 *
 * @param buf   memory for the text, which is always terminated by a NUL if @p
 *              size is not 0
 * @param size  size of @p buf in bytes
 * @return      number of bytes in the whole text, without the NUL
 */
WEIR_API size_t weir_loop_get_features_text(const weir_loop *loop, char *buf,
                                            size_t size);

WEIR_END_DECLS

#endif
