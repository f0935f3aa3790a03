/*
 * A candidate is a route together with one of its configured first bytes. It
 * matches the client, does not match, or may match after more bytes. The most
 * specific match wins: by the server name, then the protocol, then the length
 * of the first bytes, then the kind of client. More bytes are awaited only for
 * a candidate that would win.
 *
 * Server names are compared as in DNS, without regard to case and a trailing
 * dot.
 *
 * Routes are found by hashes of their names: no name, the exact name, and each
 * "*.NAME" above it. Hashes are computed from the end of a name, so one pass
 * gives all of them. While the name of a client is unknown, every route with a
 * name may still match and would win over routes without a name.
 */
#include "matching.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* In ascending order: verdicts are combined by taking the least. */
enum verdict {
    NO,
    MAYBE,
    YES,
};

enum {
    RECORD_HANDSHAKE = 22,
    RECORD_MAJOR = 3, /* the same since SSL 3.0 */
    RECORD_BODY = 5,  /* offset of the record's body */
    CLIENT_HELLO = 1,
};

enum matching_kind matching_guess(const uint8_t *data, size_t len)
{
    if ((len > 0 && data[0] != RECORD_HANDSHAKE) ||
        (len > 1 && data[1] != RECORD_MAJOR)) {
        return MATCHING_PLAIN;
    }
    if (len <= RECORD_BODY) {
        return MATCHING_UNKNOWN;
    }
    return data[RECORD_BODY] == CLIENT_HELLO ? MATCHING_TLS : MATCHING_PLAIN;
}

size_t matching_length_of(const char *name)
{
    const size_t len = strlen(name);

    return len > 1 && name[len - 1] == '.' ? len - 1 : len;
}

bool matching_is_host_name(const char *name)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    const size_t len = matching_length_of(name);

    return len > 0 && len <= 253 && strspn(name, chars) >= len &&
           name[0] != '.' && name[len - 1] != '.' && !strstr(name, "..");
}

bool matching_is_within(const char *top, const char *name)
{
    const size_t len = matching_length_of(name);
    const size_t tail = matching_length_of(top);

    return len >= tail && strncasecmp(name + len - tail, top, tail) == 0 &&
           (len == tail || name[len - tail - 1] == '.');
}

/* Matches a name, or with a pattern "*.NAME" all host names below NAME. Clients
 * may request a name that is no host name. */
static bool is_for(const char *pattern, const char *name)
{
    const bool is_below = strncmp(pattern, "*.", 2) == 0;
    const size_t len = matching_length_of(name);
    const size_t tail = matching_length_of(pattern) - is_below;

    return (is_below ? len > tail : len == tail) &&
           strncasecmp(name + len - tail, pattern + is_below, tail) == 0 &&
           (!is_below || matching_is_host_name(name));
}

static enum verdict judge_name(const struct config_route *route,
                               const struct matching_facts *facts)
{
    if (!route->server_name) {
        return YES;
    }
    if (facts->name) {
        return is_for(route->server_name, facts->name) ? YES : NO;
    }
    return facts->kind == MATCHING_UNKNOWN ? MAYBE : NO;
}

bool matching_has_text(const struct config_texts *texts, const char *text,
                       size_t len)
{
    for (size_t i = 0; i < texts->count; i++) {
        if (strlen(texts->texts[i]) == len &&
            memcmp(texts->texts[i], text, len) == 0) {
            return true;
        }
    }
    return false;
}

static enum verdict judge_alpn(const struct config_route *route,
                               const struct matching_facts *facts)
{
    struct weir_alpn_list left = facts->offered;
    struct weir_alpn_name name;

    if (route->alpn.count == 0) {
        return YES;
    }
    if (facts->agreed.len > 0 && !route->passes_tls) {
        return matching_has_text(&route->alpn, facts->agreed.data,
                                 facts->agreed.len)
                   ? YES
                   : NO;
    }
    while (route->passes_tls && weir_client_hello_alpn_next(&left, &name)) {
        if (matching_has_text(&route->alpn, name.data, name.len)) {
            return YES;
        }
    }
    return facts->kind == MATCHING_UNKNOWN ? MAYBE : NO;
}

/* Checks the kind of client. While the kind is unknown, a route for any kind
 * matches if it passes TLS on; otherwise it may match. */
static enum verdict judge_kind(const struct config_route *route,
                               const struct matching_facts *facts)
{
    const bool is_unknown = facts->kind == MATCHING_UNKNOWN;

    switch (route->as) {
    case AS_TLS:
        return facts->kind == MATCHING_TLS ? YES : is_unknown ? MAYBE : NO;
    case AS_PLAIN:
        return facts->kind == MATCHING_PLAIN ? YES : is_unknown ? MAYBE : NO;
    case AS_SILENT:
        return facts->kind == MATCHING_SILENT                  ? YES
               : facts->may_be_silent && facts->begin_len == 0 ? MAYBE
                                                               : NO;
    case AS_ANY:
    default:
        return is_unknown && !route->passes_tls ? MAYBE : YES;
    }
}

