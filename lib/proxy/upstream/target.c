/*
 * The endpoint of an upstream: its addresses.
 *
 * The timer of the next lookup is armed when a lookup has ended, so that
 * lookups of one name never overlap.
 */
#include "target.h"

#include "weir/connect.h"
#include "weir/error.h"
#include "weir/stream.h"

#include <stdio.h>
#include <string.h>

#define TTL_MIN_NS UINT64_C(1000000000)

/* Schedules the next lookup for the end of the answer's lifetime @ttl_ns, and
 * at the latest after resolve_ns. */
static void target_arm(struct wr_target *target, uint64_t ttl_ns)
{
    const uint64_t delay_ns =
        target->resolve_ns == UINT64_MAX
            ? UINT64_MAX
            : wr_min_u64(target->resolve_ns,
                         ttl_ns > TTL_MIN_NS ? ttl_ns : TTL_MIN_NS);

    wr_assert(target->is_name);
    wr_assert(!target->is_asking);
    if (target->is_retired) {
        return;
    }
    wr_timer_arm(&target->loop->wheel, &target->timer,
                 wr_add_sat(weir_loop_get_time(target->loop), delay_ns));
}

static void target_drop_addresses(struct wr_target *target)
{
    wr_assert(target->address_count > 0 || !target->addresses);
    if (target->addresses && target->addresses != &target->single) {
        wr_free(&target->loop->counting, target->addresses,
                wr_target_get_size(target, target->address_count));
    }
    target->addresses = NULL;
    target->address_count = 0;
}

static bool target_take_addresses(struct wr_target *target,
                                  const struct weir_address *addresses,
                                  size_t count)
{
    struct weir_address *copy =
        wr_alloc(&target->loop->counting, count * sizeof(*copy));

    wr_assert(count > 0);
    if (!copy) {
        return false;
    }
    memcpy(copy, addresses, count * sizeof(*copy));
    target_drop_addresses(target);
    target->addresses = copy;
    target->address_count = count;
    return true;
}

static void target_end(struct wr_target *target, bool is_good, uint64_t ttl_ns)
{
    wr_assert(target->is_asking);
    target->is_asking = false;
    target->error_count += !is_good;
    /* Retries soon if nothing else looks the name up. */
    target_arm(target,
               !is_good && target->is_waited_for && target->address_count == 0
                   ? TTL_MIN_NS
                   : ttl_ns);
    if (target->resolved) {
        target->resolved(target, is_good);
    }
}

/* Replaces a service's addresses. Returns false if the old ones are kept. */
static bool target_take_service(struct wr_target *target)
{
    const struct weir_allocator *allocator = &target->loop->counting;
    const size_t room = wr_srv_get_size(WR_SRV_ADDRESSES_MAX);
    struct weir_address *found = wr_alloc(allocator, room);
    const struct wr_srv_rank *old =
        target->addresses
            ? wr_srv_get_ranks(target->addresses, target->address_count)
            : NULL;

    wr_assert(target->service != NULL);
    if (!found) {
        return false;
    }
    struct wr_srv_rank *ranks = wr_srv_get_ranks(found, WR_SRV_ADDRESSES_MAX);
    const int count = wr_srv_collect(&target->srv, target->addresses, old,
                                     target->address_count, found, ranks);
    const size_t size = count > 0 ? wr_srv_get_size((size_t)count) : 0;
    struct weir_address *copy = count > 0 ? wr_alloc(allocator, size) : NULL;
    const bool is_good = copy || count == WEIR_EDNSNOSERVICE;
    if (copy) {
        memcpy(copy, found, (size_t)count * sizeof(*copy));
        memcpy(wr_srv_get_ranks(copy, (size_t)count), ranks,
               (size_t)count * sizeof(*ranks));
    }
    if (is_good) {
        target_drop_addresses(target);
        target->addresses = copy;
        target->address_count = copy ? (size_t)count : 0;
    }
    wr_free(allocator, found, room);
    return is_good;
}

static void target_served(struct wr_srv *srv)
{
    struct wr_target *target = wr_container_of(srv, struct wr_target, srv);
    const uint64_t ttl_ns = srv->ttl_ns;
    const bool is_good = target_take_service(target);

    wr_srv_end(srv);
    target_end(target, is_good, ttl_ns);
}

