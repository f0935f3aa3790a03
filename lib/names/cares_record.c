/*
 * Records: the queries of one lookup to c-ares, step by step.
 *
 * Each step queries one name for both families concurrently, and ends when both
 * are answered. The step that finds an address is the last, so addresses of two
 * names are never mixed.
 *
 * The search of c-ares is not used. If it is called for each family, the IPv4
 * address may be of a name in one domain and the IPv6 address of a name in
 * another. If it is called for both families together, it answers only when it
 * has both, and loses the error of one family.
 */
#include "cares.h"

#include "lib/base/shortage.h"
#include "srv_answer.h"

#include <string.h>
#include <weir/error.h>

#define ALIASES_MAX 32u

#define NS_PER_S UINT64_C(1000000000)

/* Returns the cause of ARES_ECONNREFUSED, which older versions of c-ares return
 * when all servers have refused, in the call that read the last refusal. */
static int cares_record_get_refusal(const struct cares *cares)
{
    switch (cares->rcode) {
    case CARES_SERVFAIL:
        return WEIR_EDNSSERVFAIL;
    case CARES_NOTIMP:
    case CARES_REFUSED:
        return WEIR_EDNSREFUSED;
    default:
        return wr_err_is_shortage(cares->socket_err) ? cares->socket_err
                                                     : WEIR_EDNSUNREACHABLE;
    }
}

/* ---- the search ----
 *
 * name.c has the order of the names. The rules after a failure are those of the
 * C library. If the name as it was written fails first, all domains follow.
 * After a name in a domain, the next domain follows if the servers know no
 * address, or cannot answer (SERVFAIL): a lame domain hides no other. Otherwise
 * the name as it was written follows: servers that refuse, or do not answer,
 * would do the same for the other domains. The search ends if no server can be
 * reached, if this machine is out of resources, or after an alias without
 * addresses.
 *
 * If nothing is found and the name as it was written was queried first, its
 * error is reported. Otherwise the error is "no address" if any name had it,
 * else SERVFAIL if any name had it, else the last error. */

/* True if another name would fail in the same way: this machine is out of
 * resources, or no server can be reached and no answer was truncated. */
static bool cares_record_tells_end(const struct cares_record *record, int err)
{
    wr_assert(err < 0);
    return err > WEIR_EDNSNOTFOUND ||
           (err == WEIR_EDNSUNREACHABLE && !record->was_truncated);
}

enum cares_record_next {
    CARES_RECORD_DOMAIN,
    CARES_RECORD_AS_IS,
    CARES_RECORD_NONE
};

/* If servers refuse to answer for one family and know no address of the other,
 * continues as if both had no address. */
static enum cares_record_next
cares_record_choose(const struct cares_record *record)
{
    bool is_known = false;
    bool is_odd = false;

    for (enum wr_lookup_part part = 0; part < WR_LOOKUP_PARTS; part++) {
        const int err = record->errs[part];
        if (!wr_lookup_is_open(record->lookup, part)) {
            continue;
        }
        if (cares_record_tells_end(record, err)) {
            return CARES_RECORD_NONE;
        }
        is_known |= err == WEIR_EDNSNOTFOUND || err == WEIR_EDNSNODATA ||
                    err == WEIR_EDNSSERVFAIL;
        is_odd |= err == WEIR_EDNSTIMEOUT || err == WEIR_EDNSBADANSWER;
    }
    return is_known && !is_odd ? CARES_RECORD_DOMAIN : CARES_RECORD_AS_IS;
}

static bool cares_record_has_next(struct cares_record *record)
{
    wr_assert(record->holds == 0);
    wr_assert(record->lookup->open != 0);
    const enum cares_record_next next = cares_record_choose(record);

    if (next == CARES_RECORD_NONE) {
        return false;
    }
    for (enum wr_lookup_part part = 0; part < WR_LOOKUP_PARTS; part++) {
        if (wr_lookup_is_open(record->lookup, part)) {
            record->has_no_data |= record->errs[part] == WEIR_EDNSNODATA;
            record->has_servfail |= record->errs[part] == WEIR_EDNSSERVFAIL;
        }
    }
    if (record->walk.was_first && !record->walk.was_below) {
        memcpy(record->first_errs, record->errs, sizeof(record->errs));
    }
    if (record->has_alias_alone) {
        wr_search_end(&record->walk);
    } else if (next == CARES_RECORD_AS_IS && record->walk.was_below) {
        wr_search_cut(&record->walk);
    }
    return true;
}

