/*
 * The program's calls on sets and upstreams that change or tell something, but
 * begin nothing.
 *
 * A state that the program has made is not told to it.
 */
#include "lib/base/options.h"
#include "upstream.h"

/* The state has changed, perhaps, by a call of the program. */
static void upstream_call_end(weir_upstream *upstream)
{
    wr_assert(upstream->ref_count > 0);
    upstream->told = wr_upstream_get_state(upstream);
    wr_upstreams_wake(upstream->set);
}

int weir_upstream_set_weight(weir_upstream *upstream, uint32_t weight)
{
    wr_require_loop(upstream->set->loop);
    wr_require(weight <= WR_WEIGHT_MAX, -EINVAL);
    upstream->weight = weight;
    upstream_call_end(upstream);
    return 0;
}

int weir_upstream_set_tls(weir_upstream *upstream,
                          const struct weir_tls_settings *settings)
{
    wr_require_loop(upstream->set->loop);
    wr_require(settings, -EINVAL);
    return wr_target_set_tls(&upstream->target, settings);
}

void weir_upstream_set_draining(weir_upstream *upstream, bool is_draining)
{
    if (!wr_loop_admits(upstream->set->loop)) {
        return;
    }
    upstream->is_draining = is_draining;
    upstream_call_end(upstream);
}

size_t weir_upstreams_get_count(const weir_upstreams *set)
{
    return set->count;
}

weir_upstream *weir_upstreams_get_upstream(weir_upstreams *set, size_t index)
{
    return index < set->count ? set->upstreams[index] : NULL;
}

const char *weir_upstream_get_name(const weir_upstream *upstream)
{
    return upstream->name;
}

void *weir_upstream_get_user(const weir_upstream *upstream)
{
    return upstream->user;
}

/* The share of its weight that an upstream has in its slow start. */
static uint32_t upstream_call_get_warmth(const weir_upstreams *set,
                                         uint64_t back_ns)
{
    if (back_ns == 0) {
        return 1000;
    }
    const uint64_t elapsed_ns =
        wr_since(weir_loop_get_time(set->loop), back_ns);
    const uint32_t weight =
        wr_weight_warm(WR_WEIGHT_MAX, elapsed_ns, set->options.slow_start_ns);
    wr_assert(weight <= WR_WEIGHT_MAX * WR_WEIGHT_UNIT);
    return (uint32_t)((uint64_t)weight * 1000 /
                      ((uint64_t)WR_WEIGHT_MAX * WR_WEIGHT_UNIT));
}

static struct weir_upstream_info
upstream_call_make_info(const weir_upstream *upstream, size_t size)
{
    const struct wr_upstream_counts *counts = &upstream->counts;
    struct wr_shared_facts facts;

    wr_assert(size > 0);
    wr_shared_part_read(&upstream->part, &facts);
    return (struct weir_upstream_info){
        .size = size,
        .state = wr_upstream_get_state(upstream),
        .weight = upstream->weight,
        .warm_permille = upstream_call_get_warmth(upstream->set, facts.back_ns),
        .active_count = upstream->active_count,
        .connection_limit = upstream->share.limit,
        .address_count = (uint32_t)upstream->target.address_count,
        .is_backup = upstream->is_backup,
        .is_being_checked = facts.is_being_checked,
        .last_err = facts.last_err,
        .chosen_count = counts->chosen,
        .connected_count = counts->connected,
        .connect_error_count = counts->connect_errors,
        .reported_error_count = counts->reported_errors,
        .ejected_count = counts->ejected,
        .check_count = counts->checks,
        .check_error_count = counts->check_errors,
        .lookup_error_count = upstream->target.error_count,
        .check_skipped_count = counts->checks_skipped,
        .check_status = facts.check_status,
        .check_alert = facts.check_alert,
        .connect_alert = facts.failure_alert,
    };
}

int weir_upstream_get_info(const weir_upstream *upstream,
                           struct weir_upstream_info *ret)
{
    const int err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    const struct weir_upstream_info known =
        upstream_call_make_info(upstream, ret->size);
    wr_answer_write(ret, &known, sizeof(known));
    return 0;
}

static uint32_t upstream_call_count_up(const weir_upstreams *set)
{
    uint32_t count = 0;

    wr_assert(set->count <= set->capacity);
    for (size_t i = 0; i < set->count; i++) {
        count += wr_upstream_get_state(set->upstreams[i]) == WEIR_UPSTREAM_UP;
    }
    return count;
}

int weir_upstreams_get_info(const weir_upstreams *set,
                            struct weir_upstreams_info *ret)
{
    const int err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    const struct weir_upstreams_info known = {
        .size = ret->size,
        .upstream_count = (uint32_t)set->count,
        .up_count = upstream_call_count_up(set),
        .queued_count = set->queue.count,
        .connecting_count = set->connecting_count,
        .queued_total = set->totals.queued,
        .queue_full_total = set->totals.queue_full,
        .queue_timeout_total = set->totals.queue_timeout,
        .no_upstream_total = set->totals.no_upstream,
    };
    wr_answer_write(ret, &known, sizeof(known));
    return 0;
}
