/*
 * One upstream of a set.
 *
 * The state of an upstream is derived from other facts and stored nowhere:
 * whether it was removed or is draining, the health that checks have found, and
 * whether failures have ejected it.
 */
#include "upstream.h"

#include <stdio.h>
#include <string.h>

/* Wait before a check that could not be made is repeated: at first, and at
 * most. The interval is used if it is shorter. */
#define SKIP_WAIT_FIRST_NS UINT64_C(100000000)
#define SKIP_WAIT_MOST_NS  UINT64_C(1000000000)

#define WARM_STEPS 256u

static void upstream_check_invariants(const weir_upstream *upstream)
{
    wr_assert(upstream->ref_count > 0);
    wr_assert(!upstream->is_removed ||
              !wr_timer_is_armed(&upstream->check_timer));
    wr_assert(wr_probe_is_idle(&upstream->probe) ||
              !wr_timer_is_armed(&upstream->check_timer));
    wr_assert(!wr_timer_is_armed(&upstream->eject_timer) ||
              upstream->set->options.fail_limit < UINT32_MAX);
    wr_assert(upstream->weight <= WR_WEIGHT_MAX);
}

/* ---- state ---- */

/* The state does not depend on checks and failures. */
static enum weir_upstream_state
upstream_get_state_apart(const weir_upstream *upstream)
{
    wr_assert(upstream->is_removed || upstream->is_draining ||
              upstream->is_spread);
    if (upstream->is_removed) {
        return WEIR_UPSTREAM_REMOVED;
    }
    if (upstream->is_draining) {
        return WEIR_UPSTREAM_DRAINING;
    }
    return upstream->is_settled ? WEIR_UPSTREAM_NAME : WEIR_UPSTREAM_CHECKING;
}

enum weir_upstream_state wr_upstream_get_state(const weir_upstream *upstream)
{
    upstream_check_invariants(upstream);
    if (upstream->is_apart) {
        return upstream_get_state_apart(upstream);
    }
    const enum wr_health_state health =
        wr_shared_part_get_health(&upstream->part);
    if (health == WR_HEALTH_UNKNOWN) {
        return WEIR_UPSTREAM_CHECKING;
    }
    if (health == WR_HEALTH_DOWN) {
        return WEIR_UPSTREAM_DOWN;
    }
    /* A set that never ejects ignores ejections by others. */
    return wr_shared_part_is_ejected(&upstream->part) &&
                   upstream->set->options.fail_limit < UINT32_MAX
               ? WEIR_UPSTREAM_EJECTED
               : WEIR_UPSTREAM_UP;
}

enum wr_tier wr_upstream_get_tier(const weir_upstream *upstream)
{
    /* For each state, the tier of a primary upstream and of a backup. */
    static const int8_t tiers[][2] = {
        [WEIR_UPSTREAM_UP] = {WR_TIER_PRIMARY, WR_TIER_BACKUP},
        [WEIR_UPSTREAM_CHECKING] = {WR_TIER_UNCHECKED,
                                    WR_TIER_UNCHECKED_BACKUP},
        [WEIR_UPSTREAM_DOWN] = {WR_TIER_NONE, WR_TIER_NONE},
        [WEIR_UPSTREAM_EJECTED] = {WR_TIER_EJECTED, WR_TIER_EJECTED_BACKUP},
        [WEIR_UPSTREAM_DRAINING] = {WR_TIER_NONE, WR_TIER_NONE},
        [WEIR_UPSTREAM_REMOVED] = {WR_TIER_NONE, WR_TIER_NONE},
        [WEIR_UPSTREAM_NAME] = {WR_TIER_NONE, WR_TIER_NONE},
    };

    if (upstream->weight == 0) {
        return WR_TIER_NONE;
    }
    const enum weir_upstream_state state = wr_upstream_get_state(upstream);
    wr_debug_assert(state < sizeof(tiers) / sizeof(*tiers));
    return (enum wr_tier)tiers[state][upstream->is_backup];
}

