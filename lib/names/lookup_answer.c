/*
 * The answer of a lookup, which a resolver adds part by part. Addresses are in
 * one array, IPv6 first, without duplicates and with the lookup's port; each
 * family has a limit. Closing a part schedules the ready item, which calls the
 * owner.
 */
#include "lookup.h"

#include "lib/base/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>
#include <weir/error.h>

#define CAPACITY_MIN 4u

void wr_lookup_set_state(weir_lookup *lookup, enum wr_lookup_state state)
{
    static const bool allowed[][WR_LOOKUP_ENDED + 1] = {
        [WR_LOOKUP_IDLE] =
            {[WR_LOOKUP_WAITING] = true, [WR_LOOKUP_ANSWERED] = true},
        [WR_LOOKUP_WAITING] = {[WR_LOOKUP_ASKING] = true,
                               [WR_LOOKUP_ANSWERED] = true,
                               [WR_LOOKUP_ENDED] = true},
        [WR_LOOKUP_ASKING] =
            {[WR_LOOKUP_LEAVING] = true, [WR_LOOKUP_ANSWERED] = true},
        [WR_LOOKUP_LEAVING] =
            {[WR_LOOKUP_ANSWERED] = true, [WR_LOOKUP_ENDED] = true},
        [WR_LOOKUP_ANSWERED] = {[WR_LOOKUP_ENDED] = true},
        [WR_LOOKUP_ENDED] = {false},
    };
    wr_assert(allowed[lookup->state][state]);
    lookup->state = state;
}

void wr_lookup_check_invariants(const weir_lookup *lookup)
{
    const bool is_ready = wr_ready_is_pending(&lookup->ready);

    wr_assert(!wr_list_is_linked(&lookup->sharing) || lookup->open != 0);
    wr_assert((lookup->open & ~lookup->asked) == 0);
    wr_assert(lookup->inet6_count <= lookup->count);
    wr_assert(lookup->count <= lookup->capacity);
    wr_assert(lookup->count <= 2u * WEIR_ADDRESSES_MAX);
    switch (lookup->state) {
    case WR_LOOKUP_IDLE:
    case WR_LOOKUP_ENDED:
        wr_assert(!is_ready);
        wr_assert(!wr_timer_is_armed(&lookup->timer));
        break;
    case WR_LOOKUP_WAITING:
        wr_assert(lookup->open != 0);
        break;
    case WR_LOOKUP_ASKING:
    case WR_LOOKUP_LEAVING:
        wr_assert(lookup->open != 0);
        wr_assert(lookup->resolver != NULL);
        break;
    case WR_LOOKUP_ANSWERED:
        wr_assert(lookup->open == 0);
        break;
    }
}

/* Prefers temporary errors (SERVFAIL, time-out) to NODATA, then to NOTFOUND. */
static int lookup_answer_choose_error(int one, int other)
{
    if (one == 0 || one == WEIR_EDNSNOTFOUND) {
        return other == 0 ? one : other;
    }
    if (one == WEIR_EDNSNODATA) {
        return other == 0 || other == WEIR_EDNSNOTFOUND ? one : other;
    }
    return one;
}

int wr_lookup_get_result(const weir_lookup *lookup)
{
    int err = 0;

    if (lookup->count > 0) {
        return 0;
    }
    for (enum wr_lookup_part part = 0; part < WR_LOOKUP_PARTS; part++) {
        if (lookup->asked & (1u << part)) {
            err = lookup_answer_choose_error(err, lookup->errs[part]);
        }
    }
    wr_assert(err < 0 || (lookup->asked & (1u << WR_LOOKUP_NAME)) ||
              lookup->srv_count > 0);
    return err;
}

WEIR_MUST_USE static int lookup_answer_make_room(weir_lookup *lookup)
{
    const struct weir_allocator *allocator = &lookup->loop->counting;
    const size_t capacity =
        lookup->capacity > 0 ? lookup->capacity * 2 : CAPACITY_MIN;

    if (lookup->count < lookup->capacity) {
        return 0;
    }
    struct weir_address *addresses =
        wr_alloc(allocator, capacity * sizeof(*addresses));
    wr_require(addresses, -ENOMEM);
    if (lookup->count > 0) {
        memcpy(addresses, lookup->addresses,
               lookup->count * sizeof(*addresses));
    }
    wr_free(allocator, lookup->addresses,
            lookup->capacity * sizeof(*addresses));
    lookup->addresses = addresses;
    lookup->capacity = capacity;
    return 0;
}

static int lookup_answer_get_family(enum wr_lookup_part part)
{
    return part == WR_LOOKUP_INET6 ? AF_INET6 : AF_INET;
}