/* Checks the first bytes. They are unknown while TLS is not terminated. @begin
 * is NULL for a route without first bytes. */
static enum verdict judge_begin(const struct config_route *route,
                                const struct config_begin *begin,
                                const struct matching_facts *facts)
{
    const bool is_inside =
        facts->kind == MATCHING_TLS ||
        (facts->kind == MATCHING_UNKNOWN && route->as == AS_TLS);

    if (!begin) {
        return YES;
    }
    if (facts->kind == MATCHING_SILENT) {
        return NO;
    }
    if (is_inside && !facts->is_open) {
        return MAYBE;
    }
    const size_t len =
        facts->begin_len < begin->len ? facts->begin_len : begin->len;
    if (len > 0 && memcmp(facts->begin, begin->bytes, len) != 0) {
        return NO;
    }
    return len == begin->len ? YES : MAYBE;
}

static enum verdict least(enum verdict a, enum verdict b)
{
    return a < b ? a : b;
}

static enum verdict judge_route(const struct config_route *route,
                                const struct matching_facts *facts)
{
    if (facts->is_open && route->passes_tls) {
        return NO;
    }
    return least(judge_kind(route, facts),
                 least(judge_name(route, facts), judge_alpn(route, facts)));
}

/* Added last to a hash, so that names, patterns and a missing name have
 * different hashes. Each value is greater than any byte. */
enum {
    END_OF_NAME = 256,
    END_OF_PATTERN, /* "*.NAME", starting at its dot */
    NO_NAME,
};

static uint64_t add_letter(uint64_t hash, char letter)
{
    const bool is_upper = letter >= 'A' && letter <= 'Z';

    return hashes_add_byte(hash,
                           (uint8_t)(is_upper ? letter + ('a' - 'A') : letter));
}

static uint64_t hash_pattern(const char *name)
{
    const bool is_below = name && name[0] == '*';
    uint64_t hash = HASHES_BASIS;

    if (!name) {
        return hashes_add_byte(hash, NO_NAME);
    }
    for (size_t i = matching_length_of(name); i-- > is_below;) {
        hash = add_letter(hash, name[i]);
    }
    return hashes_add_byte(hash, is_below ? END_OF_PATTERN : END_OF_NAME);
}

bool matching_index(struct config_service *service)
{
    hashes_free(&service->by_name);
    for (size_t i = 0; i < service->route_count; i++) {
        if (!hashes_add(&service->by_name,
                        hash_pattern(service->routes[i].server_name), i)) {
            return false;
        }
    }
    hashes_sort(&service->by_name);
    return true;
}

size_t matching_find_named(const struct config_service *service,
                           const struct config_route *route,
                           const struct hashed **ret)
{
    return hashes_find(&service->by_name, hash_pattern(route->server_name),
                       ret);
}

/* The rank of the name is shifted to this bit. */
#define NAME_SHIFT 32

static uint64_t rank_of(const struct config_route *route, size_t begin_len)
{
    const char *name = route->server_name;
    const uint64_t by_name =
        !name ? 0 : strlen(name) + (name[0] == '*' ? 1 : 1000);
    const uint64_t by_kind = route->as == AS_SILENT ? 2 : route->as != AS_ANY;

    return by_name << NAME_SHIFT | (uint64_t)(route->alpn.count > 0) << 24 |
           (uint64_t)begin_len << 8 | by_kind;
}

/* The best candidate so far; @route is SIZE_MAX if there is none. */
struct best {
    size_t route;
    uint64_t rank;
};

/* Keeps the better candidate; if both are equal, the earlier route. */
static void consider(struct best *best, size_t route, uint64_t rank)
{
    if (rank > best->rank || (rank == best->rank && route < best->route)) {
        *best = (struct best){route, rank};
    }
}

struct search {
    const struct config_service *service;
    const struct matching_facts *facts;
    enum verdict wanted;
    bool is_by_hello; /* ignores first bytes; any verdict except NO */
    size_t other;     /* a route that is left out, or SIZE_MAX */
    struct best best;
};

static void judge(struct search *search, size_t number)
{
    const struct config_route *route = &search->service->routes[number];
    const enum verdict verdict =
        number == search->other ? NO : judge_route(route, search->facts);
    const size_t count = route->begin_count > 0 ? route->begin_count : 1;

    if (search->is_by_hello && verdict != NO) {
        consider(&search->best, number, rank_of(route, 0));
        return;
    }
    for (size_t i = 0; i < count && verdict != NO; i++) {
        const struct config_begin *begin =
            route->begin_count > 0 ? &route->begins[i] : NULL;
        if (least(verdict, judge_begin(route, begin, search->facts)) ==
            search->wanted) {
            consider(&search->best, number,
                     rank_of(route, begin ? begin->len : 0));
        }
    }
}

