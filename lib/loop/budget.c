/*
 * The arithmetic and the queues of budget.h.
 *
 * A connection's share is a sixteenth of the bytes that are free below the
 * reserve. When n connections use their full shares, 1/(1 + n/16) of these
 * bytes are still free, so only the least shares (WR_HELD_LEAST) use the
 * reserve.
 */
#include "budget.h"

#define SHARES 16u
/* A reader's share is smaller, as no task waits for unread bytes. */
#define READER_SHARES 64u

static uint64_t budget_left_of(uint64_t limit, uint64_t used)
{
    const uint64_t open = limit / 2;
    return used < open ? open - used : 0;
}

static uint64_t budget_held_of(const struct wr_budget *budget)
{
    return budget->pool->held_bytes + budget->pool->own.held_bytes;
}

void wr_demand_check_invariants(const struct wr_demand *demand)
{
    wr_assert(demand->state < WR_DEMAND_STATES);
    wr_assert(wr_list_is_linked(&demand->link) ==
              (demand->state != WR_DEMAND_IDLE));
    wr_assert(demand->window == 0 || demand->window >= WR_CREDIT_SLOW);
    wr_assert(demand->window <= WR_CREDIT_MAX);
    wr_assert(demand->last_credit <= WR_CREDIT_MAX);
    wr_assert(demand->last_credit == 0 || demand->window > 0);
}

static void budget_check_queue(const struct wr_list *queue,
                               enum wr_demand_state state)
{
    for (const struct wr_list *at = queue->next; at != queue; at = at->next) {
        const struct wr_demand *demand =
            wr_container_of(at, const struct wr_demand, link);
        wr_assert(demand->state == state);
        wr_demand_check_invariants(demand);
    }
}

void wr_budget_check_invariants(const struct wr_budget *budget)
{
    wr_assert(budget->held_limit_bytes > 0);
    wr_assert(budget->account_count > 0 || !wr_budget_has_waiting(budget));
    wr_assert(budget->account_count > 0 || !wr_budget_has_due(budget));
    wr_assert(budget->account_count > 0 || budget->queued_bytes == 0);
    wr_debug_check(budget_check_queue(&budget->starved, WR_DEMAND_STARVED));
    wr_debug_check(budget_check_queue(&budget->bare, WR_DEMAND_STARVED));
    wr_debug_check(budget_check_queue(&budget->stuck, WR_DEMAND_STUCK));
    wr_debug_check(budget_check_queue(&budget->due, WR_DEMAND_DUE));
}

static inline uint64_t budget_held_share(const struct wr_budget *budget)
{
    const uint64_t left =
        budget_left_of(budget->held_limit_bytes, budget_held_of(budget));
    return wr_max_u64(left / SHARES, WR_HELD_LEAST);
}

uint64_t wr_budget_held_share(const struct wr_budget *budget)
{
    return budget_held_share(budget);
}

uint64_t wr_budget_queued_share(const struct wr_budget *budget)
{
    if (WR_LIKELY(!wr_budget_is_queue_short(budget))) {
        return UINT64_MAX;
    }
    const uint64_t left =
        budget_left_of(budget->queued_limit_bytes, budget->queued_bytes);
    return wr_max_u64(left / SHARES, WR_QUEUED_LEAST);
}

uint64_t wr_budget_reader_high(const struct wr_budget *budget, uint64_t high)
{
    const uint64_t held = budget_held_of(budget);
    if (WR_LIKELY(held <= budget->held_limit_bytes / 8)) {
        return high;
    }
    const uint64_t left = budget_left_of(budget->held_limit_bytes, held);
    return wr_min_u64(high, wr_max_u64(left / READER_SHARES, WR_HELD_LEAST));
}

/* Keeps the credits of all connections together within half the limit. */
static uint64_t budget_credit_share(const struct wr_budget *budget)
{
    const uint64_t count = budget->account_count;
    if (WR_LIKELY(count * 2 * WR_CREDIT_MAX <= budget->held_limit_bytes)) {
        return WR_CREDIT_MAX;
    }
    return wr_max_u64(budget->held_limit_bytes / (count * 2), WR_CREDIT_MIN);
}

static uint32_t budget_least_window(const struct wr_budget *budget)
{
    return wr_budget_is_queue_short(budget) ||
                   budget_held_of(budget) > budget->held_limit_bytes / 8
               ? WR_CREDIT_SLOW
               : WR_CREDIT_START;
}