/* Returns the upstream's share of @weight: at least 1, unless @weight is 0. */
static uint32_t upstream_get_share(const weir_upstream *upstream,
                                   uint32_t weight)
{
    const uint32_t share = weight * upstream->weight_share / WR_WEIGHT_UNIT;

    wr_assert(weight <= WR_WEIGHT_MAX * WR_WEIGHT_UNIT);
    wr_assert(upstream->weight_share > 0);
    return share == 0 && weight > 0 ? 1 : share;
}

/* Weights of slow starts grow in steps, at the same times in all sets, so that
 * most choices have the same weights as the previous one. */
static uint64_t upstream_get_warm_step(const weir_upstreams *set)
{
    const uint64_t step_ns = set->options.slow_start_ns / WARM_STEPS;

    wr_debug_assert(set->ref_count > 0);
    return step_ns > 0 ? step_ns : 1;
}

void wr_upstream_set_weight(weir_upstream *upstream, uint32_t weight,
                            uint32_t share)
{
    wr_assert(weight <= WR_WEIGHT_MAX);
    wr_assert(share > 0 && share <= WR_WEIGHT_UNIT);
    upstream->weight = weight;
    upstream->weight_share = (uint16_t)share;
    upstream->own_weight =
        upstream_get_share(upstream, weight * WR_WEIGHT_UNIT);
}

uint64_t wr_upstreams_get_warm_end(const weir_upstreams *set)
{
    const uint64_t step_ns = upstream_get_warm_step(set);
    const uint64_t now_ns = weir_loop_get_time(set->loop);

    wr_assert(step_ns > 0);
    return wr_add_sat(now_ns - now_ns % step_ns, step_ns - 1);
}

uint32_t wr_upstream_get_warm(const weir_upstream *upstream)
{
    const weir_upstreams *set = upstream->set;
    const uint64_t slow_ns = set->options.slow_start_ns;
    const uint64_t back_ns = wr_shared_part_get_back(&upstream->part);
    if (back_ns == 0) {
        return upstream->own_weight;
    }
    const uint64_t step_ns = upstream_get_warm_step(set);
    const uint64_t now_ns = weir_loop_get_time(set->loop);
    const uint64_t elapsed_ns = wr_since(now_ns - now_ns % step_ns, back_ns);
    wr_assert(upstream->weight > 0);
    return upstream_get_share(
        upstream, wr_weight_warm(upstream->weight, elapsed_ns, slow_ns));
}

void wr_upstream_describe(weir_upstream *upstream, uint64_t ticket,
                          struct wr_candidate_upstream *candidate)
{
    candidate->tier = wr_upstream_get_tier(upstream);
    candidate->turn = &upstream->part.target->turn;
    candidate->is_full = wr_limits_share_is_full(&upstream->share, ticket);
    candidate->weight =
        candidate->tier == WR_TIER_NONE ? 0 : wr_upstream_get_weight(upstream);
    wr_assert(candidate->tier == WR_TIER_NONE || candidate->weight > 0);
    /* Makes this part the checker if the current checker's loop is stuck. */
    if (upstream->part.health &&
        wr_shared_part_take_over(&upstream->part,
                                 weir_loop_get_time(upstream->set->loop))) {
        wr_upstream_note_news(upstream);
    }
}

void wr_upstream_take(weir_upstream *upstream)
{
    wr_assert(!upstream->is_removed);
    wr_limits_share_take(&upstream->share);
    wr_shared_part_take(&upstream->part);
}

/* ---- connections ---- */

/* Records that connects start to fail or, if @err is 0, work again. */
static void upstream_turn(weir_upstream *upstream, int err)
{
    wr_assert(err <= 0);
    upstream->turned_err = err;
    if (!upstream->has_turned && !upstream->is_removed &&
        !upstream->set->is_closed) {
        upstream->has_turned = true;
        wr_upstream_note_news(upstream);
    }
}

void wr_upstream_note_success(weir_upstream *upstream, enum wr_failure row)
{
    upstream_check_invariants(upstream);
    if (row == WR_FAILURE_CONNECT) {
        upstream->counts.connected++;
    }
    if (wr_shared_part_note_success(&upstream->part, row)) {
        upstream_turn(upstream, 0);
    }
}

