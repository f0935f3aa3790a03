/*
 * The host names of a datagram endpoint.
 *
 * Each address of the peer is an attempt, with the first own address of its
 * family. If the peer has no name, each own address is an attempt. IPv6 comes
 * first, as in the answers.
 */
#include "endpoint_names.h"

#define LOOKUP_TIMEOUT_NS UINT64_C(10000000000)

static bool endpoint_names_is_used(const weir_lookup *lookup)
{
    return lookup->state != WR_LOOKUP_IDLE;
}

static bool endpoint_names_is_busy(const weir_lookup *lookup)
{
    return endpoint_names_is_used(lookup) && !wr_lookup_has_ended(lookup);
}

static void endpoint_names_changed(struct wr_endpoint_names *names)
{
    wr_assert(names->done != NULL);
    wr_assert(endpoint_names_is_used(&names->own) ||
              endpoint_names_is_used(&names->peer));
    if (!endpoint_names_is_busy(&names->own) &&
        !endpoint_names_is_busy(&names->peer)) {
        names->done(names);
    }
}

static void endpoint_names_own_changed(weir_lookup *lookup)
{
    endpoint_names_changed(
        wr_container_of(lookup, struct wr_endpoint_names, own));
}

static void endpoint_names_peer_changed(weir_lookup *lookup)
{
    endpoint_names_changed(
        wr_container_of(lookup, struct wr_endpoint_names, peer));
}

void wr_endpoint_names_init(struct wr_endpoint_names *names, weir_loop *loop,
                            void (*done)(struct wr_endpoint_names *names))
{
    wr_assert(done != NULL);
    names->done = done;
    wr_lookup_init(&names->own, loop, endpoint_names_own_changed);
    wr_lookup_init(&names->peer, loop, endpoint_names_peer_changed);
    wr_assert(!endpoint_names_is_used(&names->own));
    wr_assert(!endpoint_names_is_used(&names->peer));
}

int wr_endpoint_names_start(struct wr_endpoint_names *names,
                            const struct wr_endpoint_plan *plan,
                            const struct wr_endpoint_call *call)
{
    const struct wr_lookup_question own = {.host = call->local.host,
                                           .port = call->local.port,
                                           .family = plan->family,
                                           .timeout_ns = LOOKUP_TIMEOUT_NS};
    const struct wr_lookup_question peer = {.host = call->remote.host,
                                            .port = call->remote.port,
                                            .family = plan->family,
                                            .timeout_ns = LOOKUP_TIMEOUT_NS};

    wr_assert(wr_endpoint_plan_has_names(plan));
    int err = plan->is_local_name ? wr_lookup_start(&names->own, &own) : 0;
    if (err >= 0 && plan->is_remote_name) {
        err = wr_lookup_start(&names->peer, &peer);
    }
    if (err < 0) {
        wr_endpoint_names_cancel(names);
    }
    wr_assert(err < 0 ||
              endpoint_names_is_busy(&names->own) == plan->is_local_name);
    wr_assert(err < 0 ||
              endpoint_names_is_busy(&names->peer) == plan->is_remote_name);
    return err;
}

void wr_endpoint_names_cancel(struct wr_endpoint_names *names)
{
    wr_lookup_cancel(&names->own);
    wr_lookup_cancel(&names->peer);
    wr_assert(!endpoint_names_is_busy(&names->own));
    wr_assert(!endpoint_names_is_busy(&names->peer));
}

int wr_endpoint_names_get_result(const struct wr_endpoint_names *names)
{
    wr_assert(!endpoint_names_is_busy(&names->own));
    wr_assert(!endpoint_names_is_busy(&names->peer));
    int err = endpoint_names_is_used(&names->own)
                  ? wr_lookup_get_result(&names->own)
                  : 0;
    if (err >= 0 && endpoint_names_is_used(&names->peer)) {
        err = wr_lookup_get_result(&names->peer);
    }
    return err;
}

/* The first own address of a family; false when there is none. */
static bool endpoint_names_find_own(const weir_lookup *own, int family,
                                    struct weir_address *ret)
{
    wr_assert(family == AF_INET || family == AF_INET6);
    wr_assert(wr_lookup_has_ended(own));
    for (size_t i = 0; i < own->count; i++) {
        if (own->addresses[i].storage.any.sa_family == family) {
            *ret = own->addresses[i];
            return true;
        }
    }
    return false;
}

bool wr_endpoint_names_next(const struct wr_endpoint_names *names,
                            size_t *index, struct wr_endpoint_plan *plan)
{
    const bool is_peer = plan->is_remote_name;
    const weir_lookup *lookup = is_peer ? &names->peer : &names->own;
    bool found = false;

    wr_assert(wr_endpoint_plan_has_names(plan));
    while (!found && *index < lookup->count) {
        const struct weir_address *address = &lookup->addresses[(*index)++];
        plan->family = address->storage.any.sa_family;
        *(is_peer ? &plan->remote : &plan->local) = *address;
        found =
            !is_peer || !plan->is_local_name ||
            endpoint_names_find_own(&names->own, plan->family, &plan->local);
    }
    return found;
}

void wr_endpoint_names_fini(struct wr_endpoint_names *names)
{
    wr_assert(!endpoint_names_is_busy(&names->own));
    wr_assert(!endpoint_names_is_busy(&names->peer));
    wr_lookup_fini(&names->own);
    wr_lookup_fini(&names->peer);
}
