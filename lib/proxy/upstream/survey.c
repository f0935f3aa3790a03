/*
 * Chooses an upstream of a set for a request.
 *
 * A set writes all facts about its upstreams to its candidates (choose.h), with
 * the mutex of the shared state held, because other sets take slots, too. The
 * candidates remain valid for later requests until something changes in the set
 * or in the shared state, which counts its changes. They also expire: at the
 * next step of a weight during a slow start; when a checker becomes late; and
 * at once while a set waits for a slot.
 *
 * Before a set serves its queue, wr_survey_make() lists the upstreams that have
 * a free slot. The choice above, which reads all upstreams, is made only for
 * requests that this list does not rule out. Otherwise a long queue of requests
 * that cannot be served would take long.
 */
#include "upstream.h"

static void survey_forget_exclusions(weir_upstreams *set)
{
    wr_assert(set->count <= set->capacity);
    for (size_t i = 0; i < set->count; i++) {
        set->candidates[i].is_excluded = false;
    }
}

/* Disables addresses that are used only if others cannot be. Tiers and
 * exclusions must have been written. */
static void survey_rank(weir_upstreams *set)
{
    wr_assert(set->has_ranks);
    for (size_t i = 0; i < set->count; i++) {
        set->candidates[i].rank = set->upstreams[i]->rank;
    }
    wr_choose_by_rank(set->candidates, set->count);
}

/* The mutex must be held, and tiers and exclusions must have been written. */
static void survey_order(weir_upstreams *set)
{
    wr_assert(set->options.balance == WEIR_BALANCE_FIRST);
    for (size_t i = 0; i < set->count && set->options.stay; i++) {
        set->candidates[i].is_kept =
            wr_shared_part_is_in_use(&set->upstreams[i]->part);
    }
    if (set->has_ranks) {
        survey_rank(set);
    }
    wr_choose_await(set->candidates, set->count);
}

static bool survey_excludes(const struct wr_queued *queued)
{
    const struct wr_exclusions *excluded = &queued->excluded;

    wr_assert(excluded->count <= WR_TRIES_MAX + WR_EXCLUDED_MAX);
    return excluded->count > 0 || excluded->with_unchecked;
}

/* Checks that the candidates are up to date. The mutex must be held. */
static void survey_check_invariants(const weir_upstreams *set)
{
    for (size_t i = 0; i < set->count; i++) {
        const weir_upstream *upstream = set->upstreams[i];
        const struct wr_candidate_upstream *known = &set->candidates[i];
        const enum wr_tier tier = wr_upstream_get_tier(upstream);
        wr_assert(wr_shared_part_get_late(&upstream->part) >=
                  weir_loop_get_time(set->loop));
        wr_assert(known->tier == tier || set->has_ranks ||
                  set->options.balance == WEIR_BALANCE_FIRST);
        wr_assert(
            known->weight ==
            (tier == WR_TIER_NONE ? 0 : wr_upstream_get_weight(upstream)));
        wr_assert(known->turn == &upstream->part.target->turn);
        wr_assert(wr_limits_share_is_settled(&upstream->share));
        wr_assert(known->is_full ==
                  wr_limits_share_is_full(&upstream->share, UINT64_MAX));
        wr_assert(!known->is_excluded);
    }
}

static bool survey_is_in_time(const weir_upstreams *set)
{
    wr_debug_assert(set->call != NULL);
    return weir_loop_get_time(set->loop) <= set->described_until_ns;
}

/* True if the candidates are valid for this request. The mutex must be held. */
static bool survey_is_described(const weir_upstreams *set,
                                const struct wr_queued *queued)
{
    if (set->described_revision != set->call->shared->revision ||
        !survey_is_in_time(set) || survey_excludes(queued)) {
        return false;
    }
    wr_debug_check(survey_check_invariants(set));
    return true;
}

/* Returns the time until which later requests can use the candidates, or 0 if
 * only the current request can. The mutex must be held. */
