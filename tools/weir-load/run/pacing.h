/*
 * Sends by a schedule: each request is sent at its time over a connection that
 * has room, or waits for one, or is dropped.
 *
 * Waiting requests are not stored: the schedule stays at the oldest unsent
 * request, however late it is. So memory does not grow with lateness, and no
 * request is lost.
 */
#ifndef WEIR_LOAD_PACING_H
#define WEIR_LOAD_PACING_H

#include "tools/weir-load/conn/conn.h"
#include "tools/weir-load/schedule/schedule.h"

#include "weir/loop.h"

struct pacing {
    weir_loop *loop;
    struct traffic *traffic;
    /* next is at the oldest request that was not sent; due is at the first
     * request that was not due at the last call of pacing_count_due(). */
    struct schedule next;
    struct schedule due;
    /* Start of the schedule, start of the window, and end of the schedule. */
    uint64_t begin_ns;
    uint64_t window_ns;
    uint64_t end_ns;
    /* Scheduled time of the request at next, or UINT64_MAX at the end. */
    uint64_t next_ns;
    uint64_t in_flight_max;
    bool is_skipping;
    /* At blocked_ns the request at next found all connections busy. Only its
     * lateness until then is caused by this program. */
    bool is_blocked;
    uint64_t blocked_ns;
    bool is_started;
    /* Queue of the connections that can send, in the order in which they became
     * free. */
    struct conn *first;
    struct conn *last;
    struct weir_handle timer;
};

/* Prepares to send by the plan, which is borrowed. */
void pacing_init(struct pacing *pacing, struct traffic *traffic,
                 const struct schedule_plan *plan, uint32_t thread_index,
                 uint32_t thread_count);

/* Starts to send at @begin_ns. Requests from @window_ns on are measured; from
 * @end_ns on there are none. */
void pacing_start(struct pacing *pacing, weir_loop *loop, uint64_t begin_ns,
                  uint64_t window_ns, uint64_t end_ns);

/* traffic.ready of open models: the connection may have room. */
void pacing_offer(struct conn *conn, uint64_t now_ns);

/* Returns how many requests have become due since the last call. */
uint64_t pacing_count_due(struct pacing *pacing, uint64_t now_ns);

/* Ends the schedule; drops unsent requests that are due by @now_ns. */
void pacing_stop(struct pacing *pacing, uint64_t now_ns);

#endif
