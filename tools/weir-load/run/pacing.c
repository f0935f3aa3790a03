/*
 * Sends requests at their scheduled times, with a timer of the loop. Kernel
 * timers fire some microseconds late, so the lateness of each request is
 * measured. The clock is read for each request, because the last of several
 * requests that are sent together is later than the first.
 */
#include "client.h"

#include "tools/common/clock.h"
#include "tools/common/console.h"

#include "weir/error.h"

#include <assert.h>

static void pump(struct pacing *pacing);

static void look(struct pacing *pacing)
{
    struct traffic *traffic = pacing->traffic;
    uint64_t next_ns = pacing->next.next_ns;

    if (next_ns == SCHEDULE_OVER || traffic->remaining == 0 ||
        next_ns >= pacing->end_ns - pacing->begin_ns) {
        pacing->next_ns = UINT64_MAX;
        traffic->remaining = 0;
        return;
    }
    pacing->next_ns = pacing->begin_ns + next_ns;
}

static bool is_measured(const struct pacing *pacing)
{
    return pacing->next_ns >= pacing->window_ns;
}

/* Moves to the next request, after the current one was sent or dropped. */
static void pass(struct pacing *pacing)
{
    struct traffic *traffic = pacing->traffic;
    const bool measured = is_measured(pacing);

    if (measured) {
        traffic->measured.scheduled++;
        traffic->remaining--;
    } else {
        traffic->warmup.scheduled++;
    }
    schedule_advance(&pacing->next);
    look(pacing);
}

static void drop(struct pacing *pacing)
{
    struct traffic *traffic = pacing->traffic;

    traffic->next_number += traffic->number_stride;
    if (is_measured(pacing)) {
        traffic->measured.dropped++;
    } else {
        traffic->warmup.dropped++;
    }
    pass(pacing);
}

static void enqueue(struct pacing *pacing, struct conn *conn)
{
    if (conn->is_offered || !conn_has_room(conn)) {
        return;
    }
    conn->is_offered = true;
    conn->next_offered = NULL;
    if (pacing->first) {
        pacing->last->next_offered = conn;
    } else {
        pacing->first = conn;
    }
    pacing->last = conn;
}

/* Returns the first connection of the queue that can send, or NULL. A
 * connection that was lost while in the queue cannot. */
static struct conn *dequeue(struct pacing *pacing)
{
    while (pacing->first) {
        struct conn *conn = pacing->first;
        pacing->first = conn->next_offered;
        conn->is_offered = false;
        if (conn_has_room(conn)) {
            return conn;
        }
    }
    return NULL;
}

/* Returns the one with fewer requests in flight of the first two connections
 * that can send, so that a connection that does not answer gets few requests.
 * Returns NULL if none can send or in_flight_max is reached. */
static struct conn *choose(struct pacing *pacing)
{
    if (pacing->traffic->outstanding >= pacing->in_flight_max) {
        return NULL;
    }
    struct conn *first = dequeue(pacing);
    struct conn *second =
        first && first->outstanding > 0 ? dequeue(pacing) : NULL;
    if (second && second->outstanding < first->outstanding) {
        enqueue(pacing, first);
        return second;
    }
    if (second) {
        second->is_offered = true;
        second->next_offered = pacing->first;
        if (!pacing->first) {
            pacing->last = second;
        }
        pacing->first = second;
    }
    return first;
}

static void timer_cb(void *arg)
{
    struct pacing *pacing = arg;

    reading_note_wake(pacing->traffic);
    pump(pacing);
}

static void arm(struct pacing *pacing)
{
    weir_handle_cancel(pacing->loop, pacing->timer);
    if (pacing->next_ns == UINT64_MAX || pacing->is_blocked) {
        return;
    }
    int err = weir_loop_call_at(pacing->loop, pacing->next_ns, timer_cb, pacing,
                                &pacing->timer);
    if (err < 0) {
        say("the schedule cannot be kept: %s", weir_strerror(err));
    }
}

