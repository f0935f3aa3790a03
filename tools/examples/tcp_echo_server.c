/*
 * asyncio's "TCP Echo Server" with protocols: sends received bytes back, and
 * closes a connection at the client's end of stream.
 * Usage: tcp_echo_server [PORT]
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    (void)user;
    return weir_transport_write_buf(t, buf);
}

static const struct weir_protocol echo = {sizeof(echo), WEIR_PROTOCOL_STREAM,
                                          .data_received = data_received};

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    (void)t;
    *ret = (struct weir_protocol_binding){&echo, arg};
    return 0;
}

static void listening(void *arg, int error, weir_server *server)
{
    struct weir_address address;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    (void)arg;
    check(error);
    check(weir_server_get_socket(server, 0, &address));
    printf("serving on %s\n",
           weir_address_format(&address, text, sizeof(text)));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    weir_loop *loop;
    weir_server *server;
    uint16_t port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 8888);
    struct weir_factory factory = {create, NULL};
    check(weir_loop_new(NULL, &loop));
    check(weir_create_server(loop, &factory, "127.0.0.1", port, NULL, listening,
                             NULL, &server));
    check(weir_loop_run(loop));
    weir_server_free(server);
    check(weir_loop_free(loop));
    return 0;
}