static struct weir_address
lookup_answer_clean(const weir_lookup *lookup,
                    const struct weir_address *address)
{
    struct weir_address clean = {.len = 0};

    if (address->storage.any.sa_family == AF_INET6) {
        clean.len = sizeof(clean.storage.inet6);
        clean.storage.inet6.sin6_addr = address->storage.inet6.sin6_addr;
        clean.storage.inet6.sin6_scope_id =
            address->storage.inet6.sin6_scope_id;
    } else {
        clean.len = sizeof(clean.storage.inet);
        clean.storage.inet.sin_addr = address->storage.inet.sin_addr;
    }
    clean.storage.any.sa_family = address->storage.any.sa_family;
    wr_address_set_port(&clean, lookup->port);
    return clean;
}

int wr_lookup_add(weir_lookup *lookup, enum wr_lookup_part part,
                  const struct weir_address *address)
{
    const bool is_inet6 = part == WR_LOOKUP_INET6;
    const size_t family_count =
        is_inet6 ? lookup->inet6_count : lookup->count - lookup->inet6_count;

    wr_assert(wr_lookup_is_open(lookup, part));
    wr_assert(part < WR_LOOKUP_NAME);
    wr_assert(address->storage.any.sa_family == lookup_answer_get_family(part));
    const struct weir_address clean = lookup_answer_clean(lookup, address);
    if (family_count >= WEIR_ADDRESSES_MAX ||
        wr_address_is_among(&clean, lookup->addresses, lookup->count)) {
        return 0;
    }
    int err = lookup_answer_make_room(lookup);
    if (err < 0) {
        return err;
    }
    const size_t index = is_inet6 ? lookup->inet6_count : lookup->count;
    memmove(&lookup->addresses[index + 1], &lookup->addresses[index],
            (lookup->count - index) * sizeof(clean));
    lookup->addresses[index] = clean;
    lookup->count++;
    lookup->inet6_count += is_inet6;
    return 0;
}

void wr_lookup_close(weir_lookup *lookup, enum wr_lookup_part part, int err)
{
    wr_assert(err <= 0);
    wr_assert(wr_lookup_is_open(lookup, part));
    lookup->open &= ~(1u << part);
    lookup->errs[part] = err;
    lookup->has_news = true;
    if (lookup->open == 0) {
        wr_timer_cancel(&lookup->loop->wheel, &lookup->timer);
        wr_lookup_set_state(lookup, WR_LOOKUP_ANSWERED);
    }
    wr_ready_push(&lookup->loop->ready, &lookup->ready);
    if (lookup->closed) {
        lookup->closed(lookup, part);
    }
}

void wr_lookup_close_with_name(weir_lookup *lookup, const char *name)
{
    wr_assert(strlen(name) < sizeof(lookup->host));
    memcpy(lookup->host, name, strlen(name) + 1);
    wr_lookup_close(lookup, WR_LOOKUP_NAME, 0);
}

void wr_lookup_close_with_srv(weir_lookup *lookup,
                              const struct weir_srv *records, size_t count)
{
    struct weir_srv *copy =
        wr_alloc(&lookup->loop->counting, count * sizeof(*copy));

    wr_assert(count > 0 && count <= WEIR_SRV_MAX);
    if (!copy) {
        wr_lookup_close(lookup, WR_LOOKUP_SRV, -ENOMEM);
        return;
    }
    memcpy(copy, records, count * sizeof(*copy));
    lookup->srv = copy;
    lookup->srv_count = count;
    wr_lookup_close(lookup, WR_LOOKUP_SRV, 0);
}

void wr_lookup_close_all(weir_lookup *lookup, int err)
{
    for (enum wr_lookup_part part = 0; part < WR_LOOKUP_PARTS; part++) {
        if (wr_lookup_is_open(lookup, part)) {
            wr_lookup_close(lookup, part, err);
        }
    }
}

void wr_lookup_map(weir_lookup *lookup)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

    wr_assert(lookup->state == WR_LOOKUP_ENDED);
    if (!lookup->map_ipv4) {
        return;
    }
    wr_assert(lookup->count > 0);
    if (lookup->inet6_count > 0 && !lookup->map_all) {
        lookup->count = lookup->inet6_count;
    }
    for (size_t i = lookup->inet6_count; i < lookup->count; i++) {
        const struct sockaddr_in inet = lookup->addresses[i].storage.inet;
        struct sockaddr_in6 mapped = {.sin6_family = AF_INET6,
                                      .sin6_port = inet.sin_port};
        memcpy(&mapped.sin6_addr, prefix, sizeof(prefix));
        memcpy(mapped.sin6_addr.s6_addr + sizeof(prefix), &inet.sin_addr,
               sizeof(inet.sin_addr));
        lookup->addresses[i].len = sizeof(mapped);
        lookup->addresses[i].storage.inet6 = mapped;
    }
}

