/*
 * The start of lookups. Literal addresses and this machine's own names are
 * answered here; lookup.c looks up other names from the ready queue. A text
 * that is not a host name is looked up only in the hosts file.
 */
#include "lookup.h"
#include "resolver.h"

#include <string.h>
#include <weir/error.h>

WEIR_MUST_USE static int lookup_start_literal(weir_lookup *lookup,
                                              const char *literal)
{
    struct weir_address address;

    wr_assert(lookup->state == WR_LOOKUP_IDLE);
    int err = weir_address_parse(literal, lookup->port, &address);
    wr_require(err >= 0, err);
    const enum wr_lookup_part part = address.storage.any.sa_family == AF_INET6
                                         ? WR_LOOKUP_INET6
                                         : WR_LOOKUP_INET;
    if (!wr_lookup_is_open(lookup, part)) {
        return 0;
    }
    if (lookup->canonical) {
        wr_lookup_write_address(&address, lookup->canonical);
    }
    return wr_lookup_add(lookup, part, &address);
}

/* Answers with the loopback addresses, or (@passive) the wildcard addresses. */
WEIR_MUST_USE static int lookup_start_self(weir_lookup *lookup, bool passive)
{
    int err = lookup_start_literal(lookup, passive ? "::" : "::1");
    if (err >= 0) {
        err = lookup_start_literal(lookup, passive ? "0.0.0.0" : "127.0.0.1");
    }
    return err;
}

int wr_lookup_check_name(weir_loop *loop, const char *host)
{
    wr_assert(host != NULL);
    if (wr_name_is_valid(host)) {
        return 0;
    }
    const int found = !wr_loop_is_closing(loop) && wr_resolver_is_builtin(loop)
                          ? wr_resolver_has_name(loop, host)
                          : 0;
    wr_require(found >= 0, found);
    wr_require(found > 0, WEIR_EDNSBADNAME);
    return 1;
}

/* Returns 1 for an answered lookup, 0 if a resolver is needed, or an error. */
WEIR_MUST_USE static int
lookup_start_known(weir_lookup *lookup,
                   const struct wr_lookup_question *question)
{
    const char *host = question->host;
    int err = WEIR_ENOTLITERAL;

    if (!host) {
        err = lookup_start_self(lookup, question->passive);
    } else {
        err = lookup_start_literal(lookup, host);
        if (err == WEIR_ENOTLITERAL && !question->numeric_host) {
            err = wr_lookup_check_name(lookup->loop, host);
            wr_require(err >= 0, err);
            lookup->is_for_hosts = err > 0;
            const bool is_known = wr_name_is_localhost(host);
            if (is_known) {
                err = lookup_start_self(lookup, false);
            }
            wr_ignore(wr_lookup_set_canonical(lookup, host) < 0);
            if (!is_known) {
                return 0;
            }
        }
    }
    return err < 0 ? err : 1;
}

static unsigned
lookup_start_get_parts(const struct wr_lookup_question *question)
{
    const unsigned inet6 = 1u << WR_LOOKUP_INET6;
    const unsigned inet = 1u << WR_LOOKUP_INET;

    if (question->family == AF_INET6 && !question->map_ipv4) {
        return inet6;
    }
    return question->family == AF_INET ? inet : inet6 | inet;
}

int wr_lookup_start(weir_lookup *lookup,
                    const struct wr_lookup_question *question)
{
    wr_assert(lookup->state == WR_LOOKUP_IDLE);
    wr_assert(lookup->count == 0);
    wr_assert(question->timeout_ns > 0);
    lookup->port = question->port;
    lookup->timeout_ns = question->timeout_ns;
    lookup->configured_only = question->configured_only;
    lookup->is_fresh = question->fresh;
    lookup->map_ipv4 = question->map_ipv4;
    lookup->map_all = question->map_all;
    lookup->canonical = question->canonical;
    lookup->cache = question->canonical ? NULL : &wr_cache_resolver;
    lookup->asked = lookup_start_get_parts(question);
    lookup->open = lookup->asked;
    int known = lookup_start_known(lookup, question);
    wr_assert(known >= 0 || lookup->capacity == 0);
    wr_require(known >= 0, known);
    if (known > 0) {
        wr_lookup_close_all(lookup, lookup->count > 0 ? 0 : WEIR_EDNSNODATA);
        return 0;
    }
    wr_assert(strlen(question->host) < sizeof(lookup->host));
    memcpy(lookup->host, question->host, strlen(question->host) + 1);
    wr_lookup_set_state(lookup, WR_LOOKUP_WAITING);
    wr_ready_push(&lookup->loop->ready, &lookup->ready);
    return 0;
}

void wr_lookup_start_srv(weir_lookup *lookup, const char *name,
                         uint64_t timeout_ns)
{
    wr_assert(lookup->state == WR_LOOKUP_IDLE);
    wr_assert(strlen(name) < sizeof(lookup->host));
    memcpy(lookup->host, name, strlen(name) + 1);
    lookup->timeout_ns = timeout_ns;
    lookup->asked = 1u << WR_LOOKUP_SRV;
    lookup->open = lookup->asked;
    wr_lookup_set_state(lookup, WR_LOOKUP_WAITING);
    wr_ready_push(&lookup->loop->ready, &lookup->ready);
}

int wr_lookup_start_reverse(weir_lookup *lookup,
                            const struct weir_address *address,
                            uint64_t timeout_ns)
{
    wr_assert(lookup->state == WR_LOOKUP_IDLE);
    wr_assert(address->len > 0);
    wr_assert(timeout_ns > 0);
    lookup->address = *address;
    lookup->timeout_ns = timeout_ns;
    lookup->asked = 1u << WR_LOOKUP_NAME;
    lookup->open = lookup->asked;
    wr_lookup_set_state(lookup, WR_LOOKUP_WAITING);
    wr_ready_push(&lookup->loop->ready, &lookup->ready);
    return 0;
}
