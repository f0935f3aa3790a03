/*
 * A worker makes all its objects on its own loop: upstream sets, servers, the
 * log. The first worker also has the signals, the metrics and the sockets for
 * operators and successors (struct worker_hooks).
 *
 * On a reload the new services are opened while the old ones still accept. Both
 * have duplicates of the same sockets, so there is always a server that
 * accepts.
 */
#include "worker.h"

#include "cuts.h"
#include "manager.h"
#include "opening.h"
#include "places.h"
#include "setup.h"
#include "targets.h"
#include "tools/common/clock.h"
#include "tools/common/console.h"
#include "tools/common/engine.h"

#include "weir/error.h"
#include "weir/proxy_protocol.h"
#include "weir/resolver.h"
#include "weir/sync.h"
#include "weir/task.h"
#include "weir/tls_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_NS UINT64_C(10000000)

const struct config *worker_config(const struct worker *worker)
{
    return worker->services ? worker->services->setup->config
                            : worker->proxy->setup->config;
}

/* By default, loopback addresses and Unix sockets may send PROXY headers. */
static char *local_texts[] = {(char *)"127.0.0.0/8", (char *)"::1/128",
                              (char *)"unix"};
static const struct config_texts local_networks = {local_texts, 3};

static void note_routes(struct service *service)
{
    /* The client's address is checked before TLS is terminated. */
    service->reads_hello = service->clients != NULL;
    const struct config_route *first = &service->config->routes[0];
    service->has_route_for_all = service->config->route_count == 1 &&
                                 first->as == AS_ANY && !first->server_name &&
                                 first->alpn.count == 0 &&
                                 first->begin_count == 0;
    for (size_t i = 0; i < service->config->route_count; i++) {
        const struct config_route *route = &service->config->routes[i];
        service->reads_hello |= route->passes_tls;
        service->has_alpn_route |= route->alpn.count > 0;
        service->has_silent_route |= route->as == AS_SILENT;
    }
}

static int make_service(struct services *services, struct service *service,
                        const struct config_service *config, size_t index)
{
    struct worker *worker = services->worker;
    const struct setup *setup = services->setup;
    char why[OPTION_WHY_SIZE];

    service->worker = worker;
    service->services = services;
    service->config = config;
    service->index = index;
    service->reads_header = config->accept_header != HEADER_NONE;
    service->clients = setup->clients[index];
    note_routes(service);
    service->counts = counts_find(&worker->tallies, config->name);
    service->routes = &services->routes[config->routes[0].number];
    if (!service->counts) {
        return -ENOMEM;
    }
    int err = networks_read(config->trusted.count > 0 ? &config->trusted
                                                      : &local_networks,
                            &service->trusted, why)
                  ? 0
                  : -ENOMEM; /* the syntax was checked */
    for (size_t i = 0; i < config->route_count && err == 0; i++) {
        err = targets_make(services, &service->routes[i], &config->routes[i]);
    }
    return err;
}

static int make_services(struct worker *worker, struct setup *setup,
                         struct services **ret)
{
    const struct config *config = setup->config;
    struct services *services = calloc(1, sizeof(*services));
    int err = 0;

    *ret = services;
    if (!services) {
        return -ENOMEM;
    }
    services->worker = worker;
    list_add(&worker->all, &services->link);
    services->setup = setup_ref(setup);
    services->all = calloc(config->service_count, sizeof(*services->all));
    services->routes = calloc(config->route_count, sizeof(*services->routes));
    services->targets =
        calloc(config->target_count, sizeof(*services->targets));
    if (!services->all || !services->routes || !services->targets) {
        return -ENOMEM;
    }
    services->count = config->service_count;
    services->route_count = config->route_count;
    for (size_t i = 0; i < config->service_count && err == 0; i++) {
        err =
            make_service(services, &services->all[i], &config->services[i], i);
    }
    return err;
}

/* If a stop with a deadline has ended the waiting task, servers are reported as
 * closed when the loop ends. */
static void wake(const struct worker *worker)
{
    if (worker->event) {
        weir_event_set(worker->event);
    }
}

static void listening(void *arg, int err, weir_server *server)
{
    struct worker *worker = arg;

    (void)server;
    if (err < 0 && worker->opening_err == 0) {
        worker->opening_err = err;
    }
    worker->opening_count--;
    wake(worker);
}

static void closed(void *arg, weir_server *server)
{
    struct services *services = arg;

    (void)server;
    services->worker->closing_count--;
    wake(services->worker);
    worker_leave(services);
}

/* Waits for a wake(). Returns 0 or a negative error. */
static int rest(const struct worker *worker)
{
    weir_event_clear(worker->event);
    return weir_event_wait(worker->event);
}

/* Opens a server. It starts TLS as soon as it accepts a connection, unless
 * bytes are read before TLS. */