static uint64_t survey_find_end(const weir_upstreams *set)
{
    uint64_t until_ns = UINT64_MAX;
    bool is_warming = false;

    wr_assert(set->count <= set->capacity);
    for (size_t i = 0; i < set->count; i++) {
        const weir_upstream *upstream = set->upstreams[i];
        const struct wr_candidate_upstream *known = &set->candidates[i];
        if (!wr_limits_share_is_settled(&upstream->share)) {
            return 0;
        }
        is_warming |=
            known->tier != WR_TIER_NONE && known->weight < upstream->own_weight;
        until_ns =
            wr_min_u64(until_ns, wr_shared_part_get_late(&upstream->part));
    }
    return is_warming ? wr_min_u64(until_ns, wr_upstreams_get_warm_end(set))
                      : until_ns;
}

/* The first answer for a name may add the upstream that is in use. */
static bool survey_awaits_names(const weir_upstreams *set)
{
    bool awaits = false;

    for (size_t i = 0; i < set->count && !awaits; i++) {
        const weir_upstream *upstream = set->upstreams[i];
        awaits = upstream->is_spread && !upstream->is_settled;
    }
    wr_assert(!awaits || set->count > 0);
    return awaits;
}

/* Records which upstream WEIR_BALANCE_FIRST uses, regardless of a request's
 * exclusions. While the kept upstream waits for its first check, or for the
 * first answer of a name, the record is not changed. For a retired set, other
 * sets record it. The mutex of the shared state must be held. */
static weir_upstream *survey_note_use(weir_upstreams *set)
{
    struct wr_candidate_upstream *candidates = set->candidates;
    bool is_awaited = set->is_retired || survey_awaits_names(set);

    wr_assert(set->options.balance == WEIR_BALANCE_FIRST);
    if (set->count == 0) {
        return NULL;
    }
    wr_survey_forget(set); /* candidates without a request's exclusions */
    for (size_t i = 0; i < set->count; i++) {
        wr_upstream_describe(set->upstreams[i], UINT64_MAX, &candidates[i]);
    }
    survey_forget_exclusions(set);
    survey_order(set);
    for (size_t i = 0; i < set->count; i++) {
        is_awaited |=
            candidates[i].is_kept && wr_tier_is_unchecked(candidates[i].tier);
    }
    const size_t first = wr_choose_find_first(candidates, set->count);
    weir_upstream *found = first < set->count ? set->upstreams[first] : NULL;
    if (!is_awaited) {
        wr_shared_use(set->call->shared, found ? &found->part : NULL,
                      weir_loop_get_time(set->loop));
    }
    return found;
}

weir_upstream *wr_survey_find_use(weir_upstreams *set)
{
    wr_shared_lock(set->call->shared);
    weir_upstream *found = survey_note_use(set);
    wr_shared_unlock(set->call->shared);
    wr_assert(!found || !found->is_removed);
    return found;
}

static struct wr_candidates survey_get_candidates(const weir_upstreams *set)
{
    weir_upstreams_shared *shared = set->call->shared;

    wr_assert(set->count <= set->capacity);
    return (struct wr_candidates){.all = set->candidates,
                                  .count = set->count,
                                  .turns = &shared->turns,
                                  .random = &shared->random};
}

/* Returns the last time at which the candidate of an upstream is valid. The
 * mutex must be held. */
static uint64_t survey_get_end(const weir_upstreams *set,
                               const weir_upstream *upstream)
{
    const struct wr_candidate_upstream *known =
        &set->candidates[upstream->index];
    const uint64_t late_ns = wr_shared_part_get_late(&upstream->part);
    const bool is_warming =
        known->tier != WR_TIER_NONE && known->weight < upstream->own_weight;

    wr_assert(upstream->index < set->count);
    return is_warming ? wr_min_u64(late_ns, wr_upstreams_get_warm_end(set))
                      : late_ns;
}

