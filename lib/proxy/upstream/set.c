/*
 * Sets of upstreams: creating them, adding and removing upstreams, and the end.
 *
 * The ready item does everything that may not happen inside a call: it serves
 * the queue, and reports changed states to the program. It is pushed when a
 * slot becomes free, in this loop or another, and when a state changes.
 */
#include "upstream.h"

#include <string.h>

#define QUEUE_TIMEOUT_NS UINT64_C(5000000000)
#define FAIL_LIMIT       5u
#define EJECT_NS         UINT64_C(10000000000)
#define EJECT_MAX_NS     UINT64_C(300000000000)
#define RESOLVE_NS       UINT64_C(30000000000)

static void set_check_invariants(const weir_upstreams *set)
{
    wr_assert(set->ref_count > 0);
    wr_assert(set->count <= set->capacity);
    wr_assert(!set->is_freed || set->is_closed);
    wr_assert(!set->is_freed || set->count == 0);
}

void weir_upstream_remove(weir_upstream *upstream)
{
    weir_upstreams *set = upstream->set;

    if (!wr_loop_admits(set->loop) || upstream->is_removed) {
        return;
    }
    set_check_invariants(set);
    for (size_t i = 0; i < set->count; i++) {
        if (set->upstreams[i] == upstream) {
            wr_upstream_ref(upstream);
            wr_members_drop(set, i);
            wr_members_drop_of(set, upstream);
            wr_upstream_unref(upstream);
            return;
        }
    }
    wr_assert(false); /* the upstream must be in the array */
}

static int set_check_add(const weir_upstreams *set,
                         const struct weir_upstream_options *options,
                         const struct wr_check *check)
{
    const bool shakes =
        wr_check_is_active(check) && wr_check_has_handshake(check);

    const struct weir_address *local = options->local_address;

    wr_require(!set->is_closed, -ESHUTDOWN);
    wr_require(
        !local || (wr_address_is_valid(local) && !wr_address_is_unnamed(local)),
        -EINVAL);
    wr_require(options->weight <= WR_WEIGHT_MAX, -EINVAL);
    wr_require(options->tls || options->check_tls || !shakes, -EINVAL);
    return 0;
}

/* Takes ownership of @own_check, which may be NULL, unless this fails. */
static int set_add_checked(weir_upstreams *set,
                           struct weir_upstream_options *known,
                           const struct wr_check *own_check,
                           weir_upstream **ret)
{
    const struct wr_check *check = own_check ? own_check : &set->check;
    struct weir_upstream_health found;

    int err = wr_known_read(check, known->health, &found);
    wr_require(err >= 0, err);
    known->health = &found;
    err = set_check_add(set, known, check);
    wr_require(err >= 0, err);
    err = wr_upstreams_make_room(set);
    wr_require(err >= 0, err);
    return wr_upstream_make(set, known, own_check, ret);
}

static int set_add(weir_upstreams *set, struct weir_upstream_options *known,
                   weir_upstream **ret)
{
    const bool has_own = known->check != NULL;
    struct wr_check own_check;
    weir_upstream *upstream;

    int err = wr_loop_check(set->loop);
    wr_require(err >= 0, err);
    set_check_invariants(set);
    if (has_own) {
        err = wr_check_init(&own_check, &set->loop->counting, known->check);
        wr_require(err >= 0, err);
    }
    err = set_add_checked(set, known, has_own ? &own_check : NULL, &upstream);
    if (err < 0 && has_own) {
        wr_check_fini(&own_check, &set->loop->counting);
    }
    wr_require(err >= 0, err);
    err = wr_upstream_start(upstream);
    if (err < 0) {
        wr_upstream_unref(upstream);
        return err;
    }
    wr_upstream_follow(upstream);
    if (set->is_retired) {
        wr_upstream_retire(upstream);
    }
    wr_members_append(set, upstream);
    if (ret) {
        *ret = upstream;
    }
    return 0;
}

int weir_upstreams_add(weir_upstreams *set,
                       const struct weir_upstream_options *options,
                       weir_upstream **ret)
{
    struct weir_upstream_options known;
    int err = wr_options_read(&known, sizeof(known), options);

    if (err >= 0) {
        err = set_add(set, &known, ret);
    }
    if (err < 0) { /* closes a descriptor, which is always an error */
        wr_socket_refuse(wr_endpoint_get_fd(&known.endpoint));
    }
    return err;
}