static uint64_t budget_earned(const struct wr_budget *budget,
                              const struct wr_demand *demand)
{
    const uint32_t window = demand->window ? demand->window : WR_CREDIT_START;
    const uint64_t backlog = demand->account.held_bytes + demand->stuck_bytes;
    const uint64_t left = backlog < window ? window - backlog : 0;
    return WR_LIKELY(left >= WR_CREDIT_START)
               ? left
               : wr_max_u64(left, budget_least_window(budget));
}

enum wr_shortage wr_budget_peek(const struct wr_budget *budget,
                                const struct wr_demand *demand,
                                uint32_t *ret_credit)
{
    const struct wr_account *account = &demand->account;
    const uint64_t share = budget_held_share(budget);
    const uint64_t most = wr_min_u64(account->limit_bytes, share);

    *ret_credit = 0;
    if (account->held_bytes + WR_CREDIT_MIN > most) {
        return account->held_bytes + WR_CREDIT_MIN > account->limit_bytes
                   ? WR_SHORTAGE_LIMIT
                   : WR_SHORTAGE_SHARE;
    }
    if (WR_UNLIKELY(demand->stuck_bytes > 0) &&
        demand->stuck_bytes > wr_budget_queued_share(budget)) {
        return WR_SHORTAGE_STUCK;
    }
    const uint64_t credit = wr_min_u64(
        wr_min_u64(most - account->held_bytes, budget_credit_share(budget)),
        budget_earned(budget, demand));
    wr_assert(credit >= WR_CREDIT_MIN);
    wr_assert(credit <= WR_CREDIT_MAX);
    *ret_credit = (uint32_t)credit;
    return WR_SHORTAGE_NONE;
}

uint32_t wr_budget_credit(const struct wr_budget *budget,
                          const struct wr_demand *demand)
{
    uint32_t credit;
    const enum wr_shortage shortage = wr_budget_peek(budget, demand, &credit);
    wr_assert((shortage == WR_SHORTAGE_NONE) == (credit > 0));
    return credit;
}

uint32_t wr_budget_window(const struct wr_budget *budget, uint32_t window,
                          uint32_t last_credit, uint64_t backlog)
{
    if (window == 0) {
        return WR_CREDIT_START;
    }
    wr_assert(window >= WR_CREDIT_SLOW);
    wr_assert(window <= WR_CREDIT_MAX);
    if (backlog <= last_credit) {
        return window < WR_CREDIT_MAX / 2 ? window * 2 : WR_CREDIT_MAX;
    }
    const uint32_t least = budget_least_window(budget);
    if (backlog > window) {
        window /= 2;
    }
    return window > least ? window : least;
}

enum wr_shortage wr_budget_ask(const struct wr_budget *budget,
                               struct wr_demand *demand, uint32_t *ret_credit)
{
    wr_assert(demand->state == WR_DEMAND_IDLE);
    if (demand->last_credit > 0 || demand->window == 0) {
        demand->window =
            wr_budget_window(budget, demand->window, demand->last_credit,
                             demand->account.held_bytes + demand->stuck_bytes);
    }
    enum wr_shortage shortage = wr_budget_peek(budget, demand, ret_credit);
    demand->last_credit = *ret_credit;
    wr_debug_check(wr_demand_check_invariants(demand));
    return shortage;
}

void wr_budget_init(struct wr_budget *budget, const struct wr_pool *pool,
                    uint64_t held_limit_bytes, uint64_t queued_limit_bytes)
{
    wr_assert(held_limit_bytes > 0);
    *budget = (struct wr_budget){
        .pool = pool,
        .held_limit_bytes = held_limit_bytes,
        .queued_limit_bytes = queued_limit_bytes,
    };
    wr_list_init(&budget->starved);
    wr_list_init(&budget->bare);
    wr_list_init(&budget->stuck);
    wr_list_init(&budget->due);
    wr_list_init(&budget->evictable);
}

void wr_demand_init(struct wr_demand *demand, uint64_t limit_bytes,
                    const struct wr_demand_ops *ops)
{
    demand->account = (struct wr_account){.limit_bytes = limit_bytes,
                                          .ops = ops ? &ops->account : NULL};
    demand->stuck_bytes = 0;
    demand->window = 0;
    demand->last_credit = 0;
    demand->state = WR_DEMAND_IDLE;
    wr_list_init(&demand->link);
}

