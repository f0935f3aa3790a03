/*
 * The program's calls about one upstream.
 *
 * A call about an upstream that represents a name also applies to the addresses
 * of the name. A change of state that the program makes is not reported to the
 * program, except a change by weir_upstream_lift().
 */
#include "upstream.h"

#include <string.h>

/* Called after the program may have changed the state. */
static void calls_end(weir_upstream *upstream)
{
    wr_assert(upstream->ref_count > 0);
    upstream->told = wr_upstream_get_state(upstream);
    wr_survey_forget(upstream->set);
    wr_upstreams_wake(upstream->set);
}

/* Returns the next member of the name @source at or after *index, or NULL.
 * Advances *index. */
static weir_upstream *calls_next_member(const weir_upstream *source,
                                        size_t *index)
{
    const weir_upstreams *set = source->set;

    wr_assert(*index <= set->count);
    while (source->is_spread && *index < set->count) {
        weir_upstream *one = set->upstreams[(*index)++];
        if (one->source == source) {
            return one;
        }
    }
    return NULL;
}

typedef int calls_fn(weir_upstream *one, const void *arg);

/* Makes a call about an upstream and its members. Returns 0 or the first error;
 * if the first call succeeds, the others succeed. */
static int calls_for_each(weir_upstream *upstream, calls_fn *call,
                          const void *arg)
{
    weir_upstream *one = upstream;
    size_t next = 0;
    int err = 0;

    wr_assert(!upstream->source || !upstream->is_spread);
    do {
        err = call(one, arg);
    } while (err == 0 && (one = calls_next_member(upstream, &next)));
    return err;
}

static int calls_set_weight(weir_upstream *one, const void *arg)
{
    wr_upstream_set_weight(one, *(const uint32_t *)arg, one->weight_share);
    wr_assert(one->weight <= WR_WEIGHT_MAX);
    calls_end(one);
    return 0;
}

int weir_upstream_set_weight(weir_upstream *upstream, uint32_t weight)
{
    wr_require_loop(upstream->set->loop);
    wr_require(weight <= WR_WEIGHT_MAX, -EINVAL);
    return calls_for_each(upstream, calls_set_weight, &weight);
}

static int calls_set_tls(weir_upstream *one, const void *arg)
{
    return wr_target_set_tls(&one->target, arg);
}

int weir_upstream_set_tls(weir_upstream *upstream,
                          const struct weir_tls_settings *settings)
{
    wr_require_loop(upstream->set->loop);
    wr_require(settings, -EINVAL);
    return calls_for_each(upstream, calls_set_tls, settings);
}

static int calls_set_check_tls(weir_upstream *one, const void *arg)
{
    struct wr_secure_settings known = {.context = NULL};

    wr_require(wr_secure_settings_are_set(&one->check_tls), -EINVAL);
    const int err = wr_secure_settings_read(&known, arg, WR_SECURE_CLIENT,
                                            one->target.host);
    wr_require(err >= 0, err);
    wr_secure_settings_drop(&one->check_tls);
    one->check_tls = known;
    return 0;
}

int weir_upstream_set_check_tls(weir_upstream *upstream,
                                const struct weir_tls_settings *settings)
{
    wr_require_loop(upstream->set->loop);
    wr_require(settings, -EINVAL);
    return calls_for_each(upstream, calls_set_check_tls, settings);
}

static int calls_set_draining(weir_upstream *one, const void *arg)
{
    one->is_draining = *(const bool *)arg;
    wr_upstream_note_apart(one);
    calls_end(one);
    return 0;
}

void weir_upstream_set_draining(weir_upstream *upstream, bool is_draining)
{
    if (wr_loop_admits(upstream->set->loop)) {
        wr_ignore(calls_for_each(upstream, calls_set_draining, &is_draining) <
                  0);
    }
}

static int calls_lift(weir_upstream *one, const void *arg)
{
    (void)arg;
    if (!one->is_removed && !one->set->is_closed && one->part.health &&
        wr_shared_part_lift(&one->part, weir_loop_get_time(one->set->loop))) {
        wr_upstream_note_news(one);
    }
    return 0;
}

