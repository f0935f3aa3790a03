/*
 * Waits of connections for receive windows and buffers. A connection at its own
 * limit waits for the release of its own leases. A connection at its share of
 * the budget also joins queue STARVED, because other connections' releases
 * help, too.
 */
#include "intake.h"

/* Length of a pause when memory has run out. */
#define REST_NS 10000000u

static weir_transport *intake_of(struct wr_demand *demand)
{
    return wr_container_of(demand, weir_transport, demand);
}

void wr_intake_fed(struct wr_demand *demand, enum wr_demand_state queue)
{
    weir_transport *t = intake_of(demand);

    wr_assert(demand->state == WR_DEMAND_IDLE && queue != WR_DEMAND_IDLE);
    wr_assert(t->state > WR_LIFE_NEW && t->state < WR_LIFE_LOST);
    demand->account.notify_released = false;
    t->ops->fed(t, queue);
}

void wr_intake_released(struct wr_account *account)
{
    weir_transport *t =
        intake_of(wr_container_of(account, struct wr_demand, account));

    wr_assert(account->notify_released);
    if (WR_UNLIKELY(t->state == WR_LIFE_LOST)) {
        wr_transport_free_if_unused(t);
    } else {
        wr_intake_seek_credit(t);
    }
}

const char *wr_intake_queue_name(const weir_transport *t)
{
    static const char *const names[WR_DEMAND_STATES] = {"none", "starved",
                                                        "stuck", "due"};
    wr_assert(t->demand.state < WR_DEMAND_STATES);
    return names[t->demand.state];
}

void wr_intake_starve(weir_transport *t)
{
    wr_assert(t->state > WR_LIFE_NEW && !wr_life_is_over(t));
    t->held_back = true;
    wr_budget_starve(&t->loop->budget, &t->demand);
}

void wr_intake_wait(weir_transport *t, enum wr_shortage shortage)
{
    struct wr_account *account = &t->demand.account;

    wr_assert(t->demand.state == WR_DEMAND_IDLE);
    t->held_back = true;
    if (account->held_bytes > 0) {
        account->notify_released = true;
    }
    switch (shortage) {
    case WR_SHORTAGE_SHARE:
        wr_intake_starve(t);
        break;
    case WR_SHORTAGE_STUCK:
        wr_budget_make_stuck(&t->loop->budget, &t->demand);
        break;
    case WR_SHORTAGE_LIMIT:
        break;
    case WR_SHORTAGE_NONE:
        wr_assert(false);
    }
    wr_assert(wr_intake_waits(t));
}

uint32_t wr_intake_ask_uncounted(weir_transport *t)
{
    uint32_t credit;
    const enum wr_shortage shortage =
        wr_budget_peek(&t->loop->budget, &t->demand, &credit);

    wr_assert(!wr_intake_is_queued(t));
    if (shortage != WR_SHORTAGE_NONE) {
        wr_intake_wait(t, shortage);
    }
    return credit;
}

bool wr_intake_may_poll(weir_transport *t)
{
    uint32_t credit;

    wr_assert(!wr_intake_is_queued(t));
    if (WR_LIKELY(wr_budget_peek(&t->loop->budget, &t->demand, &credit) ==
                  WR_SHORTAGE_NONE)) {
        return true;
    }
    credit = wr_intake_ask(t);
    wr_assert(credit == 0);
    return false;
}

void wr_intake_look_anew(weir_transport *t)
{
    wr_assert(t->state > WR_LIFE_NEW && t->state < WR_LIFE_LOST);
    if (t->demand.state != WR_DEMAND_DUE) {
        wr_intake_leave(t);
    }
    t->demand.account.notify_released = false;
    wr_life_push_step(t);
}

void wr_intake_seek_credit(weir_transport *t)
{
    wr_assert(t->state != WR_LIFE_LOST);
    if (t->demand.account.notify_released) {
        wr_intake_look_anew(t);
    }
}

int wr_intake_set_protocol(weir_transport *t,
                           const struct weir_protocol_binding *binding,
                           const struct weir_buf *initial, size_t count)
{
    wr_assert(t->ops->set_protocol);
    wr_require(!wr_life_is_closing(t), -ESHUTDOWN);
    wr_require(t->ops->is_reading || count == 0, -EINVAL);
    const int err =
        wr_delivery_set_protocol(t, wr_delivery_of(t), binding, initial, count);
    wr_require(err == 0, err);
    wr_intake_look_anew(t);
    return 0;
}

void wr_intake_set_limit(weir_transport *t, uint64_t bytes)
{
    wr_assert(bytes >= WR_CREDIT_MIN);
    t->demand.account.limit_bytes = bytes;
    if (t->state != WR_LIFE_LOST) {
        wr_intake_seek_credit(t);
    }
}

void wr_intake_tell_drop(weir_transport *t)
{
    wr_assert(wr_sendq_is_empty(&wr_outbox_of(t)->queue));
    if (wr_intake_awaits_drop(t)) {
        wr_transport_notify(t, 0);
    }
}

void wr_intake_rest(weir_transport *t, struct wr_timer *rest)
{
    wr_assert(!wr_timer_is_armed(rest));
    t->held_back = true;
    wr_timer_arm(&t->loop->wheel, rest, wr_add_sat(t->loop->now_ns, REST_NS));
}

void wr_intake_lack_buffer(weir_transport *t, struct wr_timer *rest)
{
    wr_assert(!wr_intake_is_queued(t));
    t->loop->budget.starved_count++;
    if (wr_pool_has_posted(&t->loop->pool)) {
        wr_intake_rest(t, rest);
    } else {
        wr_intake_starve(t);
    }
}
