/*
 * Looks up the SRV records of a service, and then the addresses of all hosts in
 * these records concurrently. A host that several records name is looked up
 * once.
 */
#include "srv.h"

#include "lib/base/address.h"
#include "lib/base/options.h"
#include "lib/task/task.h"
#include "lookups.h"
#include "srv_answer.h"

#include <string.h>
#include <weir/error.h>

int weir_resolve_srv(weir_loop *loop, const char *name,
                     const struct weir_resolve_srv_options *options,
                     struct weir_srv *ret, size_t capacity)
{
    struct weir_resolve_srv_options known;
    struct wr_lookups lookups;
    const weir_lookup *lookup;

    int err = wr_task_enter(loop);
    wr_require(err >= 0, err);
    wr_require(name && (ret || capacity == 0), -EINVAL);
    err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    wr_require(wr_name_is_valid(name), WEIR_EDNSBADNAME);
    wr_lookups_init(&lookups, loop);
    err = wr_lookups_ask_srv(&lookups, name,
                             known.timeout_ns > 0 ? known.timeout_ns
                                                  : WR_LOOKUP_TIMEOUT_NS,
                             &lookup);
    if (err >= 0) {
        err = wr_lookups_await(&lookups, &lookup);
    }
    if (err >= 0) {
        wr_assert(lookup->srv_count > 0);
        if (capacity > 0) {
            memcpy(ret, lookup->srv,
                   wr_min_u64(lookup->srv_count, capacity) * sizeof(*ret));
        }
        err = (int)lookup->srv_count;
    }
    wr_lookups_fini(&lookups);
    return err;
}

/* Sorts the records in allocated memory, because the stack may be small. */
static int srv_answer_with(weir_lookup *lookup, const struct weir_srv *records,
                           size_t count)
{
    const struct weir_allocator *allocator = &lookup->loop->counting;
    struct wr_srv_answer *answer = wr_alloc(allocator, sizeof(*answer));

    wr_require(answer, -ENOMEM);
    answer->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (wr_srv_is_usable(&records[i])) {
            struct weir_srv record = records[i];
            wr_name_write(records[i].host, record.host);
            wr_srv_insert(answer, &record);
        }
    }
    const bool has_some = answer->count > 0;
    if (has_some) {
        wr_lookup_close_with_srv(lookup, answer->records, answer->count);
    }
    wr_free(allocator, answer, sizeof(*answer));
    return has_some ? 0 : WEIR_EDNSNODATA;
}

int weir_resolver_reply_srv(weir_lookup *lookup, int err,
                            const struct weir_srv *records, size_t count)
{
    wr_require_loop(lookup->loop);
    wr_require(err < 0 || (err == 0 && records && count > 0), -EINVAL);
    wr_require(lookup->asked & (1u << WR_LOOKUP_SRV), -EINVAL);
    wr_require(lookup->state == WR_LOOKUP_ASKING, -ESTALE);
    if (err == 0) {
        err = srv_answer_with(lookup, records, count);
    }
    if (err < 0) {
        wr_lookup_close(lookup, WR_LOOKUP_SRV, err);
    }
    return 0;
}

struct wr_srv_host {
    struct wr_srv *srv;
    const char *name; /* borrowed from the record */
    weir_lookup lookup;
    int err; /* negative if the lookup did not start */
};

static void srv_host_changed(weir_lookup *lookup)
{
    struct wr_srv *srv =
        wr_container_of(lookup, struct wr_srv_host, lookup)->srv;

    if (!wr_lookup_has_ended(lookup)) {
        return;
    }
    srv->ttl_ns = wr_min_u64(srv->ttl_ns, lookup->ttl_ns);
    wr_assert(srv->open_count > 0);
    srv->open_count--;
    if (srv->open_count == 0) {
        srv->ended(srv);
    }
}

static struct wr_srv_host *srv_find_host(const struct wr_srv *srv,
                                         const char *name)
{
    wr_assert(srv->host_count <= WEIR_SRV_MAX);
    for (size_t i = 0; i < srv->host_count; i++) {
        if (wr_name_is_equal(srv->hosts[i].name, name)) {
            return &srv->hosts[i];
        }
    }
    return NULL;
}

/* Looks up a host without search domains. A cached answer may serve until its
 * own TTL ends, even if the records change. */