void wr_upstream_note_failure(weir_upstream *upstream, enum wr_failure row,
                              int err, const char *alert)
{
    const struct weir_upstreams_options *options = &upstream->set->options;
    const struct wr_ejection_plan plan = {
        options->fail_limit, options->eject_ns, options->eject_max_ns};
    const bool counts = !upstream->is_removed && !upstream->set->is_closed;

    wr_assert(err < 0);
    upstream_check_invariants(upstream);
    if (row == WR_FAILURE_CONNECT) {
        upstream->counts.connect_errors++;
        if (counts && wr_shared_part_begin_failing(&upstream->part)) {
            upstream_turn(upstream, err);
        }
    } else {
        upstream->counts.reported_errors++;
    }
    const uint64_t until_ns = wr_shared_part_note_failure(
        &upstream->part, counts ? &plan : NULL, row, err, alert,
        weir_loop_get_time(upstream->set->loop));
    if (until_ns > 0) {
        upstream->counts.ejected++;
        wr_timer_arm(&upstream->set->loop->wheel, &upstream->eject_timer,
                     until_ns);
        wr_upstream_note_news(upstream);
    }
}

static void upstream_eject_expired(struct wr_timer *timer)
{
    weir_upstream *upstream =
        wr_container_of(timer, weir_upstream, eject_timer);

    weir_upstreams *set = upstream->set;

    upstream_check_invariants(upstream);
    const uint64_t until_ns = wr_shared_part_end_ejection(
        &upstream->part, weir_loop_get_time(set->loop));
    if (until_ns > 0) {
        wr_timer_arm(&set->loop->wheel, &upstream->eject_timer, until_ns);
    }
    wr_upstream_note_news(upstream);
}

/* ---- checks ---- */

/* Returns the interval, or less after a check that could not be made or that
 * contradicts the state. */
static uint64_t upstream_get_delay(const weir_upstream *upstream)
{
    const struct weir_upstream_check *plan = &upstream->check->plan;
    const uint64_t interval_ns = plan->interval_ns;
    uint64_t wait_ns = SKIP_WAIT_FIRST_NS;

    wr_assert(interval_ns > 0);
    if (upstream->skipped_count == 0) {
        return wr_shared_part_is_in_doubt(&upstream->part) ? plan->fast_ns
                                                           : interval_ns;
    }
    for (uint32_t i = 1;
         i < upstream->skipped_count && wait_ns < SKIP_WAIT_MOST_NS; i++) {
        wait_ns *= 2;
    }
    wait_ns = wr_min_u64(wait_ns, SKIP_WAIT_MOST_NS);
    return wr_min_u64(wait_ns, interval_ns);
}

static void upstream_arm_check(weir_upstream *upstream)
{
    weir_upstreams *set = upstream->set;
    const uint64_t delay_ns = wr_health_next_ns(
        upstream_get_delay(upstream), wr_shared_draw(set->call->shared));

    const uint64_t due_ns = wr_add_sat(weir_loop_get_time(set->loop), delay_ns);

    wr_assert(wr_probe_is_idle(&upstream->probe));
    wr_shared_part_set_due(&upstream->part, due_ns);
    wr_timer_arm(&set->loop->wheel, &upstream->check_timer, due_ns);
}

static void upstream_note_check(weir_upstream *upstream, int err)
{
    wr_assert(err <= 0);
    if (wr_err_is_own(err)) {
        /* This machine had no resource for the check: it has no result. */
        upstream->counts.checks_skipped++;
        if (upstream->skipped_count == 0) {
            upstream->skipped_err = err;
            wr_upstream_note_news(upstream);
        }
        upstream->skipped_count += upstream->skipped_count < UINT32_MAX;
        return;
    }
    upstream->skipped_count = 0;
    if (err < 0) {
        upstream->counts.check_errors++;
    } else {
        upstream->counts.checks++;
    }
    if (wr_shared_part_note_check(&upstream->part, err, upstream->probe.alert,
                                  upstream->probe.talk.status,
                                  upstream->probe.talk.reason,
                                  weir_loop_get_time(upstream->set->loop))) {
        wr_upstream_note_news(upstream);
    }
}

