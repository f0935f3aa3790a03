/*
 * The arithmetic of budget.h.
 *
 * A share is a sixteenth of what is left up to the reserve: n connections that
 * take all they may leave 1/(1 + n/16) of it, so the sum never reaches the
 * reserve but by what everybody may have at least.
 */
#include "budget.h"

#define SHARES 16u
/* What nobody asks for yet is the first to be cut. */
#define READER_SHARES 64u

/* What is left of @limit but for its reserve, half of it. */
static uint64_t left_of(uint64_t limit, uint64_t used)
{
    const uint64_t open = limit / 2;
    return used < open ? open - used : 0;
}

static uint64_t held_of(const struct wr_budget *budget)
{
    return budget->held_bytes + budget->kept_bytes;
}

uint64_t wr_budget_held_share(const struct wr_budget *budget)
{
    const uint64_t left = left_of(budget->held_limit_bytes, held_of(budget));
    return wr_max_u64(left / SHARES, WR_HELD_LEAST);
}

uint64_t wr_budget_queued_share(const struct wr_budget *budget)
{
    if (WR_LIKELY(!wr_budget_is_queue_short(budget))) {
        return UINT64_MAX;
    }
    const uint64_t left =
        left_of(budget->queued_limit_bytes, budget->queued_bytes);
    return wr_max_u64(left / SHARES, WR_QUEUED_LEAST);
}

uint64_t wr_budget_reader_high(const struct wr_budget *budget, uint64_t high)
{
    const uint64_t held = held_of(budget);
    if (WR_LIKELY(held <= budget->held_limit_bytes / 8)) {
        return high;
    }
    const uint64_t left = left_of(budget->held_limit_bytes, held);
    return wr_min_u64(high, wr_max_u64(left / READER_SHARES, WR_HELD_LEAST));
}

/* Credits are promises: all of them together stay within half the limit. */
static uint64_t credit_share(const struct wr_budget *budget)
{
    const uint64_t count = budget->account_count;
    if (WR_LIKELY(count * 2 * WR_CREDIT_MAX <= budget->held_limit_bytes)) {
        return WR_CREDIT_MAX;
    }
    return wr_max_u64(budget->held_limit_bytes / (count * 2), WR_CREDIT_MIN);
}

/* What is left of the window, but something always. */
static uint64_t earned(const struct wr_demand *of)
{
    const uint64_t backlog = of->held_bytes + of->stuck_bytes;
    const uint64_t left = backlog < of->window ? of->window - backlog : 0;
    return wr_max_u64(left, WR_CREDIT_SLOW);
}

enum wr_verdict wr_budget_credit(const struct wr_budget *budget,
                                 const struct wr_demand *of,
                                 uint32_t *ret_credit)
{
    const uint64_t share = wr_budget_held_share(budget);
    const uint64_t most = wr_min_u64(of->limit_bytes, share);

    *ret_credit = 0;
    if (of->held_bytes + WR_CREDIT_MIN > most) {
        return of->held_bytes + WR_CREDIT_MIN > of->limit_bytes
                   ? WR_VERDICT_HOLDS_LIMIT
                   : WR_VERDICT_HOLDS_SHARE;
    }
    if (WR_UNLIKELY(of->stuck_bytes > wr_budget_queued_share(budget))) {
        return WR_VERDICT_IS_STUCK;
    }
    const uint64_t credit = wr_min_u64(
        wr_min_u64(most - of->held_bytes, credit_share(budget)), earned(of));
    wr_assert(credit >= WR_CREDIT_MIN);
    wr_assert(credit <= WR_CREDIT_MAX);
    *ret_credit = (uint32_t)credit;
    return WR_VERDICT_CREDIT;
}

uint32_t wr_budget_window(uint32_t window, uint32_t last_credit,
                          uint64_t backlog)
{
    if (window == 0) {
        return WR_CREDIT_START;
    }
    if (backlog <= last_credit) {
        return window < WR_CREDIT_MAX / 2 ? window * 2 : WR_CREDIT_MAX;
    }
    if (backlog > window) {
        return window / 2 > WR_CREDIT_SLOW ? window / 2 : WR_CREDIT_SLOW;
    }
    return window;
}