static void target_changed(weir_lookup *lookup)
{
    struct wr_target *target =
        wr_container_of(lookup, struct wr_target, lookup);

    wr_assert(target->is_asking);
    if (!wr_lookup_has_ended(lookup)) {
        return;
    }
    const uint64_t ttl_ns = lookup->ttl_ns;
    bool is_good = wr_lookup_get_result(lookup) >= 0;
    if (is_good) {
        is_good =
            target_take_addresses(target, lookup->addresses, lookup->count);
    }
    wr_lookup_fini(lookup);
    target_end(target, is_good, ttl_ns);
}

static int target_ask(struct wr_target *target)
{
    const struct wr_lookup_question question = {
        .host = target->host,
        .port = target->port,
        .fresh = true, /* the timer has waited for the answer's lifetime */
        .timeout_ns = WR_LOOKUP_TIMEOUT_NS};

    wr_assert(!target->is_asking);
    if (target->service) {
        target->is_asking = true;
        wr_srv_start(&target->srv, target->loop, target->service,
                     target_served);
        return 0;
    }
    wr_lookup_init(&target->lookup, target->loop, target_changed);
    const int err = wr_lookup_start(&target->lookup, &question);
    if (err < 0) {
        wr_lookup_fini(&target->lookup);
        return err;
    }
    target->is_asking = true;
    return 0;
}

static void target_timer_expired(struct wr_timer *timer)
{
    struct wr_target *target = wr_container_of(timer, struct wr_target, timer);

    wr_assert(target->is_name);
    if (target_ask(target) < 0) {
        target->error_count++;
        target_arm(target, UINT64_MAX);
    }
}

int wr_target_read_endpoint(weir_loop *loop,
                            const struct weir_endpoint *endpoint,
                            struct wr_endpoint *ret)
{
    const int err = wr_endpoint_read(loop, endpoint, 1, ret);

    wr_require(err >= 0, err);
    wr_assert(ret->count <= 1);
    wr_require(ret->name || ret->count == 1, -EINVAL);
    wr_require(ret->name || !wr_address_is_unnamed(ret->addresses), -EINVAL);
    return 0;
}

int wr_target_init(struct wr_target *target, weir_loop *loop,
                   const struct wr_endpoint *endpoint, const char *host,
                   const struct weir_tls_settings *tls, uint64_t resolve_ns)
{
    wr_assert(!endpoint->name || host);
    memset(target, 0, sizeof(*target));
    target->loop = loop;
    target->host = host;
    target->port = endpoint->port;
    target->is_name = endpoint->name != NULL;
    target->resolve_ns = resolve_ns;
    wr_timer_init(&target->timer, target_timer_expired);
    if (!target->is_name) {
        target->single = endpoint->addresses[0];
        target->addresses = &target->single;
        target->address_count = 1;
    }
    return wr_secure_settings_read(&target->tls, tls, WR_SECURE_CLIENT, host);
}

int wr_target_set_tls(struct wr_target *target,
                      const struct weir_tls_settings *settings)
{
    struct wr_secure_settings known = {.context = NULL};

    wr_require(wr_secure_settings_are_set(&target->tls), -EINVAL);
    const int err = wr_secure_settings_read(&known, settings, WR_SECURE_CLIENT,
                                            target->host);
    wr_require(err >= 0, err);
    wr_secure_settings_drop(&target->tls);
    target->tls = known;
    wr_assert(wr_secure_settings_are_set(&target->tls));
    return 0;
}

const char *wr_target_skip_labels(const char *service)
{
    const char *domain = service;

    while (domain[0] == '_' && strchr(domain, '.') && strchr(domain, '.')[1]) {
        domain = strchr(domain, '.') + 1;
    }
    wr_assert(domain[0] != '\0');
    return domain;
}

void wr_target_set_service(struct wr_target *target, const char *service)
{
    wr_assert(target->is_name);
    wr_assert(!target->addresses);
    target->service = service;
}

void wr_target_begin(struct wr_target *target, struct weir_address *addresses,
                     size_t count)
{
    wr_assert(target->is_name);
    wr_assert(target->address_count == 0);
    target->addresses = addresses;
    target->address_count = count;
}

void wr_target_fini(struct wr_target *target)
{
    wr_assert(!target->is_asking);
    wr_assert(!wr_timer_is_armed(&target->timer));
    target_drop_addresses(target);
    wr_secure_settings_drop(&target->tls);
}