static void budget_set_state(struct wr_demand *demand,
                             enum wr_demand_state state)
{
    static const uint8_t edges[WR_DEMAND_STATES] = {
        [WR_DEMAND_IDLE] = 1u << WR_DEMAND_STARVED | 1u << WR_DEMAND_STUCK |
                           1u << WR_DEMAND_DUE,
        [WR_DEMAND_STARVED] = 1u << WR_DEMAND_IDLE,
        [WR_DEMAND_STUCK] = 1u << WR_DEMAND_IDLE,
        [WR_DEMAND_DUE] = 1u << WR_DEMAND_IDLE,
    };
    wr_assert(edges[demand->state] & 1u << state);
    demand->state = state;
}

/* @demand may not receive until fewer bytes are held than now. */
static void budget_push_bare(struct wr_budget *budget, struct wr_demand *demand)
{
    const uint64_t held = budget_held_of(budget);

    demand->pass = budget->pass;
    wr_list_push_back(&budget->bare, &demand->link);
    budget->pass_bytes = wr_max_u64(budget->pass_bytes, held);
    budget->unfed_bytes = wr_max_u64(budget->unfed_bytes, held);
}

void wr_budget_starve(struct wr_budget *budget, struct wr_demand *demand)
{
    uint32_t credit;

    budget_set_state(demand, WR_DEMAND_STARVED);
    if (wr_budget_peek(budget, demand, &credit) == WR_SHORTAGE_SHARE) {
        budget_push_bare(budget, demand);
    } else {
        wr_list_push_back(&budget->starved, &demand->link);
    }
    demand->last_credit = 0;
    wr_demand_check_invariants(demand);
}

void wr_budget_make_stuck(struct wr_budget *budget, struct wr_demand *demand)
{
    budget_set_state(demand, WR_DEMAND_STUCK);
    wr_list_push_back(&budget->stuck, &demand->link);
    wr_demand_check_invariants(demand);
}

void wr_budget_make_due(struct wr_budget *budget, struct wr_demand *demand)
{
    budget_set_state(demand, WR_DEMAND_DUE);
    wr_list_push_back(&budget->due, &demand->link);
    wr_demand_check_invariants(demand);
}

struct wr_demand *wr_budget_next_due(struct wr_budget *budget)
{
    if (budget->turn_received_bytes >= WR_TURN_BYTES ||
        !wr_budget_has_due(budget)) {
        return NULL;
    }
    struct wr_demand *demand =
        wr_container_of(budget->due.next, struct wr_demand, link);
    wr_budget_leave(demand);
    return demand;
}

void wr_budget_leave(struct wr_demand *demand)
{
    if (demand->state != WR_DEMAND_IDLE) {
        budget_set_state(demand, WR_DEMAND_IDLE);
        wr_list_remove(&demand->link);
    }
    wr_demand_check_invariants(demand);
}

enum wr_feed wr_budget_next_feed_of_starved(const struct wr_budget *budget)
{
    const struct wr_pool *pool = budget->pool;

    if (wr_pool_has_posted(pool) || wr_pool_has_free(pool)) {
        return !wr_list_is_empty(&budget->starved) ||
                       budget_held_of(budget) < budget->unfed_bytes
                   ? WR_FEED_NOW
                   : WR_FEED_NONE;
    }
    return wr_pool_can_grow(pool) ? WR_FEED_LATER : WR_FEED_NONE;
}

static struct wr_demand *budget_take_first(struct wr_feeding *round)
{
    struct wr_demand *demand =
        wr_container_of(round->batch.next, struct wr_demand, link);

    wr_budget_leave(demand);
    return demand;
}

static void budget_put_rest_back(struct wr_list *queue,
                                 struct wr_feeding *round)
{
    wr_assert(queue != &round->batch);
    wr_list_splice_back(&round->batch, queue);
    wr_list_splice_back(queue, &round->batch);
}

/* Returns how many more bytes make wr_budget_is_queue_short() true, or 0. */
static uint64_t budget_queue_room(const struct wr_budget *budget)
{
    return wr_budget_is_queue_short(budget)
               ? 0
               : budget->queued_limit_bytes / 4 - budget->queued_bytes + 1;
}

bool wr_budget_begin_stuck(struct wr_budget *budget, struct wr_feeding *round)
{
    wr_debug_check(wr_budget_check_invariants(budget));
    if (wr_list_is_empty(&budget->stuck) || wr_budget_is_queue_short(budget)) {
        return false;
    }
    round->room_bytes = budget_queue_room(budget);
    wr_assert(round->room_bytes > 0);
    wr_list_init(&round->batch);
    wr_list_splice_back(&round->batch, &budget->stuck);
    return true;
}

