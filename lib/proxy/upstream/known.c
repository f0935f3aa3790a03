/*
 * From one set to another: what is known of an upstream.
 *
 * It may come from another process, of another version or with other options:
 * whatever it says is cut to what the set's own options allow.
 */
#include "lib/base/options.h"
#include "upstream.h"

#include <errno.h>

int wr_known_read(const weir_upstreams *set,
                  const struct weir_upstream_known *given,
                  struct weir_upstream_known *ret)
{
    const int err = wr_options_read(ret, sizeof(*ret), given);

    wr_require(err >= 0, err);
    wr_require(ret->state == 0 || (wr_check_is_active(&set->check) &&
                                   (ret->state == WEIR_UPSTREAM_UP ||
                                    ret->state == WEIR_UPSTREAM_DOWN)),
               -EINVAL);
    return 0;
}

/* Goes on with an ejection, or with the probation after it. */
static void known_resume_ejection(weir_upstream *upstream,
                                  const struct weir_upstream_known *known)
{
    const weir_upstreams *set = upstream->set;
    const uint64_t time_ns =
        wr_min_u64(known->ejected_ns, set->options.eject_max_ns);

    wr_ejection_resume(&upstream->ejection, known->ejected_count,
                       known->ejected_by_report ? WR_FAILURE_REPORT
                                                : WR_FAILURE_CONNECT,
                       time_ns > 0);
    if (upstream->ejection.is_ejected) {
        wr_assert(time_ns > 0);
        wr_timer_arm(&set->loop->wheel, &upstream->eject_timer,
                     wr_add_sat(weir_loop_get_time(set->loop), time_ns));
        upstream->failure_err = known->err < 0 ? known->err : -EHOSTDOWN;
    }
}

/* Goes on with a slow start. */
static void known_resume_warming(weir_upstream *upstream,
                                 const struct weir_upstream_known *known)
{
    const weir_upstreams *set = upstream->set;
    const uint64_t slow_ns = set->options.slow_start_ns;
    const uint64_t left_ns = wr_min_u64(known->slow_start_ns, slow_ns);

    wr_assert(!upstream->is_warming);
    if (left_ns > 0) {
        upstream->is_warming = true;
        upstream->warm_since_ns =
            weir_loop_get_time(set->loop) - (slow_ns - left_ns);
    }
}

void wr_upstream_resume(weir_upstream *upstream,
                        const struct weir_upstream_known *known)
{
    wr_assert(!upstream->ejection.is_ejected);
    known_resume_ejection(upstream, known);
    known_resume_warming(upstream, known);
    upstream->told = wr_upstream_get_state(upstream);
}

static enum weir_upstream_state known_get_state(const weir_upstream *upstream)
{
    if (!wr_check_is_active(&upstream->set->check) ||
        upstream->health.state == WR_HEALTH_UNKNOWN) {
        return 0;
    }
    return upstream->health.state == WR_HEALTH_UP ? WEIR_UPSTREAM_UP
                                                  : WEIR_UPSTREAM_DOWN;
}

/* Until then, but not 0 before it was noticed. */
static uint64_t known_get_left(uint64_t now_ns, uint64_t when_ns)
{
    return when_ns > now_ns ? when_ns - now_ns : 1;
}

static uint64_t known_get_warming(const weir_upstream *upstream,
                                  uint64_t now_ns)
{
    const uint64_t slow_ns = upstream->set->options.slow_start_ns;
    const uint64_t elapsed_ns = now_ns - upstream->warm_since_ns;

    return upstream->is_warming && elapsed_ns < slow_ns ? slow_ns - elapsed_ns
                                                        : 0;
}

static struct weir_upstream_known known_make(const weir_upstream *upstream,
                                             size_t size)
{
    const struct wr_ejection *ejection = &upstream->ejection;
    const struct wr_timer *timer = &upstream->eject_timer;
    const uint64_t now_ns = weir_loop_get_time(upstream->set->loop);

    wr_assert(!wr_timer_is_armed(timer) || ejection->is_ejected);
    return (struct weir_upstream_known){
        .size = size,
        .state = known_get_state(upstream),
        .ejected_count = ejection->count,
        .ejected_by_report =
            ejection->count > 0 && ejection->cause == WR_FAILURE_REPORT,
        .ejected_ns = wr_timer_is_armed(timer)
                          ? known_get_left(now_ns, timer->when_ns)
                          : 0,
        .slow_start_ns = known_get_warming(upstream, now_ns),
        .err = upstream->failure_err,
    };
}

int weir_upstream_get_known(const weir_upstream *upstream,
                            struct weir_upstream_known *ret)
{
    const int err = wr_answer_check(ret);

    wr_require(err >= 0, err);
    const struct weir_upstream_known known = known_make(upstream, ret->size);
    wr_answer_write(ret, &known, sizeof(known));
    return 0;
}
