/*
 * Servers of streams, and waiting for a server in a task.
 *
 * A server knows a factory and nothing of streams. What every stream of it
 * starts with lies in a block of its own, which lives until the server is
 * closed and its last connection lost; the server says so when it is.
 */
#include "writer.h"

#include "options.h"
#include "server.h"

/* What the streams of a server start with. */
struct service {
    weir_loop *loop;
    struct weir_stream_protocol_options stream;
};

/* A start that a task waits for. */
struct starting {
    struct wr_waiter waiter;
    weir_server *server;
};

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    const struct service *service = arg;
    (void)t;
    /* Without a reference: connection_made follows and gives the handler one.
     */
    return weir_stream_protocol_new(service->loop, &service->stream, ret, NULL);
}

static void started(void *arg, int err, weir_server *server)
{
    struct starting *starting = arg;
    (void)server;
    wr_waiter_wake(&starting->waiter, err);
}

static void give_up(struct wr_waiter *waiter)
{
    struct starting *starting =
        wr_container_of(waiter, struct starting, waiter);
    weir_server_close(starting->server);
}

static void free_service(struct service *service)
{
    wr_free(&service->loop->counting, service, sizeof(*service));
}

static void server_closed(void *arg, weir_server *server)
{
    (void)server;
    free_service(arg);
}

/* The caller's options, and what they say of the streams. */
static int read_options(const struct weir_start_server_options *options,
                        struct weir_start_server_options *ret,
                        struct weir_stream_protocol_options *ret_stream)
{
    int err = wr_options_read(ret, sizeof(*ret), options);
    if (err == 0) {
        err = wr_server_options_read(ret, &ret->server);
    }
    *ret_stream = (struct weir_stream_protocol_options){
        .size = sizeof(*ret_stream),
        .limit_bytes = ret->limit_bytes,
        .arg = ret->arg,
        .no_task = ret->no_task,
        .stack_size_bytes = ret->stack_size_bytes,
    };
    wr_require(err >= 0, err);
    wr_require(!ret->server.done, -EINVAL);
    return wr_stream_check(ret_stream);
}

static int make_service(weir_loop *loop,
                        const struct weir_stream_protocol_options *stream,
                        struct service **ret)
{
    struct service *service = wr_alloc(&loop->counting, sizeof(*service));
    wr_require(service, -ENOMEM);
    *service = (struct service){.loop = loop, .stream = *stream};
    *ret = service;
    return 0;
}

/* The server exists: waits until it listens. Its end frees the service, if it
 * can be told; then nothing is left to it but an end. */
static int wait_for_start(struct starting *starting, struct service *service)
{
    weir_server *server = starting->server;
    int err = weir_server_wait_closed(server, server_closed, service);
    if (err < 0) {
        weir_server_close(server);
    }
    int result = wr_task_wait(service->loop, &starting->waiter, NULL);
    if (err < 0) {
        free_service(service); /* it has not listened: it made nothing */
        return err;
    }
    return result;
}

/* Creates the server and waits until it listens; the service is taken. */
static int create_and_wait(struct service *service, const char *host,
                           uint16_t port, struct weir_server_options *options,
                           weir_server **ret)
{
    const struct weir_factory factory = {.create = create, .arg = service};
    struct starting starting = {.waiter = {.interrupt = give_up}};

    options->done = started;
    options->done_arg = &starting;
    int err = wr_server_create(service->loop, &factory, host, port, options,
                               &starting.server);
    if (err < 0) {
        free_service(service);
        return err;
    }
    err = wait_for_start(&starting, service);
    if (err < 0) {
        weir_server_free(starting.server);
        return err;
    }
    *ret = starting.server;
    return 0;
}

int weir_start_server(weir_loop *loop, weir_client_connected_fn *connected,
                      const char *host, uint16_t port,
                      const struct weir_start_server_options *options,
                      weir_server **ret)
{
    struct weir_start_server_options known;
    struct weir_stream_protocol_options stream;
    struct service *service = NULL;

    const int unread = read_options(options, &known, &stream);
    int err = wr_task_enter(loop);
    if (err == 0) {
        err = connected && ret ? unread : -EINVAL;
    }
    if (err == 0) {
        stream.client_connected = connected;
        err = make_service(loop, &stream, &service);
    }
    if (err < 0) {
        wr_server_refuse(&known.server);
        return err;
    }
    return create_and_wait(service, host, port, &known.server, ret);
}

/* Suspends until nothing is left of the server but its handle. */
static int wait_until_over(weir_server *server)
{
    struct wr_waiter waiter = {.interrupt = NULL};

    if (wr_server_is_over(server)) {
        return 0;
    }
    return wr_task_wait(server->loop, &waiter, &server->joiners);
}

int weir_server_serve_forever(weir_server *server)
{
    struct wr_waiter waiter = {.interrupt = NULL};
    weir_loop *loop = server->loop;

    int err = wr_task_enter(loop);
    wr_require(err == 0 || err == -ECANCELED, err);
    if (err == 0 && !wr_list_is_empty(&server->runners)) {
        return -EBUSY;
    }
    if (err == 0) {
        err = weir_server_start_serving(server);
    }
    if (err == 0) {
        err = wr_task_wait(loop, &waiter, &server->runners);
    }
    if (err != -ECANCELED) {
        return err; /* the server may be gone */
    }
    wr_server_stop(server, server->grace_ns);
    if (wr_task_enter(loop) == 0) {
        wr_ignore(wait_until_over(server)); /* -ECANCELED in any case */
    }
    return -ECANCELED;
}

int weir_server_join(weir_server *server)
{
    int err = wr_task_enter(server->loop);
    return err < 0 ? err : wait_until_over(server);
}