static bool cares_record_has_bad_answer(const struct cares_record *record)
{
    for (enum wr_lookup_part part = 0; part < WR_LOOKUP_PARTS; part++) {
        if (wr_lookup_is_open(record->lookup, part) &&
            record->errs[part] == WEIR_EDNSBADANSWER) {
            return true;
        }
    }
    return false;
}

/* Called when the search has found nothing. Returns the error of all open
 * parts, or 0 if each part's error is in ->errs. */
static int cares_record_sum_up(struct cares_record *record)
{
    wr_assert(record->walk.has_ended);
    wr_assert(!record->was_found);
    if (record->has_alias_alone) {
        return cares_record_has_bad_answer(record) ? WEIR_EDNSBADANSWER
                                                   : WEIR_EDNSNODATA;
    }
    if (record->walk.was_first) {
        memcpy(record->errs, record->first_errs, sizeof(record->errs));
        return 0;
    }
    if (record->has_no_data) {
        return WEIR_EDNSNODATA;
    }
    return record->has_servfail ? WEIR_EDNSSERVFAIL : 0;
}

static int cares_record_get_error(const struct cares *cares, int status)
{
    switch (status) {
    case ARES_ENODATA:
        return WEIR_EDNSNODATA;
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
        return WEIR_EDNSNOTFOUND;
    case ARES_ESERVFAIL:
        return WEIR_EDNSSERVFAIL;
    case ARES_ETIMEOUT:
        return WEIR_EDNSTIMEOUT;
    case ARES_EREFUSED:
    case ARES_ENOTIMP:
        return WEIR_EDNSREFUSED;
    case ARES_ECONNREFUSED:
        return cares_record_get_refusal(cares);
    case ARES_EBADNAME:
        return WEIR_EDNSBADNAME;
    case ARES_ENOMEM:
        return -ENOMEM;
    default:
        return WEIR_EDNSBADANSWER;
    }
}

void wr_cares_detach(struct cares_record *record)
{
    struct cares *cares = record->cares;

    wr_assert(record->lookup != NULL);
    record->lookup = NULL;
    if (!wr_list_is_linked(&record->link)) {
        wr_assert(cares->live_count > 0);
        cares->live_count--;
        wr_cares_push_work(cares);
    }
}

void wr_cares_release(struct cares_record *record)
{
    weir_loop *loop = record->cares->loop;

    if (record->lookup || record->holds > 0) {
        return;
    }
    wr_list_remove(&record->link);
    wr_free(&loop->counting, record, sizeof(*record));
}

static void cares_record_finish(struct cares_record *record, int err)
{
    weir_lookup *lookup = record->lookup;

    for (enum wr_lookup_part part = 0; part < WR_LOOKUP_PARTS; part++) {
        if (wr_lookup_is_open(lookup, part)) {
            wr_lookup_close(lookup, part, err < 0 ? err : record->errs[part]);
        }
    }
    wr_cares_detach(record);
}

/* Returns true if another step is needed; otherwise finishes the record. */
static bool cares_record_is_to_go_on(struct cares_record *record)
{
    const weir_lookup *lookup = record->lookup;

    wr_assert(record->holds == 0);
    if (!lookup) {
        return false;
    }
    if (lookup->open & record->to_ask) {
        return true; /* the other family of this step is queried next */
    }
    if (!record->was_found && !wr_lookup_is_open(lookup, WR_LOOKUP_NAME) &&
        !wr_lookup_is_open(lookup, WR_LOOKUP_SRV) &&
        cares_record_has_next(record)) {
        return true;
    }
    cares_record_finish(record, 0);
    return false;
}

