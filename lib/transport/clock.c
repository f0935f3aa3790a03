/*
 * Time limits of a connection; clock.h explains them. This file computes the
 * limit that expires next, and decides whether the peer or a late loop made it
 * expire. A late loop restarts the limit.
 */
#include "clock.h"

#include "connection.h"

#include <errno.h>

/* Number of recently used limits that are compared with new limits. */
#define LIMITS_LOOKED_AT 4

struct wr_deadline wr_clock_next(const struct wr_clock *clock)
{
    const struct weir_timeouts *limits = wr_clock_get_limits(clock);
    struct wr_clock_view view = {.own = {.when_ns = UINT64_MAX}};

    clock->t->ops->view_time(clock->t, &view);
    struct wr_deadline first = view.own;
    if (view.is_over) {
        wr_assert(first.when_ns == UINT64_MAX);
        return first;
    }
    /* While a file is read, its device is slow, not the peer. */
    const uint64_t sent_ns =
        view.awaits_file ? clock->t->loop->now_ns : clock->sent_ns;
    if (clock->closing_ns != 0) {
        wr_deadline_consider(&first, clock->closing_ns, limits->close_ns,
                             WEIR_ECLOSETIMEOUT, "close");
    }
    if (view.is_reading) {
        wr_deadline_consider(&first, clock->received_ns, limits->read_ns,
                             WEIR_EREADTIMEOUT, "receive");
    }
    if (view.is_sending) {
        wr_deadline_consider(&first, sent_ns, limits->write_stall_ns,
                             WEIR_EWRITESTALL, "send");
    }
    if (view.is_open) {
        wr_deadline_consider(&first, wr_max_u64(clock->received_ns, sent_ns),
                             limits->idle_ns, WEIR_EIDLE, "connection");
    }
    return first;
}

static bool clock_has_unread(const weir_transport *t)
{
    return t->ops->is_reading && t->ops->is_reading(t) && t->ops->has_unread(t);
}

static bool clock_has_unsent(const weir_transport *t)
{
    wr_assert(t->state < WR_LIFE_LOST);
    return (t->ops->get_depth && t->ops->get_depth(t) > 0) ||
           wr_outbox_has_unsent(wr_outbox_of(t));
}

static bool clock_has_taken_late(const struct wr_deadline *over,
                                 const weir_transport *t)
{
    const uint64_t now_ns = t->loop->now_ns;

    wr_assert(over->when_ns <= now_ns);
    return now_ns - over->when_ns >= WR_DEADLINE_LATE_NS &&
           t->ops->has_taken_all(t);
}

/* True if the loop was late, not the peer: received bytes wait to be delivered,
 * or the peer has taken everything. WEIR_EIDLE is fair while bytes wait to be
 * sent, even if received bytes wait, too: then the peer does not read. */
static bool clock_is_unfair(const struct wr_deadline *over,
                            const weir_transport *t)
{
    const struct wr_transport_ops *ops = t->ops;
    const uint64_t depth = ops->get_depth ? ops->get_depth(t) : 0;

    wr_assert(over->err <= 0);
    switch (over->err) {
    case WEIR_EREADTIMEOUT:
        return clock_has_unread(t);
    case WEIR_EIDLE:
        return depth == 0 && clock_has_unread(t);
    case WEIR_EWRITESTALL:
        return clock_has_taken_late(over, t);
    /* If all is sent, a pending step is about to end the connection. */
    case WEIR_ECLOSETIMEOUT:
        return clock_has_taken_late(over, t) ||
               (wr_ready_is_pending(&t->step) && !clock_has_unsent(t));
    default:
        return false;
    }
}

static void clock_begin_anew(struct wr_clock *clock, int err)
{
    const uint64_t now_ns = clock->t->loop->now_ns;

    wr_assert(err < 0);
    if (err == WEIR_ECLOSETIMEOUT) {
        clock->closing_ns = now_ns;
    } else if (err == WEIR_EWRITESTALL) {
        clock->sent_ns = now_ns;
    } else {
        clock->received_ns = now_ns;
    }
}

static uint64_t clock_next_look_ns(const struct wr_clock *clock)
{
    const weir_transport *t = clock->t;

    return t->ops->next_look_ns ? t->ops->next_look_ns(t) : UINT64_MAX;
}

static void clock_arm(struct wr_clock *clock, uint64_t when_ns)
{
    struct wr_wheel *wheel = &clock->t->loop->wheel;

    when_ns = wr_min_u64(when_ns, clock_next_look_ns(clock));
    if (when_ns == UINT64_MAX) {
        wr_timer_cancel(wheel, &clock->timer);
    } else if (!wr_timer_is_armed(&clock->timer) ||
               when_ns < clock->timer.when_ns) {
        wr_timer_arm(wheel, &clock->timer, when_ns);
    }
}