static void upstream_check_ended(struct wr_probe *probe, int err)
{
    weir_upstream *upstream = wr_container_of(probe, weir_upstream, probe);
    weir_upstreams *set = upstream->set;

    upstream_check_invariants(upstream);
    wr_assert(set->probe_count > 0);
    set->probe_count--;
    if (!upstream->is_removed && !set->is_closed &&
        wr_shared_part_end_check(&upstream->part)) {
        if (upstream->is_check_dropped) {
            wr_upstream_follow(upstream); /* arms a check if not paused */
        } else {
            upstream_note_check(upstream, err);
            upstream_arm_check(upstream);
        }
    }
    upstream->is_check_dropped = false;
    wr_upstreams_leave_if_quiet(set);
    wr_upstream_unref(upstream);
}

static const struct wr_secure_settings *
upstream_get_check_tls(const weir_upstream *upstream)
{
    const struct wr_secure_settings *tls =
        wr_secure_settings_are_set(&upstream->check_tls)
            ? &upstream->check_tls
            : &upstream->target.tls;

    wr_assert(wr_check_is_active(upstream->check));
    return wr_check_is_bare(upstream->check) || upstream->check->plan.no_tls ||
                   !wr_secure_settings_are_set(tls)
               ? NULL
               : tls;
}

static void upstream_check_expired(struct wr_timer *timer)
{
    weir_upstream *upstream =
        wr_container_of(timer, weir_upstream, check_timer);

    upstream_check_invariants(upstream);
    wr_assert(!upstream->is_removed);
    if (!wr_shared_part_begin_check(&upstream->part)) {
        return;
    }
    const int err = wr_probe_start(&upstream->probe, &upstream->target,
                                   upstream_get_check_tls(upstream));
    if (err < 0) {
        if (wr_shared_part_end_check(&upstream->part)) {
            upstream_note_check(upstream, err);
            upstream_arm_check(upstream);
        }
        return;
    }
    upstream->set->probe_count++;
    wr_upstream_ref(upstream);
}

/* ---- creating and freeing ---- */

/* The parts of an upstream, in addition to options and address. */
struct upstream_parts {
    const char *name;
    const char *endpoint;
    const char *host; /* may be NULL */
    const struct wr_check *check;
    /* Ownership was passed; otherwise the check outlives the upstream. */
    bool is_own_check;
    bool is_service; /* the host is a service */
};

static const char *upstream_write_endpoint(const struct weir_endpoint *given,
                                           const struct wr_endpoint *endpoint,
                                           bool is_service,
                                           char buf[WR_ENDPOINT_SIZE])
{
    const char *host = wr_endpoint_get_host(given);

    wr_assert(endpoint->count == 1 || endpoint->name);
    if (is_service) {
        snprintf(buf, WR_ENDPOINT_SIZE, "srv://%s", host);
        return buf;
    }
    if (!host) {
        return weir_address_format(endpoint->addresses, buf, WR_ENDPOINT_SIZE);
    }
    wr_target_write_endpoint(host, given->port, buf);
    return buf;
}

static char *upstream_append(char **ret_end, const char *text)
{
    char *copy = *ret_end;
    const size_t size = strlen(text) + 1;

    wr_assert(copy != NULL);
    memcpy(copy, text, size);
    *ret_end = copy + size;
    return copy;
}

static void upstream_note_answer(weir_upstream *upstream)
{
    wr_assert(upstream->is_spread);
    upstream->has_answer = true;
    upstream->set->has_answers = true;
    wr_upstreams_wake(upstream->set);
}

static void upstream_resolved(struct wr_target *target, bool is_good)
{
    weir_upstream *upstream = wr_container_of(target, weir_upstream, target);

    upstream_check_invariants(upstream);
    if (is_good) {
        wr_shared_part_keep_addresses(
            &upstream->part, target->addresses, target->address_count,
            wr_target_get_size(target, target->address_count));
    }
    if (upstream->is_spread) {
        upstream_note_answer(upstream);
    }
}