/* Follows the chain of aliases from @name to its end. */
static const char *
cares_record_follow(const struct ares_addrinfo_cname *aliases, const char *name)
{
    const struct ares_addrinfo_cname *next = aliases;

    for (uint32_t i = 0; i < ALIASES_MAX && next; i++) {
        next = aliases;
        while (next && !(next->alias && wr_name_is_equal(next->alias, name))) {
            next = next->next;
        }
        name = next ? next->name : name;
    }
    return name;
}

WEIR_MUST_USE static int
cares_record_tell_canonical(struct cares_record *record,
                            const struct ares_addrinfo *result)
{
    if (!record->lookup->canonical) {
        return 0;
    }
    return wr_lookup_set_canonical(
        record->lookup, cares_record_follow(result->cnames, record->asked));
}

static int cares_record_add(struct cares_record *record,
                            enum wr_lookup_part part,
                            const struct ares_addrinfo *result)
{
    const int family = part == WR_LOOKUP_INET6 ? AF_INET6 : AF_INET;
    struct weir_address address = {.len = 0};
    int count = 0;

    for (const struct ares_addrinfo_node *node = result->nodes; node;
         node = node->ai_next) {
        if (node->ai_family != family) {
            continue;
        }
        wr_check((size_t)node->ai_addrlen <= sizeof(address.storage));
        address.len = (socklen_t)node->ai_addrlen;
        memcpy(&address.storage, node->ai_addr, address.len);
        int err = wr_lookup_add(record->lookup, part, &address);
        if (err < 0) {
            return err;
        }
        count++;
    }
    return count;
}

static uint64_t cares_record_read_ttl(int ttl_s)
{
    return ttl_s > 0 ? (uint64_t)ttl_s * NS_PER_S : 0;
}

static void cares_record_tell_ttl(const struct cares_record *record,
                                  const struct ares_addrinfo *result)
{
    wr_assert(record->lookup != NULL);
    for (const struct ares_addrinfo_node *node = result->nodes; node;
         node = node->ai_next) {
        wr_lookup_note_ttl(record->lookup, cares_record_read_ttl(node->ai_ttl));
    }
    for (const struct ares_addrinfo_cname *alias = result->cnames; alias;
         alias = alias->next) {
        wr_lookup_note_ttl(record->lookup, cares_record_read_ttl(alias->ttl));
    }
}

static void cares_record_take(struct cares_record *record,
                              enum wr_lookup_part part,
                              const struct ares_addrinfo *result)
{
    const int err = cares_record_tell_canonical(record, result);
    const int count = err < 0 ? err : cares_record_add(record, part, result);

    record->errs[part] = count < 0 ? count : count == 0 ? WEIR_EDNSNODATA : 0;
    if (count > 0) {
        record->was_found = true;
        cares_record_tell_ttl(record, result);
        wr_lookup_close(record->lookup, part, 0);
    }
}

static void cares_record_go_on(struct cares_record *record);
static bool cares_record_ask_by_tcp(struct cares_record *record,
                                    enum wr_lookup_part part);

/* c-ares may call this inside the call that makes the query. */
static void cares_record_answered(void *arg, int status, int timeouts,
                                  struct ares_addrinfo *result)
{
    const struct cares_question *question = arg;
    struct cares_record *record = question->record;
    const weir_lookup *lookup = record->lookup;
    (void)timeouts;

    wr_assert(record->holds > 0);
    wr_assert(record->cares->asked_count > 0);
    record->holds--;
    if (cares_record_ask_by_tcp(record, question->part)) {
        if (result) {
            ares_freeaddrinfo(result);
        }
        return;
    }
    if (lookup && wr_lookup_is_open(lookup, question->part)) {
        if (status == ARES_SUCCESS) {
            cares_record_take(record, question->part, result);
        } else {
            record->errs[question->part] =
                cares_record_get_error(record->cares, status);
            record->has_alias_alone |=
                status == ARES_ENODATA && record->cares->has_records;
        }
    }
    if (result) {
        ares_freeaddrinfo(result);
    }
    cares_record_go_on(record);
}

