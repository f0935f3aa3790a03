/*
 * Lookups.
 *
 *     IDLE --start--> WAITING --ready item--> ASKING --answers--> ANSWERED
 *                        |                      |                  ^   |
 *                        |                  given up               |   |
 *                        |                      v                  |   |
 *                    cancelled               LEAVING --time-out----+   |
 *                        |                      |                      |
 *                        |                  cancelled             ready item
 *                        v                      v                      v
 *                        +-------------------> ENDED <-----------------+
 *
 * LEAVING: the resolver's cancel function is running. Answers are refused then,
 * and the lookup may be cancelled.
 *
 * A literal address and this machine's own names need no resolver: they are
 * answered at the start. A family that this machine lacks is checked, if the
 * question says so, before the resolver is asked. No code of the program runs
 * inside a start: the resolver, which may be the program's, is asked from the
 * ready queue, on the loop's stack, and the owner is called there too.
 * lookup_answer.c has the answer.
 */
#include "lookup.h"

#include "configured.h"
#include "resolver.h"

#include <string.h>
#include <weir/error.h>

/* Closes the open parts with one error. */
static void lookup_close_all(weir_lookup *lookup, int err)
{
    for (enum wr_lookup_part part = 0; part < WR_LOOKUP_PARTS; part++) {
        if (wr_lookup_is_open(lookup, part)) {
            wr_lookup_close(lookup, part, err);
        }
    }
}

/* ---- the course of a lookup ---- */

/* Drops the families that this machine has no address of. With no family left
 * the lookup is answered with WEIR_EDNSNODATA, and this returns false. */
static bool lookup_limit_families(weir_lookup *lookup)
{
    const unsigned configured = wr_configured_families();
    wr_assert(lookup->open == lookup->asked);

    if (configured == 0) {
        return true;
    }
    if ((lookup->asked & configured) == 0) {
        lookup_close_all(lookup, WEIR_EDNSNODATA);
        return false;
    }
    lookup->asked &= configured;
    lookup->open = lookup->asked;
    return true;
}

static void lookup_ask(weir_lookup *lookup)
{
    weir_loop *loop = lookup->loop;
    int family = AF_UNSPEC;
    int err;

    wr_assert(lookup->open == lookup->asked);
    wr_assert(lookup->count == 0);
    if (lookup->configured_only && !lookup_limit_families(lookup)) {
        return;
    }
    wr_lookup_set_state(lookup, WR_LOOKUP_ASKING);
    lookup->resolver = wr_resolver_get(loop, &lookup->user);
    if (lookup->timeout_ns != UINT64_MAX) {
        wr_timer_arm(&loop->wheel, &lookup->timer,
                     wr_add_sat(loop->now_ns, lookup->timeout_ns));
    }
    if (lookup->asked & (1u << WR_LOOKUP_NAME)) {
        err = lookup->resolver->start_reverse
                  ? lookup->resolver->start_reverse(
                        lookup->user, lookup, &lookup->address, &lookup->data)
                  : WEIR_EDNSNOTFOUND;
    } else {
        if (!wr_lookup_is_open(lookup, WR_LOOKUP_INET)) {
            family = AF_INET6;
        } else if (!wr_lookup_is_open(lookup, WR_LOOKUP_INET6)) {
            family = AF_INET;
        }
        err = lookup->resolver->start(lookup->user, lookup, lookup->host,
                                      family, &lookup->data);
    }
    wr_loop_end_if_forked(loop);
    if (err < 0 && lookup->state == WR_LOOKUP_ASKING) {
        lookup_close_all(lookup, err);
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

/* Takes the lookup from its resolver, which may cancel the lookup. */
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
        lookup_close_all(lookup, WEIR_EDNSTIMEOUT);
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

/* ---- the start ---- */

void wr_lookup_init(weir_lookup *lookup, weir_loop *loop,
                    void (*changed)(weir_lookup *lookup))
{
    wr_assert(changed != NULL);
    memset(lookup, 0, sizeof(*lookup));
    lookup->loop = loop;
    lookup->state = WR_LOOKUP_IDLE;
    lookup->changed = changed;
    lookup->ttl_ns = UINT64_MAX;
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
    lookup->addresses = NULL;
    lookup->count = 0;
    lookup->inet6_count = 0;
    lookup->capacity = 0;
}

/* Answers an open part with a literal address. */
WEIR_MUST_USE static int lookup_answer_literal(weir_lookup *lookup,
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
        return 0; /* of a family that was not asked for */
    }
    if (lookup->canonical) {
        wr_lookup_write_address(&address, lookup->canonical);
    }
    return wr_lookup_add(lookup, part, &address);
}

/* Answers with the loopback addresses, or (@passive) the wildcard addresses. */
WEIR_MUST_USE static int lookup_answer_self(weir_lookup *lookup, bool passive)
{
    int err = lookup_answer_literal(lookup, passive ? "::" : "::1");
    if (err >= 0) {
        err = lookup_answer_literal(lookup, passive ? "0.0.0.0" : "127.0.0.1");
    }
    return err;
}

/* Answers a question that needs no resolver: 1: answered, 0: not, or an
 * error. */
WEIR_MUST_USE static int
lookup_answer_known(weir_lookup *lookup,
                    const struct wr_lookup_question *question)
{
    const char *host = question->host;
    int err = WEIR_ENOTLITERAL;

    if (!host) {
        err = lookup_answer_self(lookup, question->passive);
    } else {
        err = lookup_answer_literal(lookup, host);
        if (err == WEIR_ENOTLITERAL && !question->numeric_host) {
            wr_require(wr_name_is_valid(host), WEIR_EDNSBADNAME);
            const bool is_known = wr_name_is_localhost(host);
            err = is_known ? lookup_answer_self(lookup, false) : 0;
            wr_ignore(wr_lookup_set_canonical(lookup, host) < 0);
            if (!is_known) {
                return 0;
            }
        }
    }
    return err < 0 ? err : 1;
}

/* The families to ask for, one bit each. */
static unsigned lookup_get_parts(const struct wr_lookup_question *question)
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
    lookup->map_ipv4 = question->map_ipv4;
    lookup->map_all = question->map_all;
    lookup->canonical = question->canonical;
    lookup->asked = lookup_get_parts(question);
    lookup->open = lookup->asked;
    int known = lookup_answer_known(lookup, question);
    if (known < 0) {
        wr_lookup_fini(lookup);
        return known;
    }
    if (known > 0) {
        /* The state goes from IDLE to ANSWERED with the last part. */
        lookup_close_all(lookup, lookup->count > 0 ? 0 : WEIR_EDNSNODATA);
        return 0;
    }
    wr_assert(strlen(question->host) < sizeof(lookup->host));
    memcpy(lookup->host, question->host, strlen(question->host) + 1);
    wr_lookup_set_state(lookup, WR_LOOKUP_WAITING);
    wr_ready_push(&lookup->loop->ready, &lookup->ready);
    return 0;
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
