/*
 * Sending by a schedule: each request goes out at its time over a connection
 * that has room, or waits for one, or is given up.
 *
 * What waits is not kept anywhere: the schedule stands at the oldest request
 * that was not sent, however long ago that was meant to be. So memory does not
 * grow with what is late, and no request is forgotten.
 */
#ifndef WEIR_LOAD_PACING_H
#define WEIR_LOAD_PACING_H

#include "tools/weir-load/conn/conn.h"
#include "tools/weir-load/schedule/schedule.h"

#include "weir/loop.h"

struct pacing {
    weir_loop *loop;
    struct traffic *traffic;
    /* Stands at the oldest request that was not sent; and at the first that
     * was not due when the schedule was last counted. */
    struct schedule next;
    struct schedule due;
    /* The clock at the schedule's begin, the begin of the window, and the time
     * from which on no request is due. */
    uint64_t begin_ns;
    uint64_t window_ns;
    uint64_t end_ns;
    /* When the request is meant that next stands at; UINT64_MAX: there is none
     * any more. */
    uint64_t next_ns;
    /* Requests that may be under way together. */
    uint64_t in_flight_max;
    bool is_skipping;
    /* The request that next stands at has found all connections busy; and when
     * that was seen: what was due before then was late without them. */
    bool is_blocked;
    uint64_t blocked_ns;
    bool is_started;
    /* Connections with room, in the order in which they got it. */
    struct conn *first;
    struct conn *last;
    struct weir_handle timer;
};

/* The plan is borrowed; -n is the share of this thread, UINT64_MAX: none. */
void pacing_init(struct pacing *pacing, struct traffic *traffic,
                 const struct schedule_plan *plan, uint32_t thread_index,
                 uint32_t thread_count);

/* Begin to send at begin_ns; requests from window_ns on are measured, and there
 * are none from end_ns on. */
void pacing_start(struct pacing *pacing, weir_loop *loop, uint64_t begin_ns,
                  uint64_t window_ns, uint64_t end_ns);

/* A connection may have room for a request; traffic.ready of open models. */
void pacing_offer(struct conn *conn, uint64_t now_ns);

/* How many requests have become due since it was last asked. */
uint64_t pacing_count_due(struct pacing *pacing, uint64_t now_ns);

/* The end: what is due at that time and was not sent is dropped. */
void pacing_stop(struct pacing *pacing, uint64_t now_ns);

#endif
