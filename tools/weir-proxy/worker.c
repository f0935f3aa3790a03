/*
 * A worker makes everything that it needs on its own loop: sets of targets,
 * servers, the log. The first worker also has the signals, the metrics and the
 * door for a successor (admin.h, handover.h).
 */
#include "worker.h"

#include "admin.h"
#include "contexts.h"
#include "cuts.h"
#include "handover.h"
#include "listeners.h"
#include "manager.h"
#include "opening.h"
#include "signals.h"
#include "targets.h"
#include "tools/common/clock.h"
#include "tools/common/console.h"
#include "tools/common/engine.h"

#include "weir/error.h"
#include "weir/proxy_protocol.h"
#include "weir/sync.h"
#include "weir/task.h"
#include "weir/tls_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Until a post that found no memory is tried again. */
#define RETRY_NS UINT64_C(10000000)

/* The worker of a visited thread; @proxy is the argument of the visit. */
static struct worker *worker_of(void *proxy, weir_thread *thread)
{
    return &((struct proxy *)proxy)->workers[weir_thread_get_index(thread)];
}

/* ---- services ---- */

/* Who may send PROXY headers: the loopback and Unix sockets, unless told. */
static int trust(struct service *service)
{
    static const char *const local[] = {"127.0.0.0/8", "::1/128", "unix"};
    const struct config_texts *texts = &service->config->trusted;
    const size_t count = texts->count > 0 ? texts->count : 3;

    service->trusted = calloc(count, sizeof(*service->trusted));
    if (!service->trusted) {
        return -ENOMEM;
    }
    service->trusted_count = count;
    for (size_t i = 0; i < count; i++) {
        const char *text = texts->count > 0 ? texts->texts[i] : local[i];
        const int err = weir_network_parse(text, &service->trusted[i]);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

static unsigned versions_of(enum config_header header)
{
    return header == HEADER_V1   ? WEIR_PROXY_V1
           : header == HEADER_V2 ? WEIR_PROXY_V2
                                 : 0;
}

static bool passes_any_tls(const struct config_service *config)
{
    for (size_t i = 0; i < config->route_count; i++) {
        if (config->routes[i].passes_tls) {
            return true;
        }
    }
    return false;
}

/* What is looked at in clients. */
static void note_routes(struct service *service)
{
    for (size_t i = 0; i < service->config->route_count; i++) {
        const struct config_route *route = &service->config->routes[i];
        service->has_alpn_route |= route->alpn.count > 0;
        service->has_silent_route |= route->as == AS_SILENT;
    }
}

static int make_service(struct worker *worker, struct service *service,
                        const struct config_service *config, size_t index)
{
    const struct contexts *contexts = weir_thread_get_config(worker->thread);

    service->worker = worker;
    service->config = config;
    service->index = index;
    service->reads_header = config->accept_header != HEADER_NONE;
    service->header_versions = versions_of(config->accept_header);
    service->clients = worker->proxy->clients[index];
    /* A client is looked at before its TLS is opened. */
    service->reads_hello = passes_any_tls(config) || service->clients;
    note_routes(service);
    service->routes = calloc(config->route_count, sizeof(*service->routes));
    if (!service->routes) {
        return -ENOMEM;
    }
    int err = trust(service);
    for (size_t i = 0; i < config->route_count && err == 0; i++) {
        err = targets_make(worker, &service->routes[i], config,
                           &config->routes[i],
                           contexts_of_route(contexts, index, i));
    }
    return err;
}

static int make_services(struct worker *worker)
{
    const struct config *config = worker->proxy->config;
    int err = 0;

    worker->services = calloc(config->service_count, sizeof(*worker->services));
    if (!worker->services) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < config->service_count && err == 0; i++) {
        err =
            make_service(worker, &worker->services[i], &config->services[i], i);
    }
    return err;
}

/* ---- servers ---- */

static void one_less(struct waiting *waiting, int err)
{
    if (err < 0 && waiting->err == 0) {
        waiting->err = err;
    }
    waiting->count--;
    if (waiting->count == 0 && waiting->event) {
        weir_event_set(waiting->event);
    }
}

static void listening(void *arg, int err, weir_server *server)
{
    (void)server;
    one_less(arg, err);
}

static void closed(void *arg, weir_server *server)
{
    (void)server;
    one_less(arg, 0);
}

/* TLS is opened by the server where nothing is read before it. */
static bool opens_tls_first(const struct door *door)
{
    return door->at->is_tls && !door->at->is_any &&
           !door->service->reads_header && !door->service->reads_hello;
}

static struct weir_tls_settings tls_of(const struct door *door)
{
    const struct service *service = door->service;
    const struct contexts *contexts =
        weir_thread_get_config(service->worker->thread);

    return (struct weir_tls_settings){
        .size = sizeof(struct weir_tls_settings),
        .context = contexts_of_service(contexts, service->index),
        .handshake_timeout_ns = service->config->handshake_timeout_ns,
    };
}

/* Connections that a door accepts; others wait in the kernel's queue. More than
 * all threads may serve together need not be accepted by one (places.h). */
static uint64_t limit_of(const struct service *service)
{
    const struct proxy *proxy = service->worker->proxy;
    const uint64_t by_fds = share_of(proxy->fd_limit, proxy);
    const uint64_t limit = service->config->conn_limit;

    return limit > 0 && limit < by_fds ? limit : by_fds;
}

static int open_door(struct door *door, int fd, struct waiting *waiting)
{
    const struct service *service = door->service;
    const struct weir_factory factory = {opening_create, door};
    const struct weir_tls_settings tls = tls_of(door);
    const struct weir_server_options options = {
        .size = sizeof(options),
        .connection_limit = limit_of(service),
        .tls = opens_tls_first(door) ? &tls : NULL,
        .no_cleanup_socket = true,
        .connection = connection_of(service->config)};

    waiting->count++;
    const int err = weir_create_server_at(service->worker->loop, &factory,
                                          weir_place_fd(fd), &options,
                                          listening, waiting, &door->server);
    waiting->count -= err < 0;
    return err;
}

/* The sockets of a service that this thread serves. */
static size_t count_doors(const struct service *service)
{
    const struct proxy *proxy = service->worker->proxy;
    const uint32_t thread = weir_thread_get_index(service->worker->thread);
    size_t count = 0;

    for (size_t i = 0; i < proxy->listeners->count; i++) {
        const struct listener *one = &proxy->listeners->all[i];
        if (one->service == service->index) {
            count += listeners_share(one, thread, proxy->worker_count);
        }
    }
    return count;
}

static struct places *places_of(const struct listener *at,
                                const struct proxy *proxy)
{
    return &proxy->address_places[at - proxy->listeners->all];
}

static int open_doors_at(struct service *service, const struct listener *at,
                         struct waiting *waiting)
{
    const struct proxy *proxy = service->worker->proxy;
    const uint32_t thread = weir_thread_get_index(service->worker->thread);
    const uint32_t share = listeners_share(at, thread, proxy->worker_count);
    int err = 0;

    for (uint32_t i = 0; i < share && err == 0; i++) {
        struct door *door = &service->doors[service->door_count];
        const int fd = listeners_take(at, thread, proxy->worker_count, i);
        *door = (struct door){.service = service,
                              .at = &service->config->listens[at->listen],
                              .places = places_of(at, proxy),
                              .take_in = opening_take_in};
        err = fd < 0 ? fd : open_door(door, fd, waiting);
        service->door_count += err == 0;
    }
    return err;
}

static int open_doors_of(struct service *service, struct waiting *waiting)
{
    const struct listeners *listeners = service->worker->proxy->listeners;
    int err = 0;

    service->doors = calloc(count_doors(service) + 1, sizeof(*service->doors));
    if (!service->doors) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < listeners->count && err == 0; i++) {
        if (listeners->all[i].service == service->index) {
            err = open_doors_at(service, &listeners->all[i], waiting);
        }
    }
    return err;
}