struct wr_demand *wr_budget_next_stuck(struct wr_budget *budget,
                                       struct wr_feeding *round)
{
    if (round->room_bytes == 0 || wr_list_is_empty(&round->batch)) {
        return NULL;
    }
    struct wr_demand *demand = budget_take_first(round);
    /* At least WR_CREDIT_MIN: feeding without a credit costs work too. */
    const uint64_t bytes =
        wr_max_u64(wr_budget_credit(budget, demand), WR_CREDIT_MIN);
    round->room_bytes -= wr_min_u64(round->room_bytes, bytes);
    return demand;
}

bool wr_budget_end_stuck(struct wr_budget *budget, struct wr_feeding *round)
{
    const bool has_rest = !wr_list_is_empty(&round->batch);

    wr_assert(!has_rest || round->room_bytes == 0);
    budget_put_rest_back(&budget->stuck, round);
    return has_rest && budget_queue_room(budget) > 0;
}

bool wr_budget_begin_starved(struct wr_budget *budget, struct wr_feeding *round)
{
    const struct wr_pool *pool = budget->pool;

    if (!wr_pool_has_posted(pool) ||
        wr_budget_next_feed(budget) != WR_FEED_NOW) {
        return false;
    }
    round->room_bytes = (uint64_t)pool->posted_count * pool->buf_size;
    wr_assert(round->room_bytes > 0);
    round->tries = WR_BUDGET_TRIES;
    budget->feeds_bare_first = !budget->feeds_bare_first;
    wr_list_init(&round->batch);
    wr_list_splice_back(&round->batch, &budget->starved);
    return true;
}

static struct wr_demand *budget_next_bare(struct wr_budget *budget,
                                          struct wr_feeding *round)
{
    while (round->tries > 0 && !wr_list_is_empty(&budget->bare)) {
        struct wr_demand *demand =
            wr_container_of(budget->bare.next, struct wr_demand, link);
        uint32_t credit;
        if (demand->pass == budget->pass) {
            /* Every bare connection was tried. If none could receive, the next
             * pass starts when fewer bytes are held. */
            budget->unfed_bytes =
                budget->pass_has_fed ? UINT64_MAX : budget->pass_bytes;
            budget->pass_has_fed = false;
            budget->pass_bytes = 0;
            budget->pass++;
            if (budget_held_of(budget) >= budget->unfed_bytes) {
                break;
            }
        }
        if (wr_budget_peek(budget, demand, &credit) != WR_SHORTAGE_SHARE) {
            wr_budget_leave(demand);
            budget->pass_has_fed = true;
            return demand;
        }
        wr_list_remove(&demand->link);
        budget_push_bare(budget, demand);
        round->tries--;
    }
    return NULL;
}

struct wr_demand *wr_budget_next_starved(struct wr_budget *budget,
                                         struct wr_feeding *round)
{
    struct wr_demand *demand = NULL;

    if (round->room_bytes == 0) {
        return NULL;
    }
    if (budget->feeds_bare_first) {
        demand = budget_next_bare(budget, round);
    }
    if (!demand && !wr_list_is_empty(&round->batch)) {
        demand = budget_take_first(round);
    }
    if (!demand) {
        demand = budget_next_bare(budget, round);
    }
    if (demand) {
        round->room_bytes -=
            wr_min_u64(round->room_bytes, wr_budget_credit(budget, demand));
    }
    return demand;
}

void wr_budget_end_starved(struct wr_budget *budget, struct wr_feeding *round)
{
    budget_put_rest_back(&budget->starved, round);
    wr_debug_check(wr_budget_check_invariants(budget));
}

struct wr_evictable *wr_budget_next_evicted(struct wr_budget *budget)
{
    if ((wr_list_is_empty(&budget->starved) &&
         wr_list_is_empty(&budget->bare)) ||
        wr_budget_next_feed(budget) != WR_FEED_NONE) {
        return NULL;
    }
    wr_assert(budget->account_count > 0);
    if (wr_list_is_empty(&budget->evictable)) {
        return NULL;
    }
    struct wr_evictable *first =
        wr_container_of(budget->evictable.next, struct wr_evictable, link);
    wr_budget_withdraw(first);
    return first;
}