static int open_door(struct door *door, int fd)
{
    const struct service *service = door->service;
    struct worker *worker = service->worker;
    const struct weir_factory factory = {opening_create, door};
    const bool opens_tls_first = door->at->is_tls && !door->at->is_any &&
                                 !service->reads_header &&
                                 !service->reads_hello;
    const struct weir_tls_settings tls = {
        .size = sizeof(struct weir_tls_settings),
        .context = contexts_of_service(service->services->setup->contexts,
                                       service->index),
        .handshake_timeout_ns = service->config->handshake_timeout_ns,
    };
    /* More connections wait in the kernel's queue. The limit need not exceed
     * what all threads together may serve (places.h). One more is accepted and
     * refused, so that the client notices. */
    const uint64_t by_fds = worker->proxy->fd_limit + 1;
    const uint64_t limit = service->config->conn_limit;
    const struct weir_server_options options = {
        .size = sizeof(options),
        .connection_limit = limit > 0 && limit < by_fds ? limit : by_fds,
        .tls = opens_tls_first ? &tls : NULL,
        .no_cleanup_socket = true,
        .connection = connection_of(service->config, false)};

    const int err =
        weir_create_server_at(worker->loop, &factory, weir_endpoint_fd(fd),
                              &options, listening, worker, &door->server);
    worker->opening_count += err == 0;
    service->services->busy += err == 0;
    return err;
}

static int open_doors_at(struct services *services, const struct listener *at)
{
    const uint32_t worker_count = services->worker->proxy->worker_count;
    const uint32_t thread = weir_thread_get_index(services->worker->thread);
    const uint32_t share = listeners_share(at, thread, worker_count);
    const struct setup *setup = services->setup;
    struct service *service = &services->all[at->service];
    int err = 0;

    for (uint32_t i = 0; i < share && err == 0; i++) {
        struct door *door = &services->doors[services->door_count];
        const int fd = listeners_take(at, thread, worker_count, i);
        *door =
            (struct door){.service = service,
                          .at = at->at,
                          .places = setup->places[at - setup->listeners.all],
                          .take_in = opening_take_in};
        err = fd < 0 ? fd : open_door(door, fd);
        services->door_count += err == 0;
    }
    return err;
}

static int begin_doors(struct services *services)
{
    const struct listeners *listeners = &services->setup->listeners;
    struct worker *worker = services->worker;
    size_t count = 0;
    int err = 0;

    worker->opening_err = 0;
    for (size_t i = 0; i < listeners->count; i++) {
        count += listeners_share(&listeners->all[i],
                                 weir_thread_get_index(worker->thread),
                                 worker->proxy->worker_count);
    }
    services->doors = calloc(count + 1, sizeof(*services->doors));
    if (!services->doors) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < listeners->count && err == 0; i++) {
        err = open_doors_at(services, &listeners->all[i]);
    }
    return err;
}

static int open_doors(struct worker *worker)
{
    const int err = begin_doors(worker->services);
    int waited = 0;

    while (waited == 0 && worker->opening_count > 0) {
        waited = rest(worker);
    }
    return err < 0 ? err : waited < 0 ? waited : worker->opening_err;
}

static void stop_doors(struct services *services)
{
    for (size_t i = 0; i < services->door_count; i++) {
        weir_server *server = services->doors[i].server;
        if (server &&
            weir_server_stop(server, UINT64_MAX, closed, services) == 0) {
            services->worker->closing_count++;
        } else if (server) {
            weir_server_close(server); /* connections stay open */
        }
    }
}

/* Stops accepting, and waits until the last connection, even of old services,
 * has ended. The time limit of the stop also limits this wait. */
static void close_doors(struct worker *worker)
{
    stop_doors(worker->services);
    worker_drop_next(worker);
    for (struct link *link = worker->all.oldest; link; link = link->younger) {
        const struct services *services = (const struct services *)(void *)link;
        for (size_t i = 0; i < services->door_count; i++) {
            opening_refuse_waiting(&services->doors[i]);
        }
    }
    while (worker->closing_count > 0 && rest(worker) == 0) {
    }
}

/* For a client whose TLS handshake failed before it had a session. */
static void note_failed(struct door *door, weir_transport *client)
{
    struct service *service = door->service;
    struct record record = {.reason = END_HANDSHAKE,
                            .time_ns = clock_wall_coarse_ns(),
                            .service = service->config->name};
    struct weir_extra_info info = {.size = sizeof(info)};

    weir_transport_get_peername(client, &record.client);
    weir_address_unmap(&record.client);
    if (weir_transport_get_extra_info(client, "tls_handshake", &info) == 0) {
        record.tls_ns = info.time_ns;
        record.total_ns = info.time_ns;
        record.time_ns -= info.time_ns; /* the time of the accept */
    }
    record.server_name = record_ask(client, "server_name");
    record.alert = record_ask(client, "tls_alert");
    service->counts->accepted++;
    service->counts->active++;
    service->counts->failed_handshakes++;
    counts_end(service->counts, &record);
    log_add(&service->worker->log, &record);
}

