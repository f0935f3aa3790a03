/*
 * The built-in resolver, on c-ares.
 *
 * c-ares cannot cancel a single query. So the record of a cancelled lookup
 * stays until its queries end; when no lookup is left, all queries are
 * cancelled, and the sockets close. The number of queries is limited, because
 * DNS identifiers have 16 bits. The rate is limited, too: a burst of queries
 * would overflow the sockets of servers, and a lost query is answered only
 * after a time-out.
 */
#include "cares.h"

#include <string.h>
#include <weir/error.h>

#define LIVE_MAX  1024u             /* concurrent lookups at c-ares */
#define ASKED_MAX 8192u             /* including cancelled lookups */
#define BURST_MAX 128u              /* lookups started without a delay */
#define SLOW_NS   UINT64_C(1000000) /* delay between lookups above BURST_MAX */
#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_US UINT64_C(1000)
#define ROUND_NS  UINT64_C(1000000) /* c-ares rounds its time down to 1 ms */

/* ---- the hosts file ----
 *
 * As in the C library, the hosts file answers both families of a lookup: if it
 * has an address of one family, no server is queried for the other. */

static const char *cares_hosts_get_path(const struct cares *cares)
{
    const char *own = cares->config.hosts;

    return own ? own : WR_HOSTS_PATH;
}

static size_t cares_drop_hosts(struct cares *cares)
{
    cares->has_hosts = false;
    return wr_hosts_clear(&cares->loop->counting, &cares->hosts);
}

WEIR_MUST_USE static int cares_hosts_read(struct cares *cares)
{
    const char *path = cares_hosts_get_path(cares);

    wr_assert(!cares->is_stopping);
    if (cares->has_hosts) {
        return 0;
    }
    wr_assert(cares->hosts.name_count == 0);
    cares->change_count += wr_system_file_note(&cares->hosts_file, path);
    int err = wr_hosts_read(&cares->loop->counting, &cares->hosts, path);
    wr_require(err >= 0, err);
    cares->has_hosts = true;
    return 0;
}

/* Returns 1 if the hosts file has an address of @family, else 0 or an error. */
static int cares_hosts_add(const struct cares *cares, weir_lookup *lookup,
                           const char *host, int family)
{
    const struct wr_hosts_line *line;
    struct weir_address address;
    int found = 0;
    size_t index = 0;

    while ((line = wr_hosts_find(&cares->hosts, host, &index))) {
        if (!wr_hosts_get_address(line, family, &address)) {
            continue;
        }
        const enum wr_lookup_part part =
            address.storage.any.sa_family == AF_INET6 ? WR_LOOKUP_INET6
                                                      : WR_LOOKUP_INET;
        wr_assert(wr_lookup_is_open(lookup, part));
        int err = wr_lookup_add(lookup, part, &address);
        wr_require(err >= 0, err);
        if (found == 0 && lookup->canonical) {
            wr_name_write(wr_hosts_get_name(&cares->hosts, line),
                          lookup->canonical);
        }
        found = 1;
    }
    return found;
}

static int cares_answer_name_from_hosts(struct cares *cares,
                                        weir_lookup *lookup)
{
    int err = cares_hosts_read(cares);
    wr_require(err >= 0, err);
    wr_assert(wr_lookup_is_open(lookup, WR_LOOKUP_NAME));
    const struct wr_hosts_line *line =
        wr_hosts_find_address(&cares->hosts, &lookup->address);
    if (!line) {
        return 0;
    }
    wr_lookup_close_with_name(lookup, wr_hosts_get_name(&cares->hosts, line));
    return 1;
}

static void cares_check_invariants(const struct cares *cares)
{
    wr_assert((cares->dns == NULL) == (cares->tcp == NULL));
    wr_assert(cares->dns || !cares->udp6);
    wr_assert(cares->dns || cares->asked_count == 0);
    wr_assert(cares->dns || wr_list_is_empty(&cares->waiting));
    wr_assert(cares->dns || !wr_timer_is_armed(&cares->timer));
    wr_assert(cares->live_count <= cares->asked_count);
}

static bool cares_has_room(const struct cares *cares)
{
    return cares->asked_count < ASKED_MAX && cares->live_count < LIVE_MAX;
}

/* Returns UINT64_MAX if no query of the channel can time out. */
static uint64_t cares_get_time(const struct cares *cares, ares_channel channel)
{
    struct timeval room;
    wr_assert(cares->asked_count == 0 || channel);
    const struct timeval *left =
        cares->asked_count > 0 ? ares_timeout(channel, NULL, &room) : NULL;

    if (!left) {
        return UINT64_MAX;
    }
    const uint64_t left_ns =
        (uint64_t)left->tv_sec * NS_PER_S + (uint64_t)left->tv_usec * NS_PER_US;
    return wr_add_sat(cares->loop->now_ns, left_ns + ROUND_NS);
}

