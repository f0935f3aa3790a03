/*
 * Compares a client's second hello, which a HelloRetryRequest has requested,
 * with its first hello, from which the server has chosen certificate and
 * protocol. Pure functions.
 *
 * Both hellos must have the same extensions, in any order, because wolfSSL's
 * clients change the order. Tickets may be left out, and padding may differ. If
 * the server has requested a share of a group, the second hello must have only
 * this share.
 */
#include "message.h"

enum {
    RETRY_PADDING = 21, /* extensions */
    RETRY_TICKETS = 41,
    RETRY_EARLY = 42,
    RETRY_COOKIE = 44,
    RETRY_SHARES = 51,
    RETRY_ECH = 0xfe0d, /* encrypted hello, which is encrypted again */

    RETRY_FRONT = 2 + 32, /* bytes of version and random value */
    RETRY_AGE = 4,        /* bytes of a ticket's age */
    RETRY_MOST = 128,     /* extensions that are compared with each other */
};

struct retry_extension {
    uint16_t type;
    struct wr_bytes body;
};

static bool retry_is_equal(struct wr_bytes a, struct wr_bytes b)
{
    return a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool retry_take_front(struct wr_bytes *from, struct wr_bytes *ret)
{
    struct wr_bytes part;

    ret->data = from->data;
    if (!wr_bytes_take(from, RETRY_FRONT, &part) ||
        !wr_bytes_take_vector(from, 1, &part) || /* session */
        !wr_bytes_take_vector(from, 2, &part) || /* suites */
        !wr_bytes_take_vector(from, 1, &part)) { /* compression */
        return false;
    }
    ret->size = (size_t)(from->data - ret->data);
    return true;
}

static bool retry_may_change(const struct wr_tls_message_facts *facts,
                             uint16_t type)
{
    switch (type) {
    case RETRY_PADDING:
    case RETRY_TICKETS: /* see retry_keeps_tickets() */
    case RETRY_EARLY:   /* see retry_is_good() */
    case RETRY_ECH:
        return true;
    case RETRY_COOKIE:
        return facts->gave_cookie;
    case RETRY_SHARES:
        return facts->asked_group != 0;
    default:
        return false;
    }
}

static bool retry_take(struct wr_bytes *from, struct retry_extension *ret)
{
    return wr_bytes_take_u16(from, &ret->type) &&
           wr_bytes_take_vector(from, 2, &ret->body);
}

static size_t retry_count(const struct wr_tls_message_facts *facts,
                          struct wr_bytes list)
{
    struct retry_extension one;
    size_t count = 0;

    while (retry_take(&list, &one)) {
        count += !retry_may_change(facts, one.type);
    }
    return count;
}

/* Searches only the first RETRY_MOST extensions, which limits the work. */
static bool retry_has(struct wr_bytes list, const struct retry_extension *same)
{
    struct retry_extension one;

    for (size_t i = 0; i < RETRY_MOST && retry_take(&list, &one); i++) {
        if (one.type == same->type && retry_is_equal(one.body, same->body)) {
            return true;
        }
    }
    return false;
}

static bool retry_has_all(const struct wr_tls_message_facts *facts,
                          struct wr_bytes list, struct wr_bytes of)
{
    struct retry_extension one;

    while (retry_take(&of, &one)) {
        if (!retry_may_change(facts, one.type) && !retry_has(list, &one)) {
            return false;
        }
    }
    return true;
}

static struct wr_bytes retry_find(struct wr_bytes from, uint16_t type)
{
    struct retry_extension one;

    while (retry_take(&from, &one)) {
        if (one.type == type) {
            return one.body;
        }
    }
    return (struct wr_bytes){.data = NULL};
}

static bool retry_take_ticket(struct wr_bytes *from, struct wr_bytes *ret)
{
    struct wr_bytes age;

    return wr_bytes_take_vector(from, 2, ret) &&
           wr_bytes_take(from, RETRY_AGE, &age);
}

/* Checks that the second hello has no new ticket. Tickets may be left out;
 * their ages and binders change. */
static bool retry_keeps_tickets(struct wr_bytes first, struct wr_bytes second)
{
    struct wr_bytes old = {.data = NULL};
    struct wr_bytes new = {.data = NULL};
    struct wr_bytes a;
    struct wr_bytes b;

    if (second.data && (!first.data || !wr_bytes_take_vector(&first, 2, &old) ||
                        !wr_bytes_take_vector(&second, 2, &new))) {
        return false;
    }
    while (retry_take_ticket(&new, &b)) {
        do {
            if (!retry_take_ticket(&old, &a)) {
                return false;
            }
        } while (!retry_is_equal(a, b));
    }
    return true;
}

static bool retry_is_share(struct wr_bytes body, uint16_t asked)
{
    struct wr_bytes list;
    struct wr_bytes share;
    uint16_t group;

    return wr_bytes_take_vector(&body, 2, &list) &&
           wr_bytes_take_u16(&list, &group) && group == asked &&
           wr_bytes_take_vector(&list, 2, &share) && list.size == 0;
}

static bool retry_is_good(const struct wr_tls_message_facts *facts,
                          struct wr_bytes first, struct wr_bytes second)
{
    const struct wr_bytes shares = retry_find(second, RETRY_SHARES);

    return !retry_find(second, RETRY_EARLY).data &&
           retry_keeps_tickets(retry_find(first, RETRY_TICKETS),
                               retry_find(second, RETRY_TICKETS)) &&
           (facts->asked_group == 0 ||
            retry_is_share(shares, facts->asked_group));
}

bool wr_tls_retry_allows(const struct wr_tls_message_facts *facts,
                         struct wr_bytes second)
{
    struct wr_bytes first = facts->first;
    struct wr_bytes old;
    struct wr_bytes new;
    struct wr_bytes list[2];

    wr_assert(facts->is_server && facts->was_asked_again);
    return retry_take_front(&first, &old) && retry_take_front(&second, &new) &&
           retry_is_equal(old, new) &&
           wr_bytes_take_vector(&first, 2, &list[0]) &&
           wr_bytes_take_vector(&second, 2, &list[1]) &&
           retry_count(facts, list[0]) == retry_count(facts, list[1]) &&
           retry_has_all(facts, list[0], list[1]) &&
           retry_has_all(facts, list[1], list[0]) &&
           retry_is_good(facts, list[0], list[1]);
}