static void print_exception(weir_loop *loop,
                            const struct weir_exception *exception)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out) {
        weir_print_exception(out, loop, exception);
        fclose(out);
        console_write(text, len);
        free(text);
    } else {
        weir_print_exception(NULL, loop, exception);
    }
}

static struct door *find_door(const struct worker *worker,
                              const weir_server *server)
{
    for (struct link *link = server ? worker->all.oldest : NULL; link;
         link = link->younger) {
        const struct services *services = (const struct services *)(void *)link;
        for (size_t i = 0; i < services->door_count; i++) {
            if (services->doors[i].server == server) {
                return &services->doors[i];
            }
        }
    }
    return NULL;
}

static void report(void *arg, weir_loop *loop,
                   const struct weir_exception *exception)
{
    const struct worker *worker = arg;

    if (engine_tell(exception)) {
        return;
    }
    struct door *door = find_door(worker, exception->server);
    if (door && exception->transport && exception->err != -ENOMEM) {
        note_failed(door, exception->transport);
        return;
    }
    if (door && !exception->transport) {
        counts_accept_error(door->service->counts, exception->err);
    }
    print_exception(loop, exception);
}

/* Stops all workers, then waits to be cancelled. */
static void stop_all(struct worker *worker)
{
    weir_threads_stop(weir_thread_get_group(worker->thread),
                      worker_config(worker)->drain_ns);
    while (weir_sleep(worker->loop, UINT64_MAX / 2) == 0) {
    }
}

static int serve(struct worker *worker)
{
    const bool is_first = weir_thread_get_index(worker->thread) == 0;
    int err = open_doors(worker);

    if (err == 0 && is_first) {
        if (worker_config(worker)->is_verbose) {
            char text[4096];
            weir_loop_get_features_text(worker->loop, text, sizeof(text));
            fputs(text, stderr);
        }
        err = worker->proxy->hooks->begin(worker);
    }
    if (err == 0) {
        err = worker->proxy->hooks->ready(worker);
    }
    while (err == 0) {
        err = weir_sleep(worker->loop, UINT64_MAX / 2);
    }
    return err;
}

static void free_route(struct route *route)
{
    const struct config_route *config = route->config;

    for (size_t i = 0; i < config->target_count; i++) {
        const struct route_target *target = &route->targets[i];
        if (target->added) {
            struct target_sum sum = {.is_up = 0};
            counts_add_target(&sum, target->added);
            counts_add_counters(&target->past->past, &sum.counters);
        }
    }
    weir_upstreams_free(route->upstreams);
    route->upstreams = NULL;
}

static void free_objects_of(const struct services *services)
{
    for (size_t i = 0; i < services->door_count; i++) {
        weir_server_free(services->doors[i].server);
        services->doors[i].server = NULL;
    }
    for (size_t i = 0; i < services->route_count; i++) {
        if (services->routes[i].upstreams) {
            weir_handle_cancel(services->worker->loop,
                               services->routes[i].cuts.timer);
            free_route(&services->routes[i]);
        }
    }
}

/* Frees what sessions may need until their end. */
static void free_services(struct services *services)
{
    list_remove(&services->worker->all, &services->link);
    for (size_t i = 0; i < services->route_count; i++) {
        free(services->routes[i].in_use);
    }
    for (size_t i = 0; i < services->count; i++) {
        networks_free(&services->all[i].trusted);
    }
    setup_unref(services->setup);
    free(services->all);
    free(services->routes);
    free(services->targets);
    free(services->doors);
    free(services);
}

static void end_old(void *arg)
{
    struct services *services = arg;

    free_objects_of(services);
    free_services(services);
}

/* Frees old services without connections. If out of memory, or if the loop
 * ends, the worker frees them later. */
static void end_if_idle(struct services *services)
{
    if (services->is_old && services->busy == 0) {
        (void)!weir_loop_call_soon(services->worker->loop, end_old, services,
                                   NULL);
    }
}

void worker_leave(struct services *services)
{
    services->busy--;
    end_if_idle(services);
}

/* Stops the name lookups and checks of old upstream sets, because the new sets
 * do them from now on. */
static void retire(struct services *services)
{
    for (size_t i = 0; i < services->route_count; i++) {
        if (services->routes[i].upstreams) {
            weir_upstreams_replace(services->routes[i].upstreams);
        }
    }
    services->is_old = true;
    stop_doors(services);
    end_if_idle(services);
}

/* Frees what belongs to the loop. Sessions that a stop has reset end later,
 * when the loop is freed. */