static void cares_record_named(void *arg, int status, int timeouts, char *node,
                               char *service)
{
    const struct cares_question *question = arg;
    struct cares_record *record = question->record;
    (void)timeouts;
    (void)service;

    wr_assert(record->holds > 0);
    wr_assert(question->part == WR_LOOKUP_NAME);
    record->holds--;
    if (cares_record_ask_by_tcp(record, WR_LOOKUP_NAME)) {
        return;
    }
    if (record->lookup) {
        if (status == ARES_SUCCESS && node) {
            record->was_found = true;
            wr_ignore(weir_resolver_reply_name(record->lookup, 0, node));
        } else {
            record->errs[WR_LOOKUP_NAME] =
                status == ARES_SUCCESS
                    ? WEIR_EDNSBADANSWER
                    : cares_record_get_error(record->cares, status);
        }
    }
    cares_record_go_on(record);
}

static void cares_record_take_srv(struct cares_record *record,
                                  const uint8_t *bytes, size_t len)
{
    weir_lookup *lookup = record->lookup;
    struct wr_srv_answer answer;
    const int err = wr_srv_read(bytes, len, record->name, &answer);

    record->errs[WR_LOOKUP_SRV] = err;
    if (err == 0 || err == WEIR_EDNSNOSERVICE) {
        wr_lookup_note_ttl(lookup, answer.ttl_s * NS_PER_S);
    }
    if (err == 0) {
        wr_assert(answer.count > 0);
        record->was_found = true;
        wr_lookup_close_with_srv(lookup, answer.records, answer.count);
    }
}

static void cares_record_served(void *arg, int status, int timeouts,
                                unsigned char *bytes, int len)
{
    const struct cares_question *question = arg;
    struct cares_record *record = question->record;
    (void)timeouts;

    wr_assert(record->holds > 0);
    wr_assert(question->part == WR_LOOKUP_SRV);
    record->holds--;
    if (cares_record_ask_by_tcp(record, WR_LOOKUP_SRV)) {
        return;
    }
    if (record->lookup && status == ARES_SUCCESS && bytes && len > 0) {
        cares_record_take_srv(record, bytes, (size_t)len);
    } else if (record->lookup) {
        record->errs[WR_LOOKUP_SRV] =
            status == ARES_SUCCESS
                ? WEIR_EDNSBADANSWER
                : cares_record_get_error(record->cares, status);
    }
    cares_record_go_on(record);
}

static void cares_record_ask_srv(struct cares_record *record,
                                 ares_channel channel)
{
    record->holds++;
    /* Newer versions of c-ares deprecate ares_query(), but still have it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    ares_query(channel, record->name, 1, WR_SRV_TYPE, cares_record_served,
               &record->questions[WR_LOOKUP_SRV]);
#pragma GCC diagnostic pop
}

static void cares_record_ask_name(struct cares_record *record,
                                  ares_channel channel)
{
    const struct weir_address *address = &record->lookup->address;

    record->holds++;
    ares_getnameinfo(channel, &address->storage.any,
                     (ares_socklen_t)address->len,
                     ARES_NI_LOOKUPHOST | ARES_NI_NAMEREQD, cares_record_named,
                     &record->questions[WR_LOOKUP_NAME]);
}

static void cares_record_ask_family(struct cares_record *record,
                                    ares_channel channel, const char *name,
                                    int family, enum wr_lookup_part part)
{
    const struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT |
                    (record->lookup->canonical ? ARES_AI_CANONNAME : 0),
        .ai_family = family,
    };
    ares_getaddrinfo(channel, name, NULL, &hints, cares_record_answered,
                     &record->questions[part]);
}

static ares_channel cares_record_get_channel(const struct cares *cares)
{
    return cares->system.use_vc ? cares->tcp : cares->dns;
}

static void cares_record_ask_servers(struct cares_record *record)
{
    static const int families[] = {
        [WR_LOOKUP_INET6] = AF_INET6, [WR_LOOKUP_INET] = AF_INET};
    struct cares *cares = record->cares;
    const unsigned inet = 1u << WR_LOOKUP_INET;
    unsigned now = record->to_ask & record->lookup->open;

    wr_assert(record->asked[0] != '\0');
    if (cares->system.single_request && (now & inet)) {
        now = inet;
    }
    record->to_ask &= ~now;
    /* Counts all first: c-ares may answer inside the call. */
    record->holds +=
        ((now >> WR_LOOKUP_INET6) & 1u) + ((now >> WR_LOOKUP_INET) & 1u);
    wr_assert(record->holds > 1); /* the caller holds the record, too */
    for (enum wr_lookup_part part = WR_LOOKUP_INET6; part <= WR_LOOKUP_INET;
         part++) {
        if (now & (1u << part)) {
            cares_record_ask_family(record,
                                    cares->udp6 && part == WR_LOOKUP_INET6
                                        ? cares->udp6
                                        : cares_record_get_channel(cares),
                                    record->asked, families[part], part);
        }
    }
}

