/*
 * The choice of an upstream for a request.
 *
 * All that is known of the upstreams is written to the candidates of the set
 * first, under the mutex of the limits, as places are taken elsewhere, too.
 */
#include "request.h"

/* Under the mutex of the limits: writes down what the request may take. */
static void request_choose_describe(struct wr_request *request)
{
    weir_upstreams *set = request->set;
    const struct wr_exclusions *excluded = &request->queued.excluded;

    wr_limits_draw_ticket(set->call->limits, &request->queued.ticket);
    wr_assert(request->queued.ticket > 0);
    for (size_t i = 0; i < set->count; i++) {
        weir_upstream *upstream = set->upstreams[i];
        struct wr_candidate_upstream *candidate = &set->candidates[i];
        wr_upstream_describe(upstream, request->queued.ticket, candidate);
        candidate->is_excluded =
            wr_exclusions_have(excluded, upstream->id) ||
            (excluded->with_unchecked && wr_tier_is_unchecked(candidate->tier));
    }
}

/* Under the mutex of the limits: its set waits for the upstreams that the
 * request would take. */
static void request_choose_wait(const struct wr_request *request)
{
    weir_upstreams *set = request->set;
    const struct wr_candidate_upstream *candidates = set->candidates;
    const enum wr_tier tier = wr_choose_find_tier(candidates, set->count);

    wr_assert(request->state == REQUEST_QUEUED);
    for (size_t i = 0; i < set->count; i++) {
        if (candidates[i].tier == tier && !candidates[i].is_excluded) {
            wr_limits_share_wait(&set->upstreams[i]->share,
                                 request->queued.ticket, set->round);
        }
    }
}

enum wr_choice wr_request_choose(struct wr_request *request,
                                 weir_upstream **ret)
{
    weir_upstreams *set = request->set;
    weir_upstream_limits *limits = set->call->limits;
    size_t index;

    wr_limits_lock(limits);
    request_choose_describe(request);
    const enum wr_choice choice =
        wr_choose(set->options.balance, set->candidates, set->count,
                  request->key, &set->random, &index);
    if (choice == WR_CHOICE_MADE) {
        wr_assert(index < set->count);
        *ret = set->upstreams[index];
        wr_limits_share_take(&(*ret)->share);
    } else if (choice == WR_CHOICE_FULL && request->state == REQUEST_QUEUED) {
        request_choose_wait(request);
    }
    wr_limits_unlock(limits);
    return choice;
}

bool wr_request_is_unchecked(struct wr_request *request)
{
    weir_upstreams *set = request->set;

    wr_limits_lock(set->call->limits);
    request_choose_describe(request);
    wr_limits_unlock(set->call->limits);
    wr_assert(request->queued.ticket > 0);
    return wr_tier_is_unchecked(
        wr_choose_find_tier(set->candidates, set->count));
}
