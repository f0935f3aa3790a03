/*
 * asyncio's "TCP Echo Client" with protocols: sends a message, prints the
 * answer and closes. An error is printed and ends the program.
 * Usage: tcp_echo_client PORT
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

static int data_received(void *loop, weir_transport *t,
                         const struct weir_buf *buf)
{
    (void)loop;
    printf("received: %.*s\n", (int)buf->len, (const char *)buf->data);
    return weir_transport_close(t);
}

static void connection_lost(void *loop, weir_transport *t, int error)
{
    (void)t;
    check(error);
    weir_loop_stop(loop);
}

static const struct weir_protocol client = {
    sizeof(client), WEIR_PROTOCOL_STREAM, .data_received = data_received,
    .connection_lost = connection_lost};

static int create(void *loop, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    (void)t;
    *ret = (struct weir_protocol_binding){&client, loop};
    return 0;
}

static void connected(void *arg, int error, weir_transport *t)
{
    (void)arg;
    check(error);
    check(weir_transport_write(t, "Hello World!", 12));
}

int main(int argc, char **argv)
{
    weir_loop *loop;
    uint16_t port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 8888);
    check(weir_loop_new(NULL, &loop));
    check(weir_create_connection(loop, &(struct weir_factory){create, loop},
                                 "127.0.0.1", port, NULL, connected, NULL,
                                 NULL));
    check(weir_loop_run(loop));
    check(weir_loop_free(loop));
    return 0;
}