/* Returns true if the query is repeated over TCP; @record may then be freed. */
static bool cares_record_ask_by_tcp(struct cares_record *record,
                                    enum wr_lookup_part part)
{
    struct cares *cares = record->cares;

    wr_assert(cares->tcp != NULL);
    if (!cares->is_truncated || !record->lookup ||
        !wr_lookup_is_open(record->lookup, part)) {
        return false;
    }
    cares->is_truncated = false;
    record->was_truncated = true;
    if (part == WR_LOOKUP_NAME) {
        cares_record_ask_name(record, cares->tcp);
        return true;
    }
    if (part == WR_LOOKUP_SRV) {
        cares_record_ask_srv(record, cares->tcp);
        return true;
    }
    record->holds++;
    cares_record_ask_family(record, cares->tcp, record->asked,
                            part == WR_LOOKUP_INET6 ? AF_INET6 : AF_INET, part);
    return true;
}

/* Finishes the record and returns false if no other part is open. */
static bool cares_record_leave_out_inet6(struct cares_record *record)
{
    weir_lookup *lookup = record->lookup;

    wr_assert(!record->walk.has_begun);
    if (!record->cares->system.no_aaaa ||
        !wr_lookup_is_open(lookup, WR_LOOKUP_INET6)) {
        return true;
    }
    if (!wr_lookup_is_open(lookup, WR_LOOKUP_INET)) {
        cares_record_finish(record, WEIR_EDNSNODATA);
        return false;
    }
    wr_lookup_close(lookup, WR_LOOKUP_INET6, WEIR_EDNSNOTFOUND);
    return record->lookup != NULL;
}

static void cares_record_ask_next(struct cares_record *record)
{
    if (!(record->to_ask & record->lookup->open)) {
        if (!wr_search_next(&record->walk, record->name,
                            &record->cares->system.search, record->asked)) {
            cares_record_finish(record, cares_record_sum_up(record));
            return;
        }
        record->to_ask = record->lookup->open;
    }
    cares_record_ask_servers(record);
}

static void cares_record_go_on(struct cares_record *record)
{
    struct cares *cares = record->cares;

    while (record->holds == 0 && cares_record_is_to_go_on(record)) {
        record->holds++; /* an answer inside the call must not take a step */
        cares_record_ask_next(record);
        record->holds--;
    }
    if (record->holds == 0) {
        wr_assert(cares->asked_count > 0);
        cares->asked_count--;
        wr_cares_push_work(cares);
        wr_cares_release(record);
    }
}

void wr_cares_begin(struct cares_record *record)
{
    struct cares *cares = record->cares;

    wr_assert(record->lookup != NULL);
    wr_list_remove(&record->link);
    cares->asked_count++;
    cares->live_count++;
    wr_cares_push_work(cares);
    record->holds++;
    if (record->lookup->asked & (1u << WR_LOOKUP_NAME)) {
        cares_record_ask_name(record, cares_record_get_channel(cares));
    } else if (record->lookup->asked & (1u << WR_LOOKUP_SRV)) {
        cares_record_ask_srv(record, cares_record_get_channel(cares));
    } else if (cares_record_leave_out_inet6(record)) {
        cares_record_ask_next(record);
    }
    record->holds--;
    cares_record_go_on(record);
}