/* Returns false if all candidates must be updated. The mutex must be held. */
static bool survey_follow_one(weir_upstreams *set, weir_upstream *upstream)
{
    struct wr_candidate_upstream *known = &set->candidates[upstream->index];
    const struct wr_candidate_upstream before = *known;
    const struct wr_candidates candidates = survey_get_candidates(set);

    wr_assert(set->upstreams[upstream->index] == upstream);
    if (!wr_limits_share_is_settled(&upstream->share)) {
        return false;
    }
    wr_upstream_describe(upstream, UINT64_MAX, known);
    set->described_until_ns =
        wr_min_u64(set->described_until_ns, survey_get_end(set, upstream));
    return wr_choose_change(&set->choosing, &candidates, &before,
                            upstream->index);
}

/* Returns the upstream of the set at this link of a change's list, or NULL if
 * it belongs to another set or was removed. The mutex must be held. */
static weir_upstream *survey_get_changed(const weir_upstreams *set,
                                         const struct wr_shared_change *change,
                                         struct wr_list *link)
{
    wr_debug_assert(!change->target != !change->places);
    if (change->target) {
        struct wr_shared_part *part =
            wr_container_of(link, struct wr_shared_part, link);
        return part->call == set->call && !part->is_left
                   ? wr_container_of(part, weir_upstream, part)
                   : NULL;
    }
    struct wr_limits_share *share =
        wr_container_of(link, struct wr_limits_share, share_link);
    weir_upstream *upstream = wr_container_of(share, weir_upstream, share);
    return share->call == set->call && !upstream->is_removed ? upstream : NULL;
}

static bool survey_follow_change(weir_upstreams *set,
                                 const struct wr_shared_change *change)
{
    const struct wr_list *all =
        change->target ? &change->target->parts : &change->places->shares;
    bool is_enough = true;

    wr_assert(!wr_list_is_empty(all));
    for (struct wr_list *link = all->next; link != all && is_enough;
         link = link->next) {
        weir_upstream *upstream = survey_get_changed(set, change, link);
        is_enough = !upstream || survey_follow_one(set, upstream);
    }
    return is_enough;
}

/* Updates the candidates that have changed since all were written. Returns
 * false if all must be written again. The mutex must be held. */
static bool survey_follow(weir_upstreams *set)
{
    const weir_upstreams_shared *shared = set->call->shared;
    const uint64_t last = shared->revision;
    bool is_enough = set->described_revision > 0 && !set->has_ranks &&
                     last - set->described_revision <= WR_CHANGES_KEPT;

    /* Newest first, because a change of all targets, at which the loop stops,
     * means that older changes may refer to freed memory. */
    for (uint64_t i = last; i > set->described_revision && is_enough; i--) {
        const struct wr_shared_change *change =
            &shared->changes[i % WR_CHANGES_KEPT];
        is_enough = (change->target || change->places) &&
                    survey_follow_change(set, change);
    }
    if (is_enough) {
        set->described_revision = last;
    }
    return is_enough;
}

/* The mutex of the shared state must be held. */
static void survey_describe(weir_upstreams *set, struct wr_queued *queued)
{
    const struct wr_exclusions *excluded = &queued->excluded;
    const struct wr_choice_way way = {set->options.balance,
                                      set->options.one_backup};
    const struct wr_candidates candidates = survey_get_candidates(set);

    wr_limits_draw_ticket(set->call->shared, &queued->ticket);
    wr_assert(queued->ticket > 0);
    if (survey_is_described(set, queued) ||
        (set->count > WR_CANDIDATES_FEW && !survey_excludes(queued) &&
         survey_is_in_time(set) && survey_follow(set) &&
         survey_is_described(set, queued))) {
        return;
    }
    if (set->options.balance == WEIR_BALANCE_FIRST) {
        survey_note_use(set);
    }
    for (size_t i = 0; i < set->count; i++) {
        weir_upstream *upstream = set->upstreams[i];
        struct wr_candidate_upstream *candidate = &set->candidates[i];
        wr_upstream_describe(upstream, queued->ticket, candidate);
        candidate->is_excluded =
            wr_exclusions_have(excluded, upstream->id) ||
            (excluded->with_unchecked && wr_tier_is_unchecked(candidate->tier));
    }
    set->described_revision =
        survey_excludes(queued) ? 0 : set->call->shared->revision;
    set->described_until_ns = survey_find_end(set);
    if (set->options.balance == WEIR_BALANCE_FIRST) {
        survey_order(set);
    } else if (set->has_ranks) {
        survey_rank(set);
    }
    wr_choose_prepare(way, &candidates, &set->choosing);
}