/* Takes over the addresses that another set has found. Returns 0 or -ENOMEM. */
static int upstream_begin_name(weir_upstream *upstream)
{
    struct wr_target *target = &upstream->target;
    struct weir_address *addresses;
    size_t count;

    wr_assert(target->is_name);
    target->resolved = upstream_resolved;
    target->is_waited_for = upstream->is_spread;
    const int err = wr_shared_part_copy_addresses(
        &upstream->part, &target->loop->counting, &addresses, &count);
    wr_require(err >= 0, err);
    if (count > 0) {
        wr_target_begin(target, addresses, count);
    }
    if (count > 0 && upstream->is_spread) {
        upstream_note_answer(upstream);
    }
    return 0;
}

/* Sets everything that needs no memory and cannot fail. */
static void upstream_set_options(weir_upstream *upstream, weir_upstreams *set,
                                 const struct weir_upstream_options *options)
{
    wr_assert(upstream->ref_count == 0);
    upstream->set = set;
    upstream->ref_count = 1;
    wr_upstream_set_weight(upstream, options->weight > 0 ? options->weight : 1,
                           WR_WEIGHT_UNIT);
    upstream->is_backup = options->is_backup;
    upstream->user = options->user;
    wr_list_init(&upstream->gone);
    wr_list_init(&upstream->gone_link);
    wr_list_init(&upstream->news_link);
    wr_timer_init(&upstream->eject_timer, upstream_eject_expired);
    wr_timer_init(&upstream->check_timer, upstream_check_expired);
}

/* Initializes an upstream from upstream_alloc() that has joined its target. */
static int upstream_init(weir_upstream *upstream, weir_upstreams *set,
                         const struct weir_upstream_options *options,
                         const struct wr_endpoint *endpoint,
                         const struct upstream_parts *parts)
{
    const char *host = parts->host;
    const char *service = NULL;
    char *end = upstream->text;

    wr_assert(upstream->size > sizeof(*upstream));
    upstream->name = upstream_append(&end, parts->name);
    if (host) {
        host = upstream_append(&end, host);
    }
    if (parts->is_service) {
        service = host;
        host = wr_target_skip_labels(service);
    }
    upstream_set_options(upstream, set, options);
    wr_probe_init(&upstream->probe, set->loop, upstream->check, (uint8_t *)end,
                  upstream_check_ended);
    int err = wr_secure_settings_read(&upstream->check_tls, options->check_tls,
                                      WR_SECURE_CLIENT, host);
    wr_require(err >= 0, err);
    err = wr_target_init(&upstream->target, set->loop, endpoint, host,
                         options->tls, set->options.resolve_ns);
    wr_require(err >= 0, err);
    if (service) {
        wr_target_set_service(&upstream->target, service);
    }
    if (options->local_address) {
        upstream->target.local = *options->local_address;
    }
    if (upstream->target.is_name) {
        err = upstream_begin_name(upstream);
    }
    if (err < 0) {
        wr_target_fini(&upstream->target);
    }
    return err;
}

static void upstream_leave_target(weir_upstream *upstream,
                                  const weir_upstreams *set)
{
    wr_assert(upstream->active_count == 0);
    wr_shared_part_leave(&upstream->part, weir_loop_get_time(set->loop));
    wr_shared_part_close(&upstream->part);
}

static int upstream_join(weir_upstream *upstream, weir_upstreams *set,
                         const struct weir_upstream_options *options,
                         const struct upstream_parts *parts)
{
    struct wr_shared_key key = {.name = parts->name,
                                .endpoint = parts->endpoint,
                                .check = wr_check_is_active(upstream->check) &&
                                                 !upstream->is_spread
                                             ? upstream->check
                                             : NULL};
    wr_known_begin(set, upstream->check, options->health, &key);
    int err = wr_shared_part_open(&upstream->part, set->call, &key,
                                  weir_loop_get_time(set->loop));

    wr_require(err >= 0, err);
    err = wr_limits_share_open(&upstream->share, set->call, parts->name,
                               options->connection_limit);
    if (err < 0) {
        upstream_leave_target(upstream, set);
    }
    wr_assert(err <= 0);
    return err;
}

static void upstream_leave(weir_upstream *upstream, const weir_upstreams *set)
{
    wr_limits_share_close(&upstream->share);
    upstream_leave_target(upstream, set);
    wr_assert(upstream->ref_count <= 1);
}