static int open_doors(struct worker *worker, struct waiting *waiting)
{
    const struct config *config = worker->proxy->config;
    int err = 0;

    waiting->err = 0;
    weir_event_clear(waiting->event);
    for (size_t i = 0; i < config->service_count && err == 0; i++) {
        err = open_doors_of(&worker->services[i], waiting);
    }
    if (waiting->count > 0) {
        const int waited = weir_event_wait(waiting->event);
        err = err < 0 ? err : waited;
    }
    return err < 0 ? err : waiting->err;
}

/* Accepts no more, and waits until the last connection has ended. The threads'
 * stop bounds the time. */
static void close_doors(struct worker *worker, struct waiting *waiting)
{
    const struct config *config = worker->proxy->config;

    weir_event_clear(waiting->event);
    for (size_t i = 0; i < config->service_count; i++) {
        struct service *service = &worker->services[i];
        for (size_t j = 0; j < service->door_count; j++) {
            if (service->doors[j].server &&
                weir_server_stop(service->doors[j].server, UINT64_MAX, closed,
                                 waiting) == 0) {
                waiting->count++;
            }
            opening_refuse_waiting(&service->doors[j]);
        }
    }
    while (waiting->count > 0 && weir_event_wait(waiting->event) == 0) {
    }
}

/* ---- the main task ---- */