int wr_target_start(struct wr_target *target)
{
    wr_assert(!wr_timer_is_armed(&target->timer));
    return target->is_name ? target_ask(target) : 0;
}

void wr_target_retire(struct wr_target *target)
{
    target->is_retired = true;
    wr_timer_cancel(&target->loop->wheel, &target->timer);
    wr_assert(!wr_timer_is_armed(&target->timer));
}

void wr_target_stop(struct wr_target *target)
{
    if (target->is_asking && target->service) {
        wr_srv_end(&target->srv);
    } else if (target->is_asking) {
        wr_lookup_cancel(&target->lookup);
        wr_lookup_fini(&target->lookup);
    }
    target->is_asking = false;
    wr_timer_cancel(&target->loop->wheel, &target->timer);
    wr_assert(!wr_timer_is_armed(&target->timer));
}

void wr_target_write_endpoint(const char *host, uint16_t port,
                              char ret[WR_ENDPOINT_SIZE])
{
    const bool is_bare_inet6 = strchr(host, ':') && host[0] != '[';

    wr_assert(host != NULL);
    snprintf(ret, WR_ENDPOINT_SIZE, is_bare_inet6 ? "[%s]:%u" : "%s:%u", host,
             (unsigned)port);
}

/* Removes from "HOST:PORT" what a Host field must not have: the zone of an IPv6
 * address (RFC 6874, 1), and the default port. */
static void target_cut_endpoint(char *endpoint, const char *usual_port)
{
    wr_assert(usual_port[0] == ':');
    char *zone = strchr(endpoint, '%');
    const char *end = strchr(endpoint, ']');
    const size_t port_len = strlen(usual_port);

    if (zone && end && zone < end) {
        memmove(zone, end, strlen(end) + 1);
    }
    const size_t len = strlen(endpoint);
    wr_assert(len > 0);
    if (len > port_len && strcmp(endpoint + len - port_len, usual_port) == 0) {
        endpoint[len - port_len] = '\0';
    }
}

static uint16_t target_get_port(const struct wr_target *target, uint16_t port)
{
    wr_assert(target->is_name || target->single.len > 0);
    return port > 0          ? port
           : target->is_name ? target->port
                             : wr_address_port(&target->single);
}

static void target_write_check_endpoint(const struct wr_check *check,
                                        const char *named,
                                        char ret[WR_ENDPOINT_SIZE])
{
    const struct weir_endpoint *endpoint = &check->plan.endpoint;
    const struct weir_address *address = &check->address;

    wr_assert(wr_check_has_endpoint(check));
    if (endpoint->kind == WEIR_ENDPOINT_UNIX ||
        (endpoint->kind == WEIR_ENDPOINT_ADDRESSES &&
         address->storage.any.sa_family == AF_UNIX)) {
        snprintf(ret, WR_ENDPOINT_SIZE, "%s", named ? named : "localhost");
    } else if (endpoint->kind == WEIR_ENDPOINT_HOST) {
        wr_target_write_endpoint(named ? named : endpoint->host, endpoint->port,
                                 ret);
    } else if (named) {
        wr_target_write_endpoint(named, wr_address_port(address), ret);
    } else {
        weir_address_format(address, ret, WR_ENDPOINT_SIZE);
    }
}

void wr_target_write_authority(const struct wr_target *target,
                               const struct wr_check *check,
                               const struct wr_secure_settings *tls,
                               char ret[WR_ENDPOINT_SIZE])
{
    const uint16_t port = check->plan.port;
    const char *certified =
        target->tls.server_hostname[0] ? target->tls.server_hostname : NULL;
    const char *named =
        tls && tls->server_hostname[0] ? tls->server_hostname : certified;

    wr_assert(target->host || target->single.len > 0);
    if (wr_check_has_endpoint(check)) {
        target_write_check_endpoint(check, named, ret);
    } else if (!target->host &&
               target->single.storage.any.sa_family == AF_UNIX) {
        snprintf(ret, WR_ENDPOINT_SIZE, "%s", named ? named : "localhost");
        return;
    } else if (named || target->host) {
        wr_target_write_endpoint(named ? named : target->host,
                                 target_get_port(target, port), ret);
    } else {
        struct weir_address address = target->single;
        wr_address_set_port(&address, target_get_port(target, port));
        weir_address_format(&address, ret, WR_ENDPOINT_SIZE);
    }
    target_cut_endpoint(ret, tls ? ":443" : ":80");
}