static void srv_ask_host(struct wr_srv *srv, const char *name)
{
    struct wr_srv_host *host = &srv->hosts[srv->host_count++];
    char absolute[WR_NAME_SIZE];
    const struct wr_lookup_question question = {
        .host = absolute, .timeout_ns = WR_LOOKUP_TIMEOUT_NS};

    wr_name_write(name, absolute);
    strcat(absolute, ".");
    host->srv = srv;
    host->name = name;
    wr_lookup_init(&host->lookup, srv->loop, srv_host_changed);
    host->err = wr_lookup_start(&host->lookup, &question);
    srv->open_count += host->err >= 0;
    wr_assert(srv->open_count <= srv->host_count);
}

static void srv_records_changed(weir_lookup *lookup)
{
    struct wr_srv *srv = wr_container_of(lookup, struct wr_srv, records);

    if (!wr_lookup_has_ended(lookup)) {
        return;
    }
    srv->ttl_ns = lookup->ttl_ns;
    wr_assert(!srv->hosts);
    if (wr_lookup_get_result(lookup) >= 0) {
        srv->hosts = wr_alloc(&srv->loop->counting,
                              lookup->srv_count * sizeof(*srv->hosts));
    }
    for (size_t i = 0; srv->hosts && i < lookup->srv_count; i++) {
        if (!srv_find_host(srv, lookup->srv[i].host)) {
            srv_ask_host(srv, lookup->srv[i].host);
        }
    }
    if (srv->open_count == 0) {
        srv->ended(srv);
    }
}

void wr_srv_start(struct wr_srv *srv, weir_loop *loop, const char *name,
                  void (*ended)(struct wr_srv *srv))
{
    *srv = (struct wr_srv){.loop = loop, .ended = ended, .ttl_ns = UINT64_MAX};
    wr_lookup_init(&srv->records, loop, srv_records_changed);
    wr_lookup_start_srv(&srv->records, name, WR_LOOKUP_TIMEOUT_NS);
}

struct srv_collecting {
    struct weir_address *addresses;
    struct wr_srv_rank *ranks;
    size_t count;
};

static void srv_add(struct srv_collecting *all, const struct weir_srv *record,
                    const struct weir_address *given)
{
    struct weir_address address = *given;

    wr_address_set_port(&address, record->port);
    if (all->count < WR_SRV_ADDRESSES_MAX &&
        !wr_address_is_among(&address, all->addresses, all->count)) {
        all->addresses[all->count] = address;
        all->ranks[all->count] = (struct wr_srv_rank){
            wr_name_hash(record->host), record->priority, record->weight};
        all->count++;
    }
    wr_assert(all->count > 0);
}

int wr_srv_collect(const struct wr_srv *srv, const struct weir_address *old,
                   const struct wr_srv_rank *old_ranks, size_t old_count,
                   struct weir_address *ret, struct wr_srv_rank *ret_ranks)
{
    struct srv_collecting all = {ret, ret_ranks, 0};
    int first = 0;

    wr_assert(srv->open_count == 0);
    const int err = wr_lookup_get_result(&srv->records);
    wr_require(err >= 0, err);
    wr_require(srv->hosts, -ENOMEM);
    for (size_t i = 0; i < srv->records.srv_count; i++) {
        const struct weir_srv *record = &srv->records.srv[i];
        const struct wr_srv_host *host = srv_find_host(srv, record->host);
        wr_assert(host->err < 0 || wr_lookup_has_ended(&host->lookup));
        const int result =
            host->err < 0 ? host->err : wr_lookup_get_result(&host->lookup);
        for (size_t j = 0; result >= 0 && j < host->lookup.count; j++) {
            srv_add(&all, record, &host->lookup.addresses[j]);
        }
        const bool is_lost = result < 0 && result != WEIR_EDNSNOTFOUND &&
                             result != WEIR_EDNSNODATA;
        for (size_t j = 0; is_lost && j < old_count; j++) {
            if (old_ranks[j].host == wr_name_hash(record->host)) {
                srv_add(&all, record, &old[j]);
            }
        }
        first = first < 0 ? first : result;
    }
    wr_assert(all.count > 0 || first < 0);
    return all.count > 0 ? (int)all.count : first;
}

void wr_srv_end(struct wr_srv *srv)
{
    wr_lookup_cancel(&srv->records);
    for (size_t i = 0; i < srv->host_count; i++) {
        wr_lookup_cancel(&srv->hosts[i].lookup);
        wr_lookup_fini(&srv->hosts[i].lookup);
    }
    wr_free(&srv->loop->counting, srv->hosts,
            srv->hosts ? srv->records.srv_count * sizeof(*srv->hosts) : 0);
    wr_lookup_fini(&srv->records);
    srv->hosts = NULL;
    srv->host_count = 0;
    srv->open_count = 0;
    wr_assert(srv->loop != NULL);
}
