/*
 * The main() of several example servers: serves each connection with a task, on
 * the port of the command line, until SIGINT or SIGTERM.
 * tcp_echo_server_streams.c shows the same steps without this header.
 */
#ifndef WEIR_EXAMPLES_SERVE_H
#define WEIR_EXAMPLES_SERVE_H

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir.h>

struct service {
    weir_client_connected_fn *handler;
    uint16_t port;
};

/* A client that reads nothing for 30 seconds is disconnected. Closing waits one
 * second for bytes that a client still sends. Without this wait the kernel
 * could send a reset, and the client might lose the last answer. */
static struct weir_start_server_options serve_options = {
    .size = sizeof(serve_options),
    .server.connection.timeouts = {.write_stall_ns = WEIR_SECONDS(30),
                                   .linger_ns = WEIR_SECONDS(1)}};

/* A task that runs next to the server, or NULL. */
static weir_task_fn *serve_beside;

static inline int serve_until_cancelled(weir_loop *loop, void *arg)
{
    const struct service *service = arg;
    struct weir_address address;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    weir_server *server;
    int error = weir_start_server(loop, service->handler, "127.0.0.1",
                                  service->port, &serve_options, &server);
    if (error < 0) {
        return error;
    }
    weir_server_get_socket(server, 0, &address);
    printf("serving on %s\n",
           weir_address_format(&address, text, sizeof(text)));
    fflush(stdout);
    if (serve_beside) {
        error = weir_task_spawn(loop, serve_beside, NULL, NULL, NULL);
    }
    if (error >= 0) {
        error = weir_server_serve_forever(server);
    }
    weir_server_free(server);
    return error;
}

static inline int serve(weir_client_connected_fn *handler, const char *port)
{
    struct service service = {handler, (uint16_t)(port ? atoi(port) : 8888)};
    int error = weir_run(NULL, serve_until_cancelled, &service);
    if (error < 0) {
        errx(1, "%s", weir_strerror(error));
    }
    return 0;
}

#endif
