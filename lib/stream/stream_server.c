/*
 * Servers of streams, and waiting for a server in a task. The options of a
 * server's streams are in a block, struct service, that is freed when the
 * server reports its end.
 */
#include "writer.h"

#include "lib/base/options.h"
#include "lib/net/serve/server.h"
#include "lib/transport/socket.h"

struct service {
    weir_loop *loop;
    struct weir_stream_options stream;
};

struct server_wait {
    struct wr_waiter waiter;
    struct wr_server_watch watch;
    int result;
};

static int stream_server_create(void *arg, weir_transport *t,
                                struct weir_protocol_binding *ret)
{
    const struct service *service = arg;
    (void)t;
    wr_assert(service->stream.client_connected != NULL);
    /* connection_made takes a reference for the handler. */
    return weir_stream_protocol_new(service->loop, &service->stream, ret, NULL);
}

static void stream_server_free_service(struct service *service)
{
    wr_free(&service->loop->counting, service, sizeof(*service));
}

static void stream_server_closed(void *arg, weir_server *server)
{
    wr_assert(wr_server_is_over(server));
    stream_server_free_service(arg);
}

static int
stream_server_read_options(const struct weir_start_server_options *options,
                           struct weir_start_server_options *ret,
                           struct weir_stream_options *ret_stream)
{
    int err = wr_options_read(ret, sizeof(*ret), options);
    if (err == 0) {
        err = wr_server_options_read(ret, &ret->server);
    }
    *ret_stream = (struct weir_stream_options){
        .size = sizeof(*ret_stream),
        .limit_bytes = ret->limit_bytes,
        .arg = ret->arg,
        .no_task = ret->no_task,
        .stack_size_bytes = ret->stack_size_bytes,
    };
    wr_require(err >= 0, err);
    return wr_stream_check(ret_stream);
}

static int stream_server_start(struct service *service,
                               struct weir_endpoint endpoint,
                               const struct weir_server_options *options,
                               weir_server **ret)
{
    /* Without client_connected the server serves no client. */
    const struct weir_factory factory = {
        .create =
            service->stream.client_connected ? stream_server_create : NULL,
        .arg = service};
    const struct wr_server_call call = {.endpoint = endpoint,
                                        .options = options};
    weir_server *server = NULL;

    wr_assert(options->size > 0);
    int err = wr_server_new(service->loop, &factory, &call, &server);
    if (err == 0) {
        err = weir_server_add_closed_callback(server, stream_server_closed,
                                              service);
    }
    if (err < 0) {
        weir_server_free(server);
        stream_server_free_service(service);
        return err;
    }
    err = wr_server_start(server);
    if (err < 0) {
        weir_server_free(server);
        return err;
    }
    *ret = server;
    return 0;
}

int weir_start_server_at(weir_loop *loop, weir_client_connected_fn *connected,
                         struct weir_endpoint endpoint,
                         const struct weir_start_server_options *options,
                         weir_server **ret)
{
    struct weir_start_server_options known;
    struct weir_stream_options stream;
    struct service *service = NULL;

    const int unread = stream_server_read_options(options, &known, &stream);
    int err = wr_stream_enter(loop, unread,
                              (connected || known.server.accepted) && ret);
    if (err == 0) {
        stream.client_connected = connected;
        service = wr_alloc(&loop->counting, sizeof(*service));
        err = service ? 0 : -ENOMEM;
    }
    if (!service) {
        wr_socket_refuse(wr_endpoint_get_fd(&endpoint));
        return err;
    }
    *service = (struct service){.loop = loop, .stream = stream};
    return stream_server_start(service, endpoint, &known.server, ret);
}

int weir_start_server(weir_loop *loop, weir_client_connected_fn *connected,
                      const char *host, uint16_t port,
                      const struct weir_start_server_options *options,
                      weir_server **ret)
{
    return weir_start_server_at(loop, connected, weir_endpoint_host(host, port),
                                options, ret);
}

int weir_start_unix_server(weir_loop *loop, weir_client_connected_fn *connected,
                           const char *path,
                           const struct weir_start_server_options *options,
                           weir_server **ret)
{
    return weir_start_server_at(loop, connected, weir_endpoint_unix(path),
                                options, ret);
}

static void stream_server_told(struct wr_server_watch *watch,
                               weir_server *server)
{
    struct server_wait *wait =
        wr_container_of(watch, struct server_wait, watch);

    wr_assert(wr_server_is_closed(server));
    wr_waiter_wake(&wait->waiter, wait->result);
}

static void stream_server_stop_waiting(struct wr_waiter *waiter)
{
    struct server_wait *wait =
        wr_container_of(waiter, struct server_wait, waiter);

    wr_assert(wr_list_is_linked(&wait->watch.link));
    wr_list_remove(&wait->watch.link);
    wr_waiter_wake(waiter, -ECANCELED);
}

/* Returns @result, or -ECANCELED if the task was interrupted. */
static int stream_server_wait(weir_server *server, struct wr_list *watches,
                              int result)
{
    static const struct wr_wait_kind kind = {
        .name = "server end", .interrupt = stream_server_stop_waiting};
    struct server_wait wait = {
        .waiter = {.kind = &kind},
        .watch = {.tell = stream_server_told},
        .result = result,
    };

    wr_list_init(&wait.watch.link);
    wr_list_push_back(watches, &wait.watch.link);
    int err = wr_task_wait(server->loop, &wait.waiter, NULL);
    wr_assert(!wr_list_is_linked(&wait.watch.link));
    return err;
}

static int stream_server_wait_until_over(weir_server *server)
{
    return wr_server_is_over(server)
               ? 0
               : stream_server_wait(server, &server->over_watches, 0);
}

int weir_server_serve_forever(weir_server *server)
{
    weir_loop *loop = server->loop;

    int err = wr_task_enter(loop);
    wr_require(err == 0 || err == -ECANCELED, err);
    if (err == 0 && !wr_list_is_empty(&server->close_watches)) {
        return -EBUSY;
    }
    if (err == 0) {
        err = weir_server_start_serving(server);
    }
    if (err == 0) {
        err = stream_server_wait(server, &server->close_watches, -ESHUTDOWN);
    }
    if (err != -ECANCELED) {
        return err; /* the server may be freed */
    }
    wr_server_stop(server, server->grace_ns);
    err = wr_task_enter(loop);
    if (err == 0) {
        err = stream_server_wait_until_over(server);
    }
    return err == 0 && weir_loop_is_stopping(loop) ? 0 : -ECANCELED;
}

int weir_server_wait_closed(weir_server *server)
{
    int err = wr_task_enter(server->loop);
    return err < 0 ? err : stream_server_wait_until_over(server);
}