void weir_upstream_lift(weir_upstream *upstream)
{
    if (wr_loop_admits(upstream->set->loop)) {
        wr_ignore(calls_for_each(upstream, calls_lift, NULL) < 0);
    }
}

static int calls_pause(weir_upstream *one, const void *arg)
{
    if (!one->is_removed && !one->set->is_closed) {
        wr_upstream_pause(one, *(const bool *)arg);
    }
    return 0;
}

void weir_upstream_pause_checks(weir_upstream *upstream, bool is_paused)
{
    if (wr_loop_admits(upstream->set->loop)) {
        wr_ignore(calls_for_each(upstream, calls_pause, &is_paused) < 0);
    }
}

int weir_upstream_fail_pending(weir_upstream *upstream, int err)
{
    wr_require_loop(upstream->set->loop);
    wr_require(err < 0, -EINVAL);
    return (int)wr_requests_end(upstream, err);
}

const char *weir_upstream_get_name(const weir_upstream *upstream)
{
    return upstream->name;
}

void *weir_upstream_get_user(const weir_upstream *upstream)
{
    return upstream->user;
}

/* Returns the part of the full weight during a slow start, in thousandths. */
static uint32_t calls_get_warmth(const weir_upstreams *set, uint64_t back_ns)
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

static struct weir_upstream_statistics
calls_make_info(const weir_upstream *upstream, size_t size)
{
    const struct wr_upstream_counts *counts = &upstream->counts;
    struct wr_shared_facts facts;

    wr_assert(size > 0);
    wr_shared_part_read(&upstream->part, &facts);
    struct weir_upstream_statistics info = {
        .size = size,
        .state = wr_upstream_get_state(upstream),
        .weight = upstream->weight,
        .warm_permille = calls_get_warmth(upstream->set, facts.back_ns),
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
        .service_priority = upstream->priority,
        .service_weight = upstream->record_weight,
        .in_use_ns =
            wr_shared_get_use(&facts, weir_loop_get_time(upstream->set->loop)),
    };
    memcpy(info.check_reason, facts.check_reason, sizeof(info.check_reason));
    return info;
}

static void calls_add_info(struct weir_upstream_statistics *info,
                           const weir_upstream *member)
{
    const struct weir_upstream_statistics its =
        calls_make_info(member, sizeof(its));

    wr_assert(!member->is_removed);
    info->up_count += its.state == WEIR_UPSTREAM_UP;
    if (info->last_err == 0) {
        info->last_err = its.last_err;
        info->check_status = its.check_status;
        memcpy(info->check_reason, its.check_reason,
               sizeof(info->check_reason));
        info->check_alert = its.check_alert;
        info->connect_alert = its.connect_alert;
    }
    info->active_count += its.active_count;
    info->is_being_checked |= its.is_being_checked;
    info->chosen_count += its.chosen_count;
    info->connected_count += its.connected_count;
    info->connect_error_count += its.connect_error_count;
    info->reported_error_count += its.reported_error_count;
    info->ejected_count += its.ejected_count;
    info->check_count += its.check_count;
    info->check_error_count += its.check_error_count;
    info->check_skipped_count += its.check_skipped_count;
    info->in_use_ns =
        its.in_use_ns > info->in_use_ns ? its.in_use_ns : info->in_use_ns;
}

static uint32_t calls_count_gone(const weir_upstream *upstream)
{
    uint32_t count = 0;

    for (const struct wr_list *link = upstream->gone.next;
         link != &upstream->gone; link = link->next) {
        const weir_upstream *one =
            wr_container_of(link, weir_upstream, gone_link);
        wr_assert(one->source == upstream);
        count += one->active_count;
    }
    return count;
}

int weir_upstream_get_statistics(const weir_upstream *upstream,
                                 struct weir_upstream_statistics *ret)
{
    const int err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    struct weir_upstream_statistics known =
        calls_make_info(upstream, ret->size);
    const weir_upstream *member;
    size_t next = 0;
    while ((member = calls_next_member(upstream, &next))) {
        calls_add_info(&known, member);
    }
    known.active_count += calls_count_gone(upstream);
    wr_answer_write(ret, &known, sizeof(known));
    return 0;
}