static void cares_arm_timer(struct cares *cares)
{
    weir_loop *loop = cares->loop;
    uint64_t when_ns = wr_min_u64(cares_get_time(cares, cares->dns),
                                  cares_get_time(cares, cares->tcp));

    if (cares->udp6) {
        when_ns = wr_min_u64(when_ns, cares_get_time(cares, cares->udp6));
    }
    if (!wr_list_is_empty(&cares->waiting) && cares_has_room(cares)) {
        when_ns = wr_min_u64(when_ns, cares->begin_ns);
    }
    if (when_ns == UINT64_MAX) {
        wr_timer_cancel(&loop->wheel, &cares->timer);
    } else {
        wr_timer_arm(&loop->wheel, &cares->timer, when_ns);
    }
}

static void cares_work(struct wr_ready *work)
{
    struct cares *cares = wr_container_of(work, struct cares, work);

    cares_check_invariants(cares);
    if (cares->live_count == 0 && cares->dns) {
        /* No query has a lookup any more. Even without queries, this closes
         * sockets that newer versions of c-ares leave open after a time-out. */
        ares_cancel(cares->dns);
        ares_cancel(cares->tcp);
        if (cares->udp6) {
            ares_cancel(cares->udp6);
        }
    }
    while (!wr_list_is_empty(&cares->waiting) && cares_has_room(cares) &&
           (cares->live_count < BURST_MAX ||
            cares->loop->now_ns >= cares->begin_ns)) {
        cares->begin_ns = wr_add_sat(cares->loop->now_ns, SLOW_NS);
        wr_cares_begin(
            wr_container_of(cares->waiting.next, struct cares_record, link));
    }
    cares_arm_timer(cares);
    cares_check_invariants(cares);
}