/* Waits for upstreams that the request could use. The mutex must be held. */
static void survey_wait(weir_upstreams *set, const struct wr_queued *queued)
{
    const struct wr_candidate_upstream *candidates = set->candidates;

    wr_assert(queued->queue == &set->queue);
    for (size_t i = 0; i < set->count; i++) {
        /* With WEIR_BALANCE_FIRST only one upstream of the tier is used.
         * Usually only this one is full. */
        if (candidates[i].tier == set->choosing.tier &&
            !candidates[i].is_excluded && candidates[i].is_full) {
            wr_limits_share_wait(&set->upstreams[i]->share, queued->ticket,
                                 set->round);
        }
    }
    /* Requests of other sets now wait after this one. */
    wr_shared_note_change(set->call->shared);
}

enum wr_choice wr_survey_choose(weir_upstreams *set, struct wr_queued *queued,
                                uint64_t key, weir_upstream **ret)
{
    weir_upstreams_shared *shared = set->call->shared;
    size_t index;

    wr_shared_lock(shared);
    survey_describe(set, queued);
    const struct wr_candidates candidates = survey_get_candidates(set);
    const enum wr_choice choice =
        wr_choose(&set->choosing, &candidates, key, &index);
    if (choice == WR_CHOICE_MADE) {
        wr_assert(index < set->count);
        *ret = set->upstreams[index];
        wr_upstream_take(*ret);
    } else if (choice == WR_CHOICE_FULL && queued->queue == &set->queue) {
        survey_wait(set, queued);
    }
    wr_shared_unlock(shared);
    return choice;
}

/* Like wr_choose_find_tier(), for candidates that have no weights yet. */
static enum wr_tier survey_find_tier(const weir_upstreams *set)
{
    enum wr_tier found = WR_TIER_NONE;

    wr_assert(set->count <= set->capacity);
    for (size_t i = 0; i < set->count; i++) {
        const enum wr_tier tier = set->candidates[i].tier;
        if (set->candidates[i].is_kept && tier < WR_TIER_EJECTED) {
            return tier;
        }
        found = tier < found ? tier : found;
    }
    return found;
}

/* Adds an upstream of the first tier to the survey. The mutex must be held. */
static void survey_list(weir_upstreams *set, weir_upstream *upstream)
{
    struct wr_survey *survey = &set->survey;
    const struct wr_limits_share *share = &upstream->share;

    wr_assert(survey->count < set->count);
    survey->count++;
    if (wr_tier_is_unchecked(survey->tier)) {
        return; /* an unchecked upstream has no slots */
    }
    if (wr_limits_share_has_place(share)) {
        survey->firsts[survey->free_count + survey->full_count] =
            survey->firsts[survey->free_count];
        survey->firsts[survey->free_count++] = upstream;
    } else if (!wr_limits_share_is_awaited(share, set->round)) {
        survey->firsts[survey->free_count + survey->full_count++] = upstream;
    }
}

void wr_survey_make(weir_upstreams *set)
{
    struct wr_survey *survey = &set->survey;

    if (set->queue.count == 0 && set->unchecked.count == 0) {
        return;
    }
    *survey =
        (struct wr_survey){.tier = WR_TIER_NONE, .firsts = survey->firsts};
    wr_survey_forget(set); /* below, only the tiers are valid */
    wr_shared_lock(set->call->shared);
    for (size_t i = 0; i < set->count; i++) {
        const enum wr_tier tier = wr_upstream_get_tier(set->upstreams[i]);
        set->candidates[i].tier = tier;
        survey->tier = tier < survey->tier ? tier : survey->tier;
    }
    if (set->options.balance == WEIR_BALANCE_FIRST) {
        survey_forget_exclusions(set);
        survey_order(set);
        survey->tier = survey_find_tier(set);
    } else if (set->has_ranks) {
        survey_forget_exclusions(set);
        survey_rank(set);
        survey->tier = survey_find_tier(set);
    }
    for (size_t i = 0; i < set->count && survey->tier != WR_TIER_NONE; i++) {
        if (set->candidates[i].tier == survey->tier) {
            survey_list(set, set->upstreams[i]);
        }
    }
    wr_shared_unlock(set->call->shared);
    wr_assert(survey->free_count + survey->full_count <= survey->count);
}