static void free_objects(struct worker *worker)
{
    if (weir_thread_get_index(worker->thread) == 0) {
        worker->proxy->hooks->end(worker);
    }
    for (struct link *link = worker->all.oldest; link; link = link->younger) {
        free_objects_of((struct services *)(void *)link);
    }
}

static void one_has_ended(void *arg)
{
    struct worker *worker = arg;
    struct proxy *proxy = worker->proxy;

    worker->has_ended = true;
    proxy->ended_count++;
    wake(&proxy->workers[0]);
}

/* Makes the first worker, which has the signals and the operators' page, end
 * last: each other worker reports its end to it, and the first worker waits for
 * these reports. The time limit of the stop also limits this wait. */
static void leave_in_order(struct worker *worker)
{
    struct proxy *proxy = worker->proxy;
    weir_thread *first =
        weir_threads_get(weir_thread_get_group(worker->thread), 0);
    int err;

    if (first != worker->thread) {
        do {
            err = weir_thread_call_soon(first, one_has_ended, worker, NULL);
        } while (err < 0 && err != -ESHUTDOWN &&
                 weir_sleep(worker->loop, RETRY_NS) == 0);
        return;
    }
    while (proxy->ended_count < proxy->worker_count - 1 && worker->event &&
           rest(worker) == 0) {
    }
}

static int set_resolver(const struct worker *worker)
{
    const char *servers = worker->proxy->setup->config->resolver;
    const struct weir_dns_options options = {.size = sizeof(options),
                                             .servers = servers,
                                             .search = "",
                                             .hosts = "/dev/null"};
    const int err =
        servers ? weir_loop_set_dns_options(worker->loop, &options) : 0;

    if (err < 0) {
        say("resolver: %s", weir_strerror(err));
    }
    return err;
}

static int prepare(struct worker *worker)
{
    struct setup *setup = worker->proxy->setup;
    int err = weir_event_new(worker->loop, &worker->event);

    if (err == 0) {
        err = set_resolver(worker);
    }
    if (err == 0) {
        err = make_services(worker, setup, &worker->services);
    }
    if (err == 0) {
        weir_loop_set_exception_handler(worker->loop, report, worker);
        err = log_open(&worker->log, worker->loop, &setup->log);
        if (err < 0) {
            say("%s: %s", setup->log.path, weir_strerror(err));
        }
    }
    return err;
}

int worker_main(weir_thread *thread, void *arg)
{
    struct proxy *proxy = arg;
    struct worker *worker = worker_at(proxy, thread);

    worker->thread = thread;
    worker->loop = weir_thread_get_loop(thread);
    int err = prepare(worker);
    const bool is_prepared = err == 0;
    if (is_prepared) {
        err = serve(worker);
    }
    if (err != -ECANCELED) {
        stop_all(worker);
    }
    if (is_prepared) {
        worker->is_draining = true;
        if (weir_thread_get_index(thread) == 0 && !worker->is_replaced) {
            manager_tell(proxy, "STOPPING=1");
        }
        if (weir_thread_get_index(thread) == 0 &&
            proxy->ready_count == proxy->worker_count) {
            /* all threads have their duplicates */
            listeners_stop(&proxy->setup->listeners);
        }
        close_doors(worker);
    }
    leave_in_order(worker);
    free_objects(worker);
    weir_event_free(worker->event);
    worker->event = NULL;
    return err;
}

void worker_free(struct worker *worker, uint64_t end_ns)
{
    log_close(&worker->log, end_ns);
    while (worker->all.oldest) {
        free_services((struct services *)(void *)worker->all.oldest);
    }
    keyed_free(&worker->tallies, NULL);
    keyed_free(&worker->target_tallies, NULL);
}

void worker_reopen_log(void *arg, weir_thread *thread)
{
    log_reopen(&worker_at(arg, thread)->log);
}

void worker_dump(void *arg, weir_thread *thread)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)arg;
    if (out) {
        weir_loop_dump(weir_thread_get_loop(thread), out);
        fclose(out);
        console_write(text, len);
        free(text);
    }
}

void worker_make_next(struct worker *worker, struct setup *setup)
{
    int err = make_services(worker, setup, &worker->next);

    if (err == 0) {
        err = begin_doors(worker->next);
    }
    worker->opening_err = err < 0 ? err : worker->opening_err;
}

void worker_take_next(struct worker *worker)
{
    struct services *before = worker->services;

    if (!worker->next || worker->is_draining) {
        return; /* the stop closes both */
    }
    worker->services = worker->next;
    worker->next = NULL;
    retire(before);
    places_look(worker); /* the limits may have changed */
}

void worker_drop_next(struct worker *worker)
{
    struct services *next = worker->next;

    worker->next = NULL;
    if (next) {
        retire(next);
    }
}
