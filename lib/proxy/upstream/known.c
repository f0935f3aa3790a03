/*
 * Transfers the known state of an upstream from one set to another.
 *
 * The data may come from another process, of another version or with other
 * options, so it is limited to what the set's own options allow.
 */
#include "upstream.h"

#include <errno.h>

int wr_known_read(const struct wr_check *check,
                  const struct weir_upstream_health *given,
                  struct weir_upstream_health *ret)
{
    const int err = wr_options_read(ret, sizeof(*ret), given);

    wr_require(err >= 0, err);
    wr_require(ret->state == 0 || (wr_check_is_active(check) &&
                                   (ret->state == WEIR_UPSTREAM_UP ||
                                    ret->state == WEIR_UPSTREAM_DOWN)),
               -EINVAL);
    return 0;
}

/* Returns the state that checks have found, or the state before a check. */
static enum wr_health_state
known_get_health(const struct wr_check *check,
                 const struct weir_upstream_health *known)
{
    switch (known->state) {
    case WEIR_UPSTREAM_UP:
        return WR_HEALTH_UP;
    case WEIR_UPSTREAM_DOWN:
        return WR_HEALTH_DOWN;
    default:
        wr_assert(known->state == 0);
        return wr_check_is_active(check) && check->plan.starts_down
                   ? WR_HEALTH_UNKNOWN
                   : WR_HEALTH_UP;
    }
}

/* Returns the start of a slow start that continues, or 0. */
static uint64_t known_get_start(const weir_upstreams *set,
                                const struct weir_upstream_health *known)
{
    const uint64_t slow_ns = set->options.slow_start_ns;
    const uint64_t left_ns = wr_min_u64(known->slow_start_ns, slow_ns);
    const uint64_t gone_ns = slow_ns - left_ns;
    const uint64_t now_ns = weir_loop_get_time(set->loop);

    wr_assert(left_ns <= slow_ns);
    if (left_ns == 0) {
        return 0;
    }
    /* 1 if the start was before time 0 of the clock */
    return gone_ns < now_ns ? now_ns - gone_ns : 1;
}

/* Continues an ejection, or the probation after it, and a slow start. */
void wr_known_begin(const weir_upstreams *set, const struct wr_check *check,
                    const struct weir_upstream_health *known,
                    struct wr_shared_key *ret)
{
    const uint64_t time_ns =
        wr_min_u64(known->ejected_ns, set->options.eject_max_ns);

    wr_assert(ret->ejection.count == 0);
    ret->health = known_get_health(check, known);
    ret->back_ns = known_get_start(set, known);
    if (known->in_use_ns > 0 && set->options.balance == WEIR_BALANCE_FIRST) {
        const uint64_t now_ns = weir_loop_get_time(set->loop);
        ret->in_use_since_ns =
            known->in_use_ns < now_ns ? now_ns - known->in_use_ns : 1;
    }
    if (set->options.fail_limit == UINT32_MAX) {
        return; /* no upstream is ejected here */
    }
    wr_ejection_resume(&ret->ejection, known->ejected_count,
                       known->ejected_by_report ? WR_FAILURE_REPORT
                                                : WR_FAILURE_CONNECT,
                       time_ns > 0);
    if (time_ns > 0) {
        ret->ejected_until_ns =
            wr_add_sat(weir_loop_get_time(set->loop), time_ns);
        ret->failure_err = known->err < 0 ? known->err : -EHOSTDOWN;
    }
}

static enum weir_upstream_state known_get_state(const weir_upstream *upstream)
{
    const enum wr_health_state state =
        wr_shared_part_get_health(&upstream->part);

    if (!upstream->part.health || state == WR_HEALTH_UNKNOWN) {
        return 0;
    }
    return state == WR_HEALTH_UP ? WEIR_UPSTREAM_UP : WEIR_UPSTREAM_DOWN;
}

static uint64_t known_get_warming(const weir_upstreams *set, uint64_t back_ns,
                                  uint64_t now_ns)
{
    const uint64_t slow_ns = set->options.slow_start_ns;
    const uint64_t elapsed_ns = wr_since(now_ns, back_ns);

    return back_ns > 0 && elapsed_ns < slow_ns ? slow_ns - elapsed_ns : 0;
}

static struct weir_upstream_health known_make(const weir_upstream *upstream,
                                              size_t size)
{
    const uint64_t now_ns = weir_loop_get_time(upstream->set->loop);
    struct wr_shared_facts facts;

    wr_shared_part_read(&upstream->part, &facts);
    const struct wr_ejection *ejection = &facts.ejection;
    wr_assert(!ejection->is_ejected || facts.ejected_until_ns > 0);
    return (struct weir_upstream_health){
        .size = size,
        .state = known_get_state(upstream),
        .ejected_count = ejection->count,
        .ejected_by_report =
            ejection->count > 0 && ejection->cause == WR_FAILURE_REPORT,
        .ejected_ns = !ejection->is_ejected ? 0
                      : facts.ejected_until_ns > now_ns
                          ? facts.ejected_until_ns - now_ns
                          : 1, /* past, but not handled yet */
        .slow_start_ns =
            known_get_warming(upstream->set, facts.back_ns, now_ns),
        .err = facts.failure_err,
        .in_use_ns = wr_shared_get_use(&facts, now_ns),
    };
}

int weir_upstream_get_health(const weir_upstream *upstream,
                             struct weir_upstream_health *ret)
{
    const int err = wr_answer_check(ret);

    wr_require(err >= 0, err);
    const struct weir_upstream_health known = known_make(upstream, ret->size);
    wr_answer_write(ret, &known, sizeof(known));
    return 0;
}
