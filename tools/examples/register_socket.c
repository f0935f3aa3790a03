/*
 * asyncio's "Register an open socket to wait for data using a protocol": one
 * end of a socketpair gets a protocol, the other is written to. A connected TCP
 * socket is registered in the same way.
 */
#include "check.h"

#include <err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    (void)user;
    printf("received: %.*s\n", (int)buf->len, (const char *)buf->data);
    return weir_transport_close(t); /* connection_lost follows */
}

static void connection_lost(void *loop, weir_transport *t, int error)
{
    (void)t;
    check(error);
    weir_loop_stop(loop);
}

static const struct weir_protocol protocol = {
    sizeof(protocol), WEIR_PROTOCOL_STREAM, .data_received = data_received,
    .connection_lost = connection_lost};

static int create(void *loop, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    (void)t;
    *ret = (struct weir_protocol_binding){&protocol, loop};
    return 0;
}

int main(void)
{
    weir_loop *loop;
    int pair[2];
    check(weir_loop_new(NULL, &loop));
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) {
        err(1, "socketpair");
    }
    struct weir_factory factory = {create, loop};
    check(weir_create_connection_at(loop, &factory, weir_endpoint_fd(pair[0]),
                                    NULL, NULL, NULL, NULL));
    if (write(pair[1], "abc", 3) != 3) { /* as if from the network */
        err(1, "write");
    }
    check(weir_loop_run(loop));
    close(pair[1]);
    check(weir_loop_free(loop));
    return 0;
}