void wr_survey_note_taken(weir_upstream *upstream)
{
    weir_upstreams *set = upstream->set;
    struct wr_survey *survey = &set->survey;
    size_t i = 0;

    wr_assert(!upstream->is_removed);
    wr_shared_lock(set->call->shared);
    const bool has_place = wr_limits_share_has_place(&upstream->share);
    wr_shared_unlock(set->call->shared);
    while (i < survey->free_count && survey->firsts[i] != upstream) {
        i++;
    }
    if (!has_place && i < survey->free_count) {
        /* Swaps @upstream with the last one that has a slot. */
        survey->free_count--;
        survey->firsts[i] = survey->firsts[survey->free_count];
        survey->firsts[survey->free_count] = upstream;
        survey->full_count++;
    }
}

void wr_survey_settle(weir_upstreams *set)
{
    wr_assert(set->round > 0);
    wr_shared_lock(set->call->shared);
    for (size_t i = 0; i < set->count && set->call->waiting_count > 0; i++) {
        wr_limits_share_settle(&set->upstreams[i]->share, set->round);
    }
    wr_shared_unlock(set->call->shared);
}

/* Returns true if the request may choose from another tier than the first. */
static bool survey_is_apart(const weir_upstreams *set,
                            const struct wr_queued *queued)
{
    const struct wr_survey *survey = &set->survey;
    const struct wr_exclusions *excluded = &queued->excluded;

    wr_assert(survey->tier <= WR_TIER_NONE);
    return excluded->count >= survey->count ||
           (excluded->with_unchecked && wr_tier_is_unchecked(survey->tier));
}

bool wr_survey_may_serve(const weir_upstreams *set,
                         const struct wr_queued *queued)
{
    const struct wr_survey *survey = &set->survey;
    const struct wr_exclusions *excluded = &queued->excluded;
    bool may = survey_is_apart(set, queued);

    wr_assert(queued->queue == &set->queue);
    for (size_t i = 0; i < survey->free_count && !may; i++) {
        may = !wr_exclusions_have(excluded, survey->firsts[i]->id);
    }
    return may;
}

void wr_survey_wait(weir_upstreams *set, const struct wr_queued *queued)
{
    struct wr_survey *survey = &set->survey;
    weir_upstream **full = survey->firsts + survey->free_count;
    size_t left = 0; /* full upstreams that other requests may wait for */

    wr_assert(queued->queue == &set->queue);
    if (survey->full_count == 0) {
        return;
    }
    wr_shared_lock(set->call->shared);
    for (size_t i = 0; i < survey->full_count; i++) {
        if (wr_exclusions_have(&queued->excluded, full[i]->id)) {
            full[left++] = full[i];
        } else {
            wr_limits_share_wait(&full[i]->share, queued->ticket, set->round);
        }
    }
    wr_shared_note_change(set->call->shared);
    wr_shared_unlock(set->call->shared);
    survey->full_count = left;
}

bool wr_survey_is_unchecked(weir_upstreams *set, struct wr_queued *queued)
{

    if (wr_tier_is_unchecked(set->survey.tier) &&
        !survey_is_apart(set, queued)) {
        return true;
    }
    wr_shared_lock(set->call->shared);
    survey_describe(set, queued);
    wr_shared_unlock(set->call->shared);
    wr_assert(queued->ticket > 0);
    return wr_tier_is_unchecked(set->choosing.tier);
}