void wr_lookup_write_address(const struct weir_address *address,
                             char ret[WEIR_HOST_SIZE])
{
    char text[WEIR_ADDRESS_TEXT_SIZE];

    _Static_assert(INET6_ADDRSTRLEN + IF_NAMESIZE + sizeof("[%]:65535") <=
                       WEIR_HOST_SIZE,
                   "an address fits");
    weir_address_format(address, text, sizeof(text));
    char *colon = strrchr(text, ':');
    wr_assert(colon != NULL);
    *colon = '\0';
    char *end = text[0] == '[' ? strchr(text, ']') : NULL;
    if (end) {
        *end = '\0';
    }
    wr_assert((end == NULL) == (text[0] != '['));
    const char *host = end ? text + 1 : text;
    memcpy(ret, host, strlen(host) + 1);
}

int wr_lookup_set_canonical(weir_lookup *lookup, const char *name)
{
    wr_require(wr_name_is_valid(name), WEIR_EDNSBADANSWER);
    if (lookup->canonical) {
        wr_name_write(name, lookup->canonical);
    }
    return 0;
}

int weir_lookup_set_canonical_name(weir_lookup *lookup, const char *name)
{
    wr_require_loop(lookup->loop);
    wr_require(name, -EINVAL);
    wr_require(lookup->asked < 1u << WR_LOOKUP_NAME, -EINVAL);
    wr_require(lookup->state == WR_LOOKUP_ASKING, -ESTALE);
    return wr_lookup_set_canonical(lookup, name);
}

void wr_lookup_note_ttl(weir_lookup *lookup, uint64_t ttl_ns)
{
    wr_assert(lookup->state == WR_LOOKUP_ASKING);
    lookup->ttl_ns = wr_min_u64(lookup->ttl_ns, ttl_ns);
}

int weir_lookup_set_ttl(weir_lookup *lookup, uint64_t ttl_ns)
{
    wr_require_loop(lookup->loop);
    wr_require(!(lookup->asked & (1u << WR_LOOKUP_NAME)), -EINVAL);
    wr_require(lookup->state == WR_LOOKUP_ASKING, -ESTALE);
    wr_lookup_note_ttl(lookup, ttl_ns);
    return 0;
}

static void lookup_answer_part(weir_lookup *lookup, enum wr_lookup_part part,
                               int err, const struct weir_address *addresses,
                               size_t count)
{
    size_t added = 0;

    for (size_t i = 0; i < count && err == 0; i++) {
        const struct weir_address *address = &addresses[i];
        if (address->len > 0 &&
            address->storage.any.sa_family == lookup_answer_get_family(part)) {
            err = wr_lookup_add(lookup, part, address);
            added++;
        }
    }
    if (err == 0 && added == 0) {
        err = WEIR_EDNSNODATA;
    }
    wr_lookup_close(lookup, part, err);
}

int weir_resolver_reply_addresses(weir_lookup *lookup, int family, int err,
                                  const struct weir_address *addresses,
                                  size_t count)
{
    const unsigned inet6 = 1u << WR_LOOKUP_INET6;
    const unsigned inet = 1u << WR_LOOKUP_INET;

    wr_require_loop(lookup->loop);
    wr_require(err <= 0, -EINVAL);
    wr_require(addresses || count == 0, -EINVAL);
    wr_require(family == AF_UNSPEC || family == AF_INET || family == AF_INET6,
               -EINVAL);
    const unsigned parts = family == AF_INET6  ? inet6
                           : family == AF_INET ? inet
                                               : inet6 | inet;
    wr_require(lookup->asked & parts, -EINVAL);
    wr_require(lookup->state == WR_LOOKUP_ASKING, -ESTALE);
    wr_require(lookup->open & parts, -ESTALE);
    const unsigned open = lookup->open & parts;
    if (open & inet6) {
        lookup_answer_part(lookup, WR_LOOKUP_INET6, err, addresses, count);
    }
    if (open & inet) {
        lookup_answer_part(lookup, WR_LOOKUP_INET, err, addresses, count);
    }
    wr_lookup_check_invariants(lookup);
    return 0;
}

int weir_resolver_reply_name(weir_lookup *lookup, int err, const char *host)
{
    wr_require_loop(lookup->loop);
    wr_require(err < 0 || (err == 0 && host), -EINVAL);
    wr_require(lookup->asked & (1u << WR_LOOKUP_NAME), -EINVAL);
    wr_require(lookup->state == WR_LOOKUP_ASKING, -ESTALE);
    if (err == 0 && !wr_name_is_valid(host)) {
        err = WEIR_EDNSBADANSWER; /* the name comes from a DNS record */
    }
    if (err == 0) {
        wr_lookup_close_with_name(lookup, host);
    } else {
        wr_lookup_close(lookup, WR_LOOKUP_NAME, err);
    }
    return 0;
}