/* Allocates an upstream, all zero except its size and its plan. */
static weir_upstream *upstream_alloc(weir_upstreams *set,
                                     const struct upstream_parts *parts)
{
    const size_t host_size = parts->host ? strlen(parts->host) + 1 : 0;
    const size_t text_size = strlen(parts->name) + 1 + host_size;
    const bool has_answer =
        wr_check_is_active(parts->check) && wr_check_has_answer(parts->check);
    const size_t size = sizeof(weir_upstream) + text_size +
                        (has_answer ? wr_check_get_room(parts->check) : 0);
    weir_upstream *upstream = wr_alloc(&set->loop->counting, size);

    wr_assert(text_size > 0);
    if (upstream) {
        memset(upstream, 0, size);
        upstream->size = size;
        upstream->check = parts->check;
    }
    if (upstream && parts->is_own_check) {
        upstream->own_check = *parts->check;
        upstream->check = &upstream->own_check;
    }
    return upstream;
}

/* Updates how long requests wait for the upstream's first check or lookup. */
static void upstream_note_wait(const weir_upstream *upstream)
{
    weir_upstreams *set = upstream->set;
    const uint64_t check_ns = wr_check_is_active(upstream->check)
                                  ? upstream->check->plan.timeout_ns
                                  : 0;
    const uint64_t wait_ns = upstream->is_spread
                                 ? wr_add_sat(check_ns, WR_LOOKUP_TIMEOUT_NS)
                                 : check_ns;

    wr_assert(set != NULL);
    if (set->first_check_ns < wait_ns) {
        set->first_check_ns = wait_ns;
    }
}

static int upstream_make(weir_upstreams *set,
                         const struct weir_upstream_options *options,
                         const struct wr_endpoint *endpoint,
                         const struct upstream_parts *parts,
                         weir_upstream **ret)
{
    weir_upstream *upstream = upstream_alloc(set, parts);

    wr_require(upstream, -ENOMEM);
    upstream->is_spread =
        (options->each_address || options->is_service) && endpoint->name;
    wr_upstream_note_apart(upstream);
    int err = upstream_join(upstream, set, options, parts);
    if (err < 0) {
        wr_free(&set->loop->counting, upstream, upstream->size);
        return err;
    }
    err = upstream_init(upstream, set, options, endpoint, parts);
    if (err < 0) {
        wr_secure_settings_drop(&upstream->check_tls);
        upstream_leave(upstream, set);
        wr_free(&set->loop->counting, upstream, upstream->size);
        return err;
    }
    upstream_note_wait(upstream);
    upstream->id = ++set->last_id;
    upstream->told = wr_upstream_get_state(upstream);
    wr_upstreams_ref(set);
    *ret = upstream;
    return 0;
}

int wr_upstream_make(weir_upstreams *set,
                     const struct weir_upstream_options *options,
                     const struct wr_check *own_check, weir_upstream **ret)
{
    const struct wr_check *check = own_check ? own_check : &set->check;
    struct wr_endpoint endpoint;
    char buf[WR_ENDPOINT_SIZE];

    const int err =
        wr_target_read_endpoint(set->loop, &options->endpoint, &endpoint);
    wr_require(err >= 0, err);
    wr_require(check->plan.port == 0 || endpoint.name ||
                   endpoint.addresses[0].storage.any.sa_family != AF_UNIX,
               -EINVAL);
    wr_require(!options->is_service || endpoint.name, -EINVAL);
    const char *text = upstream_write_endpoint(&options->endpoint, &endpoint,
                                               options->is_service, buf);
    const struct upstream_parts parts = {
        .name = options->name ? options->name : text,
        .endpoint = text,
        .host = wr_endpoint_get_host(&options->endpoint),
        .check = check,
        .is_own_check = own_check != NULL,
        .is_service = options->is_service};
    return upstream_make(set, options, &endpoint, &parts, ret);
}

struct wr_upstream_made wr_upstream_copy(const weir_upstream *upstream)
{
    struct wr_upstream_made made = {
        .options = {.size = sizeof(made.options),
                    .connection_limit = upstream->share.limit,
                    .weight = upstream->weight,
                    .is_backup = upstream->is_backup,
                    .user = upstream->user,
                    .local_address = upstream->target.local.len > 0
                                         ? &upstream->target.local
                                         : NULL},
        .has_tls = wr_secure_settings_are_set(&upstream->target.tls),
        .has_check_tls = wr_secure_settings_are_set(&upstream->check_tls)};