/* Arms timers for changes made by other sets and by this set. */
static void set_follow(weir_upstreams *set)
{
    struct wr_shared_part *part;

    wr_assert(set->call != NULL);
    while (set->is_behind && (part = wr_shared_call_next_news(set->call))) {
        wr_upstream_add_news(wr_container_of(part, weir_upstream, part));
    }
    set->is_behind = false;
    for (struct wr_list *link = set->news.next; link != &set->news;
         link = link->next) {
        wr_upstream_follow(wr_container_of(link, weir_upstream, news_link));
    }
    set_check_invariants(set);
}

static void set_tell(weir_upstreams *set, weir_upstream *upstream)
{
    const enum weir_upstream_state state = wr_upstream_get_state(upstream);
    struct wr_shared_facts facts;
    int err = 0;

    if (upstream->told == state) {
        return; /* another set has reverted the change */
    }
    upstream->told = state;
    if (state == WEIR_UPSTREAM_DOWN && set->options.leave_down) {
        wr_requests_leave(upstream);
    }
    wr_shared_part_read(&upstream->part, &facts);
    if (state == WEIR_UPSTREAM_DOWN) {
        err = facts.check_err;
    } else if (state == WEIR_UPSTREAM_EJECTED) {
        err = facts.failure_err;
    }
    wr_assert(set->ref_count > 0);
    if (set->options.changed) {
        set->options.changed(set->options.changed_arg, upstream, state, err);
        wr_loop_end_if_forked(set->loop);
    }
}

static void set_tell_skipped(weir_upstreams *set, weir_upstream *upstream)
{
    const int err = upstream->skipped_err;

    wr_assert(err <= 0);
    upstream->skipped_err = 0;
    if (err < 0 && set->options.check_skipped) {
        set->options.check_skipped(set->options.changed_arg, upstream, err);
        wr_loop_end_if_forked(set->loop);
    }
}

static void set_tell_failing(weir_upstreams *set, weir_upstream *upstream)
{
    wr_assert(upstream->has_turned);
    upstream->has_turned = false;
    if (set->options.failing) {
        set->options.failing(set->options.changed_arg, upstream,
                             upstream->turned_err);
        wr_loop_end_if_forked(set->loop);
    }
}

static void set_tell_news(weir_upstreams *set)
{
    struct wr_list *link;

    while ((link = wr_list_pop_front(&set->news))) {
        weir_upstream *upstream =
            wr_container_of(link, weir_upstream, news_link);
        wr_assert(upstream->set == set);
        wr_upstream_ref(upstream);
        if (upstream->has_turned) {
            set_tell_failing(set, upstream);
        }
        if (!upstream->is_removed) {
            set_tell(set, upstream);
        }
        if (!upstream->is_removed) { /* the callback may have removed it */
            set_tell_skipped(set, upstream);
        }
        wr_upstream_unref(upstream);
    }
    set_check_invariants(set);
}

/* Reports that WEIR_BALANCE_FIRST uses another upstream. */
static void set_tell_use(weir_upstreams *set)
{
    weir_upstream *upstream = wr_survey_find_use(set);

    if (!upstream || upstream->id == set->told_use_id) {
        return;
    }
    set->told_use_id = upstream->id;
    wr_assert(set->ref_count > 0);
    if (set->options.in_use) {
        set->options.in_use(set->options.changed_arg, upstream);
        wr_loop_end_if_forked(set->loop);
    }
}

static void set_run(struct wr_ready *ready)
{
    weir_upstreams *set = wr_container_of(ready, weir_upstreams, ready);

    wr_upstreams_ref(set);
    if (set->has_answers) {
        wr_members_spread(set);
    }
    set_follow(set);
    wr_requests_serve(set);
    set_tell_news(set);
    if (set->options.balance == WEIR_BALANCE_FIRST) {
        set_tell_use(set);
    }
    wr_assert(set->ref_count > 0);
    wr_upstreams_unref(set);
}

static void set_close(weir_upstreams *set)
{
    if (set->is_closed) {
        return;
    }
    set->is_closed = true;
    wr_ready_cancel(&set->ready);
    for (size_t i = 0; i < set->count; i++) {
        wr_upstream_stop(set->upstreams[i]);
    }
    wr_requests_give_up(set);
    wr_upstreams_leave_if_quiet(set);
    set_check_invariants(set);
}

static void set_shutdown_alive(struct wr_member *member)
{
    weir_upstreams *set = wr_container_of(member, weir_upstreams, member);

    wr_assert(wr_loop_is_closing(set->loop));
    wr_upstreams_ref(set);
    set_close(set);
    wr_upstreams_unref(set);
}