/* Counts and logs a client whose handshake with the server has failed: there
 * was no session yet. */
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
        record.time_ns -= info.time_ns; /* it was accepted then */
    }
    if (weir_transport_get_extra_info(client, "server_name", &info) == 0) {
        record.server_name = info.text;
    }
    record.alert = record_alert_of(client);
    service->counts.accepted++;
    service->counts.active++;
    service->counts.failed_handshakes++;
    counts_end(&service->counts, &record);
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

static void report(void *arg, weir_loop *loop,
                   const struct weir_exception *exception)
{
    const struct worker *worker = arg;

    if (engine_tell(exception)) {
        return;
    }
    for (size_t i = 0; i < worker->proxy->config->service_count; i++) {
        struct service *service = &worker->services[i];
        for (size_t j = 0; j < service->door_count; j++) {
            if (!exception->server ||
                exception->server != service->doors[j].server) {
                continue;
            }
            if (exception->transport && exception->err != -ENOMEM) {
                note_failed(&service->doors[j], exception->transport);
                return;
            }
            if (!exception->transport) {
                counts_accept_error(&service->counts, exception->err);
            }
        }
    }
    print_exception(loop, exception);
}

static void say_features(const struct worker *worker)
{
    char text[4096];

    if (worker->proxy->config->is_verbose) {
        weir_loop_get_features_text(worker->loop, text, sizeof(text));
        fputs(text, stderr);
    }
}

/* Without one worker the others do not serve: all are stopped, and this one is
 * cancelled as they are. */
static void stop_all(struct worker *worker)
{
    weir_threads_stop(weir_thread_get_threads(worker->thread),
                      worker->proxy->config->drain_ns);
    while (weir_sleep(worker->loop, UINT64_MAX / 2) == 0) {
    }
}

static int serve(struct worker *worker, struct waiting *waiting)
{
    const bool is_first = weir_thread_get_index(worker->thread) == 0;
    int err = open_doors(worker, waiting);

    if (err == 0 && is_first) {
        say_features(worker);
        err = signals_begin(worker);
    }
    if (err == 0 && is_first) {
        err = admin_begin(worker);
    }
    if (err == 0) {
        err = handover_worker_is_ready(worker);
    }
    while (err == 0) {
        err = weir_sleep(worker->loop, UINT64_MAX / 2);
    }
    return err;
}

/* Frees what belongs to the loop. Sessions that a stop has cut off end after
 * this, when the loop is freed. */
static void free_objects(struct worker *worker)
{
    const struct config *config = worker->proxy->config;

    admin_end(worker->admin);
    weir_server_free(worker->successors);
    for (size_t i = 0; worker->services && i < config->service_count; i++) {
        struct service *service = &worker->services[i];
        for (size_t j = 0; service->doors && j < service->door_count; j++) {
            weir_server_free(service->doors[j].server);
            service->doors[j].server = NULL;
        }
        for (size_t j = 0; service->routes && j < service->config->route_count;
             j++) {
            cuts_end(&service->routes[j]);
            weir_upstreams_free(service->routes[j].upstreams);
            service->routes[j].upstreams = NULL;
        }
    }
}

/* On the first worker's loop: the last words of another one. */
static void one_has_ended(void *arg)
{
    struct worker *worker = arg;
    struct proxy *proxy = worker->proxy;

    worker->has_ended = true;
    proxy->ended_count++;
    if (proxy->all_ended) {
        weir_event_set(proxy->all_ended);
    }
}