    upstream_check_invariants(upstream);
    if (made.has_tls) {
        made.tls = wr_target_get_tls(&upstream->target.tls);
    }
    if (made.has_check_tls) {
        made.check_tls = wr_target_get_tls(&upstream->check_tls);
    }
    return made;
}

int wr_upstream_make_member(weir_upstream *source,
                            const struct weir_upstream_options *options,
                            weir_upstream **ret)
{
    weir_upstreams *set = source->set;
    static const struct weir_upstream_health nothing = {.size =
                                                            sizeof(nothing)};
    struct weir_upstream_options known = *options;
    struct wr_endpoint endpoint;
    char buf[WR_ENDPOINT_SIZE];

    int err = wr_target_read_endpoint(set->loop, &known.endpoint, &endpoint);
    wr_require(err >= 0, err);
    known.health = &nothing;
    const struct upstream_parts parts = {
        .name = known.name,
        .endpoint = weir_address_format(endpoint.addresses, buf, sizeof(buf)),
        .host = source->target.host,
        .check = source->check}; /* valid: the member refers to the source */
    err = upstream_make(set, &known, &endpoint, &parts, ret);
    wr_require(err >= 0, err);
    wr_upstream_set_weight(*ret, source->weight, WR_WEIGHT_UNIT);
    (*ret)->is_draining = source->is_draining;
    wr_upstream_note_apart(*ret);
    (*ret)->told = wr_upstream_get_state(*ret);
    (*ret)->source = source;
    wr_upstream_ref(source);
    return 0;
}

void wr_upstream_fold(weir_upstream *member)
{
    struct wr_upstream_counts *own = &member->counts;

    wr_assert(!member->source || member->source->is_spread);
    if (member->source) {
        struct wr_upstream_counts *all = &member->source->counts;
        all->chosen += own->chosen;
        all->connected += own->connected;
        all->connect_errors += own->connect_errors;
        all->reported_errors += own->reported_errors;
        all->ejected += own->ejected;
        all->checks += own->checks;
        all->check_errors += own->check_errors;
        all->checks_skipped += own->checks_skipped;
        *own = (struct wr_upstream_counts){.chosen = 0};
    }
}

void wr_upstream_unref(weir_upstream *upstream)
{
    weir_upstreams *set = upstream->set;
    weir_upstream *source = upstream->source;

    upstream_check_invariants(upstream);
    upstream->ref_count--;
    if (upstream->ref_count > 0) {
        return;
    }
    wr_assert(upstream->active_count == 0);
    wr_assert(wr_probe_is_idle(&upstream->probe));
    wr_assert(!wr_timer_is_armed(&upstream->eject_timer));
    wr_assert(wr_list_is_empty(&upstream->gone));
    wr_upstream_fold(upstream);
    if (source && wr_list_is_linked(&upstream->gone_link)) {
        wr_list_remove(&upstream->gone_link);
    }
    wr_target_fini(&upstream->target);
    wr_secure_settings_drop(&upstream->check_tls);
    upstream_leave(upstream, set);
    wr_check_fini(&upstream->own_check, &set->loop->counting);
    wr_free(&set->loop->counting, upstream, upstream->size);
    if (source) {
        wr_upstream_unref(source);
    }
    wr_upstreams_unref(set);
}

int wr_upstream_start(weir_upstream *upstream)
{
    upstream_check_invariants(upstream);
    return wr_target_start(&upstream->target);
}

void wr_upstream_follow(weir_upstream *upstream)
{
    weir_loop *loop = upstream->set->loop;
    struct wr_shared_facts facts;

    upstream_check_invariants(upstream);
    wr_assert(!upstream->is_removed);
    wr_shared_part_read(&upstream->part, &facts);
    if (facts.is_checker && wr_probe_is_idle(&upstream->probe)) {
        wr_timer_arm(&loop->wheel, &upstream->check_timer, facts.check_due_ns);
    }
    if (facts.ejection.is_ejected &&
        upstream->set->options.fail_limit < UINT32_MAX) {
        wr_timer_arm(&loop->wheel, &upstream->eject_timer,
                     facts.ejected_until_ns);
    }
}

