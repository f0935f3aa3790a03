/*
 * Lookups: their queries, time-outs and ends. The table in
 * wr_lookup_set_state() has the transitions of the states.
 *
 * In state LEAVING the resolver's cancel function is running: the lookup
 * refuses answers, and may be cancelled.
 *
 * A start runs no code of the program. The loop calls the resolver, which may
 * be the program's, and the owner from the ready queue, on its own stack.
 */
#include "lookup.h"

#include "resolver.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <string.h>
#include <weir/error.h>

static unsigned lookup_get_configured_bit(const struct sockaddr *address)
{
    struct sockaddr_in6 inet6;
    struct sockaddr_in inet;

    if (address && address->sa_family == AF_INET6) {
        memcpy(&inet6, address, sizeof(inet6));
        return IN6_IS_ADDR_LOOPBACK(&inet6.sin6_addr) ? 0
                                                      : 1u << WR_LOOKUP_INET6;
    }
    if (address && address->sa_family == AF_INET) {
        memcpy(&inet, address, sizeof(inet));
        const uint32_t net = ntohl(inet.sin_addr.s_addr) >> IN_CLASSA_NSHIFT;
        return net == IN_LOOPBACKNET ? 0 : 1u << WR_LOOKUP_INET;
    }
    return 0;
}

/* Returns the families of this machine's addresses, as bits of enum
 * wr_lookup_part, or 0 if there are none or they cannot be read. Link-local
 * addresses (fe80::1) count, as in the C library. Must not be called on the
 * stack of a task. */
static unsigned lookup_find_configured(void)
{
    struct ifaddrs *entries = NULL;
    unsigned families = 0;

    if (getifaddrs(&entries) < 0) {
        return 0;
    }
    for (const struct ifaddrs *entry = entries; entry;
         entry = entry->ifa_next) {
        families |= lookup_get_configured_bit(entry->ifa_addr);
    }
    freeifaddrs(entries);
    wr_assert(families < 1u << WR_LOOKUP_NAME);
    return families;
}

/* If no requested family is left, answers the lookup and returns false. */
static bool lookup_limit_families(weir_lookup *lookup)
{
    const unsigned configured = lookup_find_configured();
    wr_assert(lookup->open == lookup->asked);

    if (configured == 0) {
        return true;
    }
    if ((lookup->asked & configured) == 0) {
        wr_lookup_close_all(lookup, WEIR_EDNSNODATA);
        return false;
    }
    lookup->asked &= configured;
    lookup->open = lookup->asked;
    return true;
}

static int lookup_begin(weir_lookup *lookup)
{
    const struct weir_resolver *resolver = lookup->resolver;
    void *user = lookup->user;
    int family = AF_UNSPEC;

    wr_assert(lookup->state == WR_LOOKUP_ASKING);
    if (lookup->asked & (1u << WR_LOOKUP_NAME)) {
        return resolver->start_reverse
                   ? resolver->start_reverse(user, lookup, &lookup->address,
                                             &lookup->data)
                   : WEIR_EDNSNOTFOUND;
    }
    if (lookup->asked & (1u << WR_LOOKUP_SRV)) {
        return wr_resolver_has_srv(resolver)
                   ? resolver->start_srv(user, lookup, lookup->host,
                                         &lookup->data)
                   : WEIR_EDNSNOTFOUND;
    }
    if (!wr_lookup_is_open(lookup, WR_LOOKUP_INET)) {
        family = AF_INET6;
    } else if (!wr_lookup_is_open(lookup, WR_LOOKUP_INET6)) {
        family = AF_INET;
    }
    return resolver->start(user, lookup, lookup->host, family, &lookup->data);
}

static void lookup_ask(weir_lookup *lookup)
{
    weir_loop *loop = lookup->loop;
    int err;

    wr_assert(lookup->open == lookup->asked);
    wr_assert(lookup->count == 0);
    if (lookup->is_for_hosts && !wr_resolver_is_builtin(loop)) {
        /* The program has set a resolver since the lookup was started. */
        wr_lookup_close_all(lookup, WEIR_EDNSBADNAME);
        return;
    }
    if (lookup->configured_only && !lookup_limit_families(lookup)) {
        return;
    }
    wr_lookup_set_state(lookup, WR_LOOKUP_ASKING);
    if (lookup->cache && wr_resolver_is_shared(loop)) {
        lookup->user = loop;
        lookup->resolver = lookup->cache;
    } else {
        lookup->resolver = wr_resolver_get(loop, &lookup->user);
    }
    if (lookup->timeout_ns != UINT64_MAX) {
        wr_timer_arm(&loop->wheel, &lookup->timer,
                     wr_add_sat(loop->now_ns, lookup->timeout_ns));
    }
    err = lookup_begin(lookup);
    wr_loop_end_if_forked(loop);
    if (err < 0 && lookup->state == WR_LOOKUP_ASKING) {
        wr_lookup_close_all(lookup, err);
    }
}

