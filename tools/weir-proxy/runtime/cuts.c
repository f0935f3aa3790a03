/*
 * Connections to be reset are marked, and found again in each step by a walk
 * over all connections of the thread. A separate list would cost each
 * connection memory, and cuts are rare.
 */
#include "cuts.h"

#include "session.h"

/* Number of steps; the first one runs at once. */
#define STEPS 16u

static bool is_connected(const struct session *session,
                         const struct route *route)
{
    return session->route == route && session->slot && !session->is_cut;
}

static const struct config_target *target_of(const struct session *session)
{
    return weir_upstream_get_user(
        weir_upstream_slot_get_upstream(session->slot));
}

/* Resets up to @most connections to @target or, if it is NULL, marked ones.
 * Returns their number. */
static size_t cut_some(const struct route *route,
                       const struct config_target *target, size_t most)
{
    struct link *next = NULL;
    size_t count = 0;

    for (struct link *link = route->services->worker->sessions.oldest;
         link && count < most; link = next) {
        struct session *session = (struct session *)(void *)link;
        next = link->younger;
        if (is_connected(session, route) &&
            (target ? target_of(session) == target : session->is_to_cut)) {
            session_cut(session);
            count++;
        }
    }
    return count;
}

/* If connections have ended otherwise, the steps reset more at a time. */
static void step(void *arg)
{
    struct route *route = arg;
    struct cuts *cuts = &route->cuts;

    cuts->left -=
        cut_some(route, NULL, (cuts->left + cuts->steps - 1) / cuts->steps);
    cuts->steps--;
    if (cuts->left > 0 && cuts->steps > 0 &&
        weir_loop_call_later(route->services->worker->loop, cuts->step_ns, step,
                             route, &cuts->timer) < 0) {
        cut_some(route, NULL, SIZE_MAX);
    }
}

void cuts_begin(struct route *route, const weir_upstream *upstream,
                uint64_t within_ns)
{
    struct cuts *cuts = &route->cuts;

    weir_handle_cancel(route->services->worker->loop, cuts->timer);
    cuts->left = 0;
    for (struct link *link = route->services->worker->sessions.oldest; link;
         link = link->younger) {
        struct session *session = (struct session *)(void *)link;
        if (is_connected(session, route)) {
            session->is_to_cut |=
                upstream
                    ? weir_upstream_slot_get_upstream(session->slot) == upstream
                    : target_of(session)->is_backup;
            cuts->left += session->is_to_cut;
        }
    }
    cuts->steps = within_ns > 0 ? STEPS : 1;
    cuts->step_ns = within_ns / STEPS;
    step(route);
}

size_t cuts_do(const struct route *route, const struct config_target *target)
{
    const int connecting = weir_upstream_fail_pending(
        route->targets[target - route->config->targets].added, SESSION_CUT);

    return cut_some(route, target, SIZE_MAX) +
           (connecting > 0 ? (size_t)connecting : 0);
}