/* The first worker has the signals and the operator's page: it ends last. The
 * time of the stop bounds this, too. */
static void leave_in_order(struct worker *worker)
{
    struct proxy *proxy = worker->proxy;
    weir_thread *first =
        weir_threads_get_thread(weir_thread_get_threads(worker->thread), 0);
    int err;

    if (first != worker->thread) {
        do {
            err = weir_thread_call_soon(first, one_has_ended, worker, NULL);
        } while (err < 0 && err != -ESHUTDOWN &&
                 weir_sleep(worker->loop, RETRY_NS) == 0);
        return;
    }
    err = weir_event_new(worker->loop, &proxy->all_ended);
    while (err == 0 && proxy->ended_count < proxy->worker_count - 1) {
        weir_event_clear(proxy->all_ended);
        err = weir_event_wait(proxy->all_ended);
    }
    weir_event_free(proxy->all_ended);
    proxy->all_ended = NULL;
}

/* What a worker needs before it serves. */
static int prepare(struct worker *worker)
{
    int err = weir_event_new(worker->loop, &worker->waiting.event);

    if (err == 0) {
        err = make_services(worker);
    }
    if (err == 0) {
        weir_loop_set_exception_handler(worker->loop, report, worker);
        err = log_open(&worker->log, worker->loop, &worker->proxy->log);
        if (err < 0) {
            say("%s: %s", worker->proxy->log.path, weir_strerror(err));
        }
    }
    return err;
}

int worker_main(weir_thread *thread, void *arg)
{
    struct proxy *proxy = arg;
    struct worker *worker = &proxy->workers[weir_thread_get_index(thread)];

    worker->proxy = proxy;
    worker->thread = thread;
    worker->loop = weir_thread_get_loop(thread);
    int err = prepare(worker);
    const bool is_prepared = err == 0;
    if (is_prepared) {
        err = serve(worker, &worker->waiting);
    }
    if (err != -ECANCELED) {
        stop_all(worker);
    }
    if (is_prepared) {
        worker->is_draining = true;
        if (weir_thread_get_index(thread) == 0 && !worker->is_replaced) {
            manager_tell_stopping();
        }
        if (weir_thread_get_index(thread) == 0 &&
            proxy->ready_count == proxy->worker_count) {
            listeners_stop(proxy->listeners); /* all have taken theirs */
        }
        close_doors(worker, &worker->waiting);
    }
    leave_in_order(worker);
    if (worker->is_replaced) {
        admin_wait(worker->admin);
    }
    free_objects(worker);
    weir_event_free(worker->waiting.event);
    worker->waiting.event = NULL;
    return err;
}

/* ---- after the thread ---- */

void worker_free(struct worker *worker)
{
    const struct config *config = worker->proxy ? worker->proxy->config : NULL;

    for (size_t i = 0; config && worker->services && i < config->service_count;
         i++) {
        struct service *service = &worker->services[i];
        for (size_t j = 0;
             service->routes && j < config->services[i].route_count; j++) {
            free(service->routes[j].was_down);
        }
        free(service->routes);
        free(service->doors);
        free(service->trusted);
    }
    free(worker->services);
    admin_free(worker->admin);
    log_close(&worker->log);
}

/* ---- visits ---- */

void worker_reopen_log(void *arg, weir_thread *thread)
{
    log_reopen(&worker_of(arg, thread)->log);
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

void worker_renew_tls(void *arg, weir_thread *thread)
{
    struct worker *worker = worker_of(arg, thread);
    const struct config *config = worker->proxy->config;
    const struct contexts *contexts = weir_thread_get_config(thread);

    for (size_t i = 0; worker->services && i < config->service_count; i++) {
        struct service *service = &worker->services[i];
        for (size_t j = 0;
             service->routes && j < config->services[i].route_count; j++) {
            if (service->routes[j].upstreams) {
                targets_renew_tls(&service->routes[j],
                                  contexts_of_route(contexts, i, j));
            }
        }
        for (size_t j = 0; j < service->door_count; j++) {
            const struct door *door = &service->doors[j];
            const struct weir_tls_settings tls = tls_of(door);
            if (opens_tls_first(door) && door->server &&
                weir_server_set_tls(door->server, &tls) < 0) {
                say("%s: its certificates were not renewed",
                    service->config->name);
            }
        }
    }
}