struct weir_tls_settings wr_target_get_tls(const struct wr_secure_settings *tls)
{
    wr_assert(wr_secure_settings_are_set(tls));
    return (struct weir_tls_settings){
        .size = sizeof(struct weir_tls_settings),
        .context = tls->context,
        .server_hostname =
            tls->server_hostname[0] != '\0' ? tls->server_hostname : NULL,
        .no_hostname_check = tls->no_hostname_check,
        .handshake_timeout_ns = tls->handshake_timeout_ns,
        .shutdown_timeout_ns = tls->shutdown_timeout_ns,
        .session = tls->session,
        .can_export = tls->can_export,
        .ignore_unexpected_eof = tls->ignore_unexpected_eof};
}

static struct weir_endpoint target_get_endpoint(const struct wr_target *target)
{
    wr_assert(target->address_count > 0 || target->is_name);
    return target->address_count == 0
               ? weir_endpoint_host(target->host, target->port)
               : weir_endpoint_addresses(target->addresses,
                                         target->address_count);
}

int wr_target_connect(struct wr_target *target,
                      const struct weir_factory *factory, const char *host,
                      uint16_t port, const struct weir_connect_options *options,
                      weir_connect_done_fn *done, void *done_arg,
                      weir_pending **ret)
{
    struct weir_connect_options known = *options;
    struct weir_tls_settings tls;

    wr_assert(!options->tls);
    if (wr_secure_settings_are_set(&target->tls)) {
        tls = wr_target_get_tls(&target->tls);
        known.tls = &tls;
    }
    if (target->local.len > 0) {
        known.local_address = &target->local;
    }
    return weir_create_connection_at(target->loop, factory,
                                     host ? weir_endpoint_host(host, port)
                                          : target_get_endpoint(target),
                                     &known, done, done_arg, ret);
}

/* Returns an endpoint with another port: the host if no address is known, else
 * up to WR_TARGET_PORTS_MAX of its addresses, which are copied to @copies. */
static struct weir_endpoint
target_get_endpoint_at(const struct wr_target *target, uint16_t port,
                       struct weir_address copies[WR_TARGET_PORTS_MAX])
{
    const size_t count = wr_min_u64(target->address_count, WR_TARGET_PORTS_MAX);

    wr_assert(port > 0);
    if (count == 0) {
        return weir_endpoint_host(target->host, port);
    }
    for (size_t i = 0; i < count; i++) {
        copies[i] = target->addresses[i];
        wr_address_set_port(&copies[i], port);
    }
    return weir_endpoint_addresses(copies, count);
}

/* A check's own endpoint may have another family than the local address. */
static bool target_has_local_for(const struct wr_target *target,
                                 const struct weir_endpoint *endpoint)
{
    return target->local.len > 0 &&
           (endpoint->address_count == 0 ||
            endpoint->addresses[0].storage.any.sa_family ==
                target->local.storage.any.sa_family);
}

int wr_target_open(const struct wr_target *target, const struct wr_check *check,
                   const struct wr_secure_settings *tls, const char **ret_alert,
                   weir_reader **ret_reader, weir_writer **ret_writer)
{
    const uint16_t port = check->plan.port;
    struct weir_address copies[WR_TARGET_PORTS_MAX];
    struct weir_tls_settings settings;
    struct weir_open_options options = {.size = sizeof(options),
                                        .tls_alert = ret_alert};

    wr_assert(target->loop->current != NULL);
    wr_assert(ret_writer != NULL);
    if (tls) {
        settings = wr_target_get_tls(tls);
        options.connect.tls = &settings;
    }
    const struct weir_endpoint endpoint =
        wr_check_has_endpoint(check) ? wr_check_get_endpoint(check)
        : port > 0 ? target_get_endpoint_at(target, port, copies)
                   : target_get_endpoint(target);
    if (wr_check_has_endpoint(check) ? target_has_local_for(target, &endpoint)
                                     : target->local.len > 0) {
        options.connect.local_address = &target->local;
    }
    return weir_open_connection_at(target->loop, endpoint, &options, ret_reader,
                                   ret_writer);
}