/* Returns how late the request is without its wait for a connection. */
static uint64_t find_own_lateness(const struct pacing *pacing, uint64_t now_ns)
{
    const uint64_t seen_ns = pacing->is_blocked ? pacing->blocked_ns : now_ns;

    return seen_ns > pacing->next_ns ? seen_ns - pacing->next_ns : 0;
}

static void send_over(struct pacing *pacing, struct conn *conn, uint64_t now_ns)
{
    struct traffic *traffic = pacing->traffic;
    const uint64_t meant_ns = pacing->next_ns;
    const bool measured = is_measured(pacing);
    const uint64_t own_ns = find_own_lateness(pacing, now_ns);

    traffic->late_ns = own_ns < UINT32_MAX ? (uint32_t)own_ns : UINT32_MAX;
    if (measured) {
        histogram_record(&traffic->record->lateness, now_ns - meant_ns);
        histogram_record(&traffic->record->own_lateness, own_ns);
        if (pacing->is_blocked) {
            traffic->waited++;
            histogram_record(&traffic->record->blocked,
                             now_ns - pacing->next_ns - own_ns);
        }
    }
    pass(pacing);
    conn_send_meant(conn, meant_ns, now_ns, measured);
    enqueue(pacing, conn);
}

/* Sends all due requests while connections are free. */
static void pump(struct pacing *pacing)
{
    uint64_t now_ns = clock_now_ns();

    while (pacing->next_ns <= now_ns) {
        struct conn *conn = choose(pacing);
        if (conn) {
            send_over(pacing, conn, now_ns);
        } else if (pacing->is_skipping) {
            drop(pacing);
        } else {
            if (!pacing->is_blocked) {
                pacing->is_blocked = true;
                pacing->blocked_ns = now_ns;
            }
            break;
        }
        now_ns = clock_now_ns();
    }
    if (pacing->next_ns > now_ns) {
        pacing->is_blocked = false;
    }
    arm(pacing);
    conn_tell_drained(pacing->traffic);
}

void pacing_offer(struct conn *conn, uint64_t now_ns)
{
    struct pacing *pacing = conn->traffic->pacing;

    enqueue(pacing, conn);
    if (pacing->is_started && pacing->next_ns <= now_ns) {
        pump(pacing);
    }
    conn_tell_drained(conn->traffic);
}

void pacing_init(struct pacing *pacing, struct traffic *traffic,
                 const struct schedule_plan *plan, uint32_t thread_index,
                 uint32_t thread_count)
{
    *pacing = (struct pacing){
        .traffic = traffic, .in_flight_max = UINT64_MAX, .next_ns = UINT64_MAX};
    schedule_init(&pacing->next, plan, thread_index, thread_count);
    pacing->due = pacing->next;
}

void pacing_start(struct pacing *pacing, weir_loop *loop, uint64_t begin_ns,
                  uint64_t window_ns, uint64_t end_ns)
{
    assert(!pacing->is_started);
    assert(begin_ns <= window_ns);
    pacing->loop = loop;
    pacing->begin_ns = begin_ns;
    pacing->window_ns = window_ns;
    pacing->end_ns = end_ns;
    pacing->is_started = true;
    look(pacing);
    arm(pacing);
}

uint64_t pacing_count_due(struct pacing *pacing, uint64_t now_ns)
{
    uint64_t count = 0;

    now_ns = now_ns < pacing->end_ns ? now_ns : pacing->end_ns;
    while (pacing->due.next_ns != SCHEDULE_OVER &&
           pacing->begin_ns + pacing->due.next_ns < now_ns) {
        schedule_advance(&pacing->due);
        count++;
    }
    return count;
}

void pacing_stop(struct pacing *pacing, uint64_t now_ns)
{
    if (!pacing->is_started) {
        return;
    }
    weir_handle_cancel(pacing->loop, pacing->timer);
    while (pacing->next_ns <= now_ns) {
        drop(pacing);
    }
    pacing->is_started = false;
    pacing->next_ns = UINT64_MAX;
}