static void cares_timer_expired(struct wr_timer *timer)
{
    struct cares *cares = wr_container_of(timer, struct cares, timer);

    wr_assert(cares->dns != NULL);
    ares_process_fd(cares->dns, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    ares_process_fd(cares->tcp, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    if (cares->udp6) {
        ares_process_fd(cares->udp6, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    }
    wr_cares_push_work(cares);
}

static struct cares *cares_of_module(struct wr_module *module)
{
    return wr_container_of(module, struct cares, module);
}

static bool cares_is_idle(const struct cares *cares)
{
    return cares->live_count == 0 && wr_list_is_empty(&cares->waiting);
}

/* The sockets close with the last completions. */
static void cares_end(struct wr_module *module)
{
    struct cares *cares = cares_of_module(module);

    wr_assert(cares_is_idle(cares));
    cares->is_stopping = true;
    wr_ready_cancel(&cares->work);
    wr_cares_close(cares);
    wr_assert(cares->asked_count == 0);
}

static void cares_abandon(struct wr_module *module)
{
    wr_cares_abandon_sockets(cares_of_module(module));
}

/* Frees the hosts file and, if they are idle, the channels. Returns the bytes
 * freed, without the memory of the channels: c-ares uses malloc(). */
static uint64_t cares_trim(struct wr_module *module)
{
    struct cares *cares = cares_of_module(module);

    if (cares->asked_count == 0 && cares_is_idle(cares)) {
        wr_cares_close(cares);
    }
    return cares_drop_hosts(cares);
}

static void cares_close(struct wr_module *module)
{
    struct cares *cares = cares_of_module(module);

    wr_assert(!cares->dns && !cares->udp6);
    wr_assert(wr_list_is_empty(&cares->sockets));
    wr_cares_free_config(cares->loop, &cares->config);
    wr_ignore(cares_drop_hosts(cares) == 0);
    wr_free(&cares->loop->counting, cares, sizeof(*cares));
}

static void cares_check(const struct wr_module *module)
{
    cares_check_invariants(wr_container_of(module, const struct cares, module));
}

static const struct wr_module_ops cares_module_ops = {
    .end = {[WR_END_CANCEL] = cares_end, [WR_END_ABANDON] = cares_abandon},
    .trim = cares_trim,
    .close = cares_close,
    .check = cares_check};

static struct cares *cares_get(weir_loop *loop)
{
    struct wr_module *module = wr_loop_find_module(loop, &cares_module_ops);

    if (module) {
        return cares_of_module(module);
    }
    struct cares *cares = wr_alloc(&loop->counting, sizeof(*cares));
    if (!cares) {
        return NULL;
    }
    memset(cares, 0, sizeof(*cares));
    cares->loop = loop;
    wr_list_init(&cares->sockets);
    wr_list_init(&cares->waiting);
    wr_timer_init(&cares->timer, cares_timer_expired);
    wr_ready_init(&cares->work, cares_work);
    wr_loop_add_module(loop, &cares->module, &cares_module_ops);
    return cares;
}

static void cares_refresh(struct cares *cares)
{
    cares_check_invariants(cares);
    if (cares->asked_count == 0 && cares_is_idle(cares) &&
        wr_cares_is_outdated(cares)) {
        wr_cares_close(cares);
        cares->change_count++;
    }
    if (wr_system_file_has_changed(&cares->hosts_file,
                                   cares_hosts_get_path(cares),
                                   cares->loop->now_ns)) {
        wr_ignore(cares_drop_hosts(cares) == 0);
        cares->change_count++;
    }
}

uint64_t wr_resolver_count_changes(weir_loop *loop)
{
    struct wr_module *module = wr_loop_find_module(loop, &cares_module_ops);

    if (!module) {
        return 0;
    }
    cares_refresh(cares_of_module(module));
    return cares_of_module(module)->change_count;
}

int wr_resolver_has_name(weir_loop *loop, const char *name)
{
    struct cares *cares = cares_get(loop);

    wr_require(cares, -ENOMEM);
    cares_refresh(cares);
    size_t index = 0;
    int err = cares_hosts_read(cares);
    wr_require(err >= 0, err);
    return wr_hosts_find(&cares->hosts, name, &index) != NULL;
}

int wr_resolver_configure(weir_loop *loop,
                          const struct weir_dns_options *options)
{
    struct cares *cares = cares_get(loop);
    struct cares_config config;

    wr_require(cares, -ENOMEM);
    wr_require(cares_is_idle(cares), -EBUSY);
    int err = wr_cares_read_config(loop, options, &config);
    wr_require(err >= 0, err);
    struct cares_config old = cares->config;
    wr_cares_close(cares);
    wr_ignore(cares_drop_hosts(cares) == 0);
    cares->system_file = cares->hosts_file =
        (struct wr_system_file){.stamp = 0};
    cares->config = config;
    err = wr_cares_open(cares); /* also reads the system's settings */
    if (err < 0) {
        cares->config = old;
        old = config;
    }
    wr_cares_free_config(loop, &old);
    return err;
}

WEIR_MUST_USE static int cares_add_record(struct cares *cares,
                                          weir_lookup *lookup, const char *host,
                                          void **ret_data)
{
    int err = wr_cares_open(cares);
    wr_require(err >= 0, err);
    struct cares_record *record =
        wr_alloc(&cares->loop->counting, sizeof(*record));
    wr_require(record, -ENOMEM);
    memset(record, 0, sizeof(*record));
    record->cares = cares;
    record->lookup = lookup;
    for (enum wr_lookup_part part = 0; part < WR_LOOKUP_PARTS; part++) {
        record->questions[part].record = record;
        record->questions[part].part = part;
    }
    memcpy(record->name, host, strlen(host) + 1);
    wr_list_init(&record->link);
    wr_list_push_back(&cares->waiting, &record->link);
    wr_cares_push_work(cares);
    *ret_data = record;
    return 0;
}

static int cares_start(void *user, weir_lookup *lookup, const char *host,
                       int family, void **ret_data)
{
    struct cares *cares = cares_get(user);

    wr_require(cares, -ENOMEM);
    wr_assert(user == lookup->loop);
    wr_assert(!cares->is_stopping);
    cares_refresh(cares);
    const int err = cares_hosts_read(cares);
    wr_require(err >= 0, err);
    const int found = cares_hosts_add(cares, lookup, host, family);
    wr_require(found >= 0, found);
    if (found > 0) {
        wr_lookup_close_all(lookup, 0);
        return 0;
    }
    wr_require(!lookup->is_for_hosts, WEIR_EDNSBADNAME);
    return cares_add_record(cares, lookup, host, ret_data);
}

static int cares_start_reverse(void *user, weir_lookup *lookup,
                               const struct weir_address *address,
                               void **ret_data)
{
    struct cares *cares = cares_get(user);

    wr_require(cares, -ENOMEM);
    wr_assert(address == &lookup->address);
    wr_assert(!cares->is_stopping);
    cares_refresh(cares);
    const int found = cares_answer_name_from_hosts(cares, lookup);
    if (found != 0) {
        return found < 0 ? found : 0;
    }
    return cares_add_record(cares, lookup, "", ret_data);
}

static int cares_start_srv(void *user, weir_lookup *lookup, const char *name,
                           void **ret_data)
{
    struct cares *cares = cares_get(user);

    wr_require(cares, -ENOMEM);
    wr_assert(!cares->is_stopping);
    cares_refresh(cares);
    return cares_add_record(cares, lookup, name, ret_data);
}

static void cares_cancel(void *user, weir_lookup *lookup, void *data)
{
    struct cares_record *record = data;

    wr_assert(user == lookup->loop);
    wr_assert(record->lookup == lookup);
    wr_cares_detach(record);
    wr_cares_release(record);
}

const struct weir_resolver wr_resolver_builtin = {
    .size = sizeof(wr_resolver_builtin),
    .start = cares_start,
    .start_reverse = cares_start_reverse,
    .cancel = cares_cancel,
    .start_srv = cares_start_srv,
};