void wr_upstream_retire(weir_upstream *upstream)
{
    upstream_check_invariants(upstream);
    wr_assert(upstream->set->is_retired);
    wr_target_retire(&upstream->target);
    wr_shared_part_retire(&upstream->part,
                          weir_loop_get_time(upstream->set->loop));
}

void wr_upstream_pause(weir_upstream *upstream, bool is_paused)
{
    weir_loop *loop = upstream->set->loop;

    upstream_check_invariants(upstream);
    if (upstream->is_paused == is_paused) {
        return;
    }
    upstream->is_paused = is_paused;
    wr_shared_part_pause(&upstream->part, is_paused, weir_loop_get_time(loop));
    if (is_paused) {
        wr_timer_cancel(&loop->wheel, &upstream->check_timer);
        upstream->is_check_dropped = !wr_probe_is_idle(&upstream->probe);
        wr_probe_give_up(&upstream->probe);
    } else {
        wr_upstream_follow(upstream);
    }
}

void wr_upstream_stop(weir_upstream *upstream)
{
    weir_loop *loop = upstream->set->loop;

    upstream_check_invariants(upstream);
    wr_timer_cancel(&loop->wheel, &upstream->check_timer);
    wr_timer_cancel(&loop->wheel, &upstream->eject_timer);
    wr_target_stop(&upstream->target);
    wr_probe_give_up(&upstream->probe);
    wr_limits_share_leave(&upstream->share);
    wr_shared_part_leave(&upstream->part, weir_loop_get_time(loop));
}

/* ---- slots ----
 *
 * A request allocates its slot when it starts, so that nothing can fail between
 * the choice of an upstream and the connection. For each try the slot is
 * counted at the chosen upstream. When the request has succeeded the slot
 * belongs to the program, which ends it after the connection. */

weir_upstream_slot *wr_slot_make(weir_upstreams *set)
{
    weir_upstream_slot *slot = wr_alloc(&set->loop->counting, sizeof(*slot));

    wr_assert(!set->is_closed);
    if (slot) {
        slot->upstream = NULL;
    }
    return slot;
}

void wr_slot_free(weir_upstreams *set, weir_upstream_slot *slot)
{
    wr_assert(!slot->upstream);
    wr_free(&set->loop->counting, slot, sizeof(*slot));
}

void wr_slot_take(weir_upstream_slot *slot, weir_upstream *upstream)
{
    wr_assert(!slot->upstream);
    wr_upstream_ref(upstream);
    upstream->active_count++;
    upstream->counts.chosen++;
    slot->upstream = upstream;
}

void wr_slot_leave(weir_upstream_slot *slot)
{
    weir_upstream *upstream = slot->upstream;

    wr_assert(upstream != NULL);
    wr_assert(upstream->active_count > 0);
    upstream->active_count--;
    wr_shared_part_give(&upstream->part);
    slot->upstream = NULL;
    wr_limits_share_give(&upstream->share);
    if (upstream->set->queue.count > 0) {
        /* A waiting request may use the slot that was released. */
        wr_upstreams_wake(upstream->set);
    }
    wr_upstream_unref(upstream);
}

weir_upstream *weir_upstream_slot_get_upstream(const weir_upstream_slot *slot)
{
    wr_assert(slot->upstream != NULL);
    return slot->upstream;
}

void weir_upstream_slot_release(weir_upstream_slot *slot, int result)
{
    if (!slot || !wr_loop_admits(slot->upstream->set->loop)) {
        return;
    }
    weir_upstreams *set = slot->upstream->set;
    wr_upstreams_ref(set);
    if (result >= 0) {
        wr_upstream_note_success(slot->upstream, WR_FAILURE_REPORT);
    } else if (result != -ECANCELED) {
        wr_upstream_note_failure(slot->upstream, WR_FAILURE_REPORT, result,
                                 NULL);
    }
    wr_slot_leave(slot);
    wr_slot_free(set, slot);
    wr_upstreams_unref(set);
}