static void lookup_ready(struct wr_ready *ready)
{
    weir_lookup *lookup = wr_container_of(ready, weir_lookup, ready);

    wr_lookup_check_invariants(lookup);
    if (lookup->state == WR_LOOKUP_WAITING) {
        lookup_ask(lookup);
        wr_ready_cancel(&lookup->ready);
    }
    if (!lookup->has_news || lookup->state == WR_LOOKUP_ENDED) {
        return;
    }
    lookup->has_news = false;
    if (lookup->state == WR_LOOKUP_ANSWERED) {
        wr_lookup_set_state(lookup, WR_LOOKUP_ENDED);
    }
    wr_lookup_check_invariants(lookup);
    lookup->changed(lookup);
}

/* The resolver may cancel the lookup meanwhile. */
static void lookup_forget(weir_lookup *lookup)
{
    wr_lookup_set_state(lookup, WR_LOOKUP_LEAVING);
    weir_task *task =
        wr_loop_begin_callback(lookup->loop); /* cancel() may not suspend */
    lookup->resolver->cancel(lookup->user, lookup, lookup->data);
    wr_loop_end_callback(lookup->loop, task);
    wr_assert(lookup->state == WR_LOOKUP_LEAVING ||
              lookup->state == WR_LOOKUP_ENDED);
}

static void lookup_timer_expired(struct wr_timer *timer)
{
    weir_lookup *lookup = wr_container_of(timer, weir_lookup, timer);

    wr_lookup_check_invariants(lookup);
    wr_assert(lookup->open != 0);
    lookup_forget(lookup);
    if (lookup->state == WR_LOOKUP_LEAVING) {
        wr_lookup_close_all(lookup, WEIR_EDNSTIMEOUT);
    }
}

void wr_lookup_cancel(weir_lookup *lookup)
{
    wr_lookup_check_invariants(lookup);
    if (lookup->state == WR_LOOKUP_ASKING) {
        lookup_forget(lookup);
    }
    if (lookup->state == WR_LOOKUP_IDLE || lookup->state == WR_LOOKUP_ENDED) {
        return;
    }
    wr_ready_cancel(&lookup->ready);
    wr_timer_cancel(&lookup->loop->wheel, &lookup->timer);
    wr_lookup_set_state(lookup, WR_LOOKUP_ENDED);
}

void wr_lookup_init(weir_lookup *lookup, weir_loop *loop,
                    void (*changed)(weir_lookup *lookup))
{
    wr_assert(changed != NULL);
    memset(lookup, 0, sizeof(*lookup));
    lookup->loop = loop;
    lookup->state = WR_LOOKUP_IDLE;
    lookup->changed = changed;
    lookup->ttl_ns = UINT64_MAX;
    wr_list_init(&lookup->sharing);
    wr_ready_init(&lookup->ready, lookup_ready);
    wr_timer_init(&lookup->timer, lookup_timer_expired);
}

void wr_lookup_fini(weir_lookup *lookup)
{
    wr_lookup_check_invariants(lookup);
    wr_assert(lookup->state == WR_LOOKUP_IDLE ||
              lookup->state == WR_LOOKUP_ENDED);
    wr_free(&lookup->loop->counting, lookup->addresses,
            lookup->capacity * sizeof(*lookup->addresses));
    wr_free(&lookup->loop->counting, lookup->srv,
            lookup->srv_count * sizeof(*lookup->srv));
}

void wr_lookup_ask_for(weir_lookup *own, const weir_lookup *lookup,
                       wr_lookup_closed_fn *closed)
{
    wr_assert(own->state == WR_LOOKUP_IDLE);
    wr_assert(lookup->state == WR_LOOKUP_ASKING);
    wr_assert(closed != NULL);
    own->closed = closed;
    own->timeout_ns = UINT64_MAX; /* each lookup has its own limit */
    own->asked = lookup->asked;
    own->open = own->asked;
    own->is_for_hosts = lookup->is_for_hosts;
    memcpy(own->host, lookup->host, strlen(lookup->host) + 1);
    wr_lookup_set_state(own, WR_LOOKUP_WAITING);
    lookup_ask(own);
}