static void judge_all(struct search *search, uint64_t hash)
{
    const struct hashed *found;
    const size_t count = hashes_find(&search->service->by_name, hash, &found);

    for (size_t i = 0; i < count; i++) {
        judge(search, found[i].number);
    }
}

/* Considers routes with this name or with a pattern that includes it. */
static void judge_named(struct search *search, const char *name)
{
    uint64_t hash = HASHES_BASIS;

    for (size_t i = matching_length_of(name); i-- > 0;) {
        hash = add_letter(hash, name[i]);
        if (name[i] == '.' && i > 0) {
            judge_all(search, hashes_add_byte(hash, END_OF_PATTERN));
        }
    }
    judge_all(search, hashes_add_byte(hash, END_OF_NAME));
}

static struct best find(struct search search)
{
    const struct matching_facts *facts = search.facts;
    const size_t count = search.service->route_count;

    search.best.route = SIZE_MAX;
    judge_all(&search, hash_pattern(NULL));
    if (facts->name) {
        judge_named(&search, facts->name);
        return search.best;
    }
    const bool may_be_named =
        facts->kind == MATCHING_UNKNOWN && search.wanted == MAYBE;
    for (size_t i = 0;
         i < count && may_be_named && search.best.rank >> NAME_SHIFT == 0;
         i++) {
        if (search.service->routes[i].server_name) {
            judge(&search, i);
        }
    }
    return search.best;
}

static int give(size_t route, size_t *ret_route)
{
    if (route == SIZE_MAX) {
        return -ENOENT;
    }
    *ret_route = route;
    return 0;
}

int matching_choose(const struct config_service *service,
                    const struct matching_facts *facts, size_t *ret_route)
{
    const struct best sure = find((struct search){
        .service = service, .facts = facts, .wanted = YES, .other = SIZE_MAX});

    if (!facts->is_over) {
        const struct best open = find((struct search){.service = service,
                                                      .facts = facts,
                                                      .wanted = MAYBE,
                                                      .other = sure.route});
        if (open.route != SIZE_MAX &&
            (sure.route == SIZE_MAX || open.rank > sure.rank)) {
            return -EAGAIN;
        }
    }
    return give(sure.route, ret_route);
}

int matching_choose_by_hello(const struct config_service *service,
                             const struct matching_facts *facts,
                             size_t *ret_route)
{
    return give(find((struct search){.service = service,
                                     .facts = facts,
                                     .is_by_hello = true,
                                     .other = SIZE_MAX})
                    .route,
                ret_route);
}

struct weir_alpn_name matching_agree(const struct config_texts *own,
                                     const struct weir_alpn_list *offered)
{
    for (size_t i = 0; i < own->count; i++) {
        if (weir_client_hello_alpn_has(offered, own->texts[i])) {
            return (struct weir_alpn_name){own->texts[i],
                                           strlen(own->texts[i])};
        }
    }
    return (struct weir_alpn_name){.len = 0};
}

/* ---- routes that cannot be told apart ---- */

static bool is_same_name(const char *a, const char *b)
{
    if (!a || !b) {
        return a == b;
    }
    return matching_length_of(a) == matching_length_of(b) &&
           strncasecmp(a, b, matching_length_of(a)) == 0;
}

static bool shares_alpn(const struct config_route *a,
                        const struct config_route *b)
{
    for (size_t i = 0; i < a->alpn.count; i++) {
        if (matching_has_text(&b->alpn, a->alpn.texts[i],
                              strlen(a->alpn.texts[i]))) {
            return true;
        }
    }
    return a->alpn.count == 0 && b->alpn.count == 0;
}

static bool shares_begin(const struct config_route *a,
                         const struct config_route *b)
{
    for (size_t i = 0; i < a->begin_count; i++) {
        for (size_t j = 0; j < b->begin_count; j++) {
            if (a->begins[i].len == b->begins[j].len &&
                memcmp(a->begins[i].bytes, b->begins[j].bytes,
                       a->begins[i].len) == 0) {
                return true;
            }
        }
    }
    return a->begin_count == 0 && b->begin_count == 0;
}

bool matching_is_same_hello(const struct config_route *a,
                            const struct config_route *b)
{
    return is_same_name(a->server_name, b->server_name) && shares_alpn(a, b);
}

bool matching_is_same(const struct config_route *a,
                      const struct config_route *b)
{
    return a->as == b->as && matching_is_same_hello(a, b) && shares_begin(a, b);
}