static void clock_fired(struct wr_timer *timer)
{
    struct wr_clock *clock = wr_container_of(timer, struct wr_clock, timer);
    weir_transport *t = clock->t;
    const uint64_t now_ns = t->loop->now_ns;

    wr_assert(!wr_timer_is_armed(timer));
    if (clock_next_look_ns(clock) <= now_ns && t->ops->look_at_queue(t)) {
        t->ops->doom(t);
        return;
    }
    /* Terminates, because a restarted limit does not expire at once. */
    struct wr_deadline next = wr_clock_next(clock);

    while (next.when_ns <= clock->t->loop->now_ns &&
           clock_is_unfair(&next, clock->t)) {
        clock_begin_anew(clock, next.err);
        next = wr_clock_next(clock);
    }
    if (next.when_ns > now_ns) {
        clock_arm(clock, next.when_ns);
    } else {
        t->ops->time_expired(t, &next);
    }
}

void wr_clock_init(struct wr_clock *clock, weir_transport *t)
{
    wr_assert(t->ops->view_time && t->ops->time_expired);
    _Static_assert(sizeof(*clock) <= WR_CLOCK_SIZE, "fits");
    *clock = (struct wr_clock){.t = t};
    wr_timer_init(&clock->timer, clock_fired);
}

static bool clock_has_same(const struct weir_timeouts *a,
                           const struct weir_timeouts *b)
{
    return a->idle_ns == b->idle_ns && a->read_ns == b->read_ns &&
           a->write_stall_ns == b->write_stall_ns &&
           a->close_ns == b->close_ns && a->linger_ns == b->linger_ns;
}

static struct wr_clock_limits *
clock_find_limits(const weir_loop *loop, const struct weir_timeouts *limits)
{
    struct wr_list *link = loop->clock_limits.prev;

    for (int i = 0; i < LIMITS_LOOKED_AT && link != &loop->clock_limits; i++) {
        struct wr_clock_limits *known =
            wr_container_of(link, struct wr_clock_limits, link);
        if (clock_has_same(&known->of, limits)) {
            return known;
        }
        link = link->prev;
    }
    return NULL;
}

/* Returns a reference to limits equal to @limits; NULL if out of memory. */
static struct wr_clock_limits *
clock_take_limits(weir_loop *loop, const struct weir_timeouts *limits)
{
    struct wr_clock_limits *shared = clock_find_limits(loop, limits);

    if (!shared) {
        shared = wr_alloc(&loop->counting, sizeof(*shared));
        wr_require(shared, NULL);
        *shared = (struct wr_clock_limits){.of = *limits};
        wr_list_init(&shared->link);
        wr_list_push_back(&loop->clock_limits, &shared->link);
    } else if (shared->link.next != &loop->clock_limits) {
        wr_list_remove(&shared->link);
        wr_list_push_back(&loop->clock_limits, &shared->link);
    }
    shared->ref_count++;
    return shared;
}

static void clock_drop_limits(struct wr_clock *clock)
{
    struct wr_clock_limits *shared = clock->shared;

    wr_assert(!shared || shared->ref_count > 0);
    clock->shared = NULL;
    if (shared && --shared->ref_count == 0) {
        wr_list_remove(&shared->link);
        wr_free(&clock->t->loop->counting, shared, sizeof(*shared));
    }
}

int wr_clock_keep_limits(struct wr_clock *clock,
                         const struct weir_timeouts *limits)
{
    struct wr_clock_limits *shared = NULL;

    if (wr_timeouts_are_set(limits)) {
        shared = clock_take_limits(clock->t->loop, limits);
        wr_require(shared, -ENOMEM);
    }
    clock_drop_limits(clock);
    clock->shared = shared;
    return 0;
}

int wr_clock_set_limits(struct wr_clock *clock,
                        const struct weir_timeouts *limits)
{
    const int err = wr_clock_keep_limits(clock, limits);

    wr_require(err == 0, err);
    wr_clock_note_received(clock);
    wr_clock_note_sent(clock);
    wr_clock_changed(clock);
    return 0;
}

void wr_clock_changed(struct wr_clock *clock)
{
    wr_assert(clock->t);
    clock_arm(clock, wr_clock_next(clock).when_ns);
}

void wr_clock_close(struct wr_clock *clock)
{
    clock->closing_ns = weir_loop_get_time(clock->t->loop);
    wr_clock_changed(clock);
}

void wr_clock_stop(struct wr_clock *clock)
{
    wr_timer_cancel(&clock->t->loop->wheel, &clock->timer);
}

void wr_clock_fini(struct wr_clock *clock)
{
    wr_clock_stop(clock);
    clock_drop_limits(clock);
    wr_assert(!clock->shared);
    wr_assert(!wr_timer_is_armed(&clock->timer));
}
