/*
 * Connections to be reset are marked, and found again in each step by a walk
 * over all connections of the thread. A separate list would cost each
 * connection memory, and cuts are rare.
 */
#include "cuts.h"

#include "session.h"

/* Number of steps; the first one runs at once. */
#define STEPS 16u

static bool is_to(const struct session *session, const struct route *route,
                  const weir_upstream *upstream)
{
    const weir_upstream *its =
        session->slot && session->route == route
            ? weir_upstream_slot_get_upstream(session->slot)
            : NULL;

    return its &&
           (upstream
                ? its == upstream
                : ((const struct config_target *)weir_upstream_get_user(its))
                      ->is_backup);
}

static bool is_marked(const struct session *session, const struct route *route)
{
    return session->route == route && session->is_to_cut && session->slot &&
           !session->is_cut;
}

static size_t cut_some(const struct route *route, size_t count)
{
    struct link *next = NULL;
    size_t left = 0;

    for (struct link *link = route->worker->sessions.oldest; link;
         link = next) {
        struct session *session = (struct session *)(void *)link;
        next = link->younger;
        if (!is_marked(session, route)) {
            continue;
        }
        if (count > 0) {
            count--;
            session_cut(session);
        } else {
            left++;
        }
    }
    return left;
}

static void step(void *arg)
{
    struct route *route = arg;
    struct cuts *cuts = &route->cuts;
    size_t left = cuts->left;

    if (cuts->steps > 0) {
        left = cut_some(route, (left + cuts->steps - 1) / cuts->steps);
        cuts->left = left;
        cuts->steps--;
    }
    if (left > 0 && (cuts->steps == 0 ||
                     weir_loop_call_later(route->worker->loop, cuts->step_ns,
                                          step, route, &cuts->timer) < 0)) {
        cuts->left = cut_some(route, SIZE_MAX);
    }
}

void cuts_begin(struct route *route, const weir_upstream *upstream,
                uint64_t within_ns)
{
    struct cuts *cuts = &route->cuts;

    weir_handle_cancel(route->worker->loop, cuts->timer);
    cuts->left = 0;
    for (struct link *link = route->worker->sessions.oldest; link;
         link = link->younger) {
        struct session *session = (struct session *)(void *)link;
        session->is_to_cut |= is_to(session, route, upstream);
        cuts->left += is_marked(session, route);
    }
    cuts->steps = within_ns > 0 ? STEPS : 1;
    cuts->step_ns = within_ns / STEPS;
    step(route);
}

size_t cuts_do(const struct route *route, const struct config_target *target)
{
    struct link *next = NULL;
    size_t count = 0;

    for (struct link *link = route->worker->sessions.oldest; link;
         link = next) {
        struct session *session = (struct session *)(void *)link;
        next = link->younger;
        if (session->route == route && session->slot && !session->is_cut &&
            weir_upstream_get_user(
                weir_upstream_slot_get_upstream(session->slot)) == target) {
            session_cut(session);
            count++;
        }
    }
    const int connecting = weir_upstream_fail_pending(
        route->targets[target - route->config->targets].added, SESSION_CUT);
    return connecting > 0 ? count + (size_t)connecting : count;
}