static void set_dump_alive(const struct wr_member *member, FILE *out)
{
    const weir_upstreams *set = wr_container_of(member, weir_upstreams, member);

    fprintf(out, "upstreams count=%zu queued=%u connecting=%u checks=%u%s\n",
            set->count, set->queue.count, set->connecting_count,
            set->probe_count, set->is_closed ? " closed" : "");
}

static void set_check_alive(const struct wr_member *member)
{
    set_check_invariants(wr_container_of(member, weir_upstreams, member));
}

static const struct wr_member_ops set_member_ops = {.stage = WR_STAGE_MAKERS,
                                                    .shutdown =
                                                        set_shutdown_alive,
                                                    .dump = set_dump_alive,
                                                    .check = set_check_alive};

void weir_upstreams_free(weir_upstreams *set)
{
    if (!set || !wr_loop_admits(set->loop)) {
        return;
    }
    set_check_invariants(set);
    set_close(set);
    while (set->count > 0) {
        wr_members_drop(set, set->count - 1);
    }
    set->is_freed = true;
    wr_upstreams_unref(set);
}

void weir_upstreams_replace(weir_upstreams *set)
{
    if (!wr_loop_admits(set->loop) || set->is_retired) {
        return;
    }
    set_check_invariants(set);
    set->is_retired = true;
    for (size_t i = 0; i < set->count; i++) {
        wr_upstream_retire(set->upstreams[i]);
    }
}

static uint64_t set_or(uint64_t value, uint64_t otherwise)
{
    wr_assert(otherwise > 0);
    return value > 0 ? value : otherwise;
}

static void set_init(weir_upstreams *set,
                     const struct weir_upstreams_options *known)
{
    struct weir_upstreams_options *options = &set->options;

    wr_assert(set->count == 0);
    *options = *known;
    options->check = NULL;
    options->shared = NULL; /* set->call has a reference */
    options->queue_timeout_ns =
        set_or(options->queue_timeout_ns, QUEUE_TIMEOUT_NS);
    options->fail_limit = (uint32_t)set_or(options->fail_limit, FAIL_LIMIT);
    options->eject_ns = set_or(options->eject_ns, EJECT_NS);
    options->eject_max_ns = set_or(options->eject_max_ns, EJECT_MAX_NS);
    options->resolve_ns = set_or(options->resolve_ns, RESOLVE_NS);
    wr_shared_seed(set->call->shared,
                   set_or(options->seed, weir_loop_get_time(set->loop) ^
                                             (uint64_t)(uintptr_t)set));
    wr_member_init(&set->member, &set_member_ops);
    wr_ready_init(&set->ready, set_run);
}

int weir_upstreams_new(weir_loop *loop,
                       const struct weir_upstreams_options *options,
                       weir_upstreams **ret)
{
    struct weir_upstreams_options known;
    weir_upstreams *set;

    wr_require_loop(loop);
    int err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    wr_require(known.balance >= WEIR_BALANCE_ROUND_ROBIN &&
                   known.balance <= WEIR_BALANCE_FIRST,
               -EINVAL);
    wr_require(!known.stay || known.balance == WEIR_BALANCE_FIRST, -EINVAL);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    err = wr_upstreams_make(loop, known.shared, &set);
    wr_require(err >= 0, err);
    set_init(set, &known);
    if (known.check) {
        err = wr_check_init(&set->check, &loop->counting, known.check);
    }
    if (err < 0) {
        wr_upstreams_unref(set);
        return err;
    }
    wr_loop_add_member(loop, &set->member);
    set_check_invariants(set);
    *ret = set;
    return 0;
}

size_t weir_upstreams_get_count(const weir_upstreams *set)
{
    return set->count;
}

weir_upstream *weir_upstreams_get_upstream(weir_upstreams *set, size_t index)
{
    return index < set->count ? set->upstreams[index] : NULL;
}

int weir_upstreams_get_statistics(const weir_upstreams *set,
                                  struct weir_upstreams_statistics *ret)
{
    uint32_t up_count = 0;

    const int err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    for (size_t i = 0; i < set->count; i++) {
        up_count +=
            wr_upstream_get_state(set->upstreams[i]) == WEIR_UPSTREAM_UP;
    }
    const struct weir_upstreams_statistics known = {
        .size = ret->size,
        .upstream_count = (uint32_t)set->count,
        .up_count = up_count,
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
