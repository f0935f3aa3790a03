/*
 * asyncio's "UDP Echo Client": sends a message and prints the answer. It also
 * ends if the peer refuses the datagram.
 * Usage: udp_echo_client PORT
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

static int datagram_received(void *loop, weir_transport *t,
                             const struct weir_datagram *datagram)
{
    const struct weir_buf *buf = &datagram->buf;
    printf("received: %.*s\n", (int)buf->len, (const char *)buf->data);
    weir_loop_stop(loop);
    return weir_transport_close(t);
}

static void error_received(void *loop, weir_transport *t, int error,
                           const struct weir_address *peer)
{
    (void)t;
    (void)loop;
    (void)peer;
    check(error);
}

static const struct weir_protocol client = {
    sizeof(client), WEIR_PROTOCOL_DATAGRAM,
    .datagram_received = datagram_received, .error_received = error_received};

static int create(void *loop, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    (void)t;
    *ret = (struct weir_protocol_binding){&client, loop};
    return 0;
}

static void ready(void *loop, int error, weir_transport *t)
{
    (void)loop;
    check(error);
    check(weir_transport_sendto(t, "Hello World!", 12, NULL));
}

int main(int argc, char **argv)
{
    weir_loop *loop;
    uint16_t port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 9999);
    struct weir_datagram_options options = {
        sizeof(options), .remote_host = "127.0.0.1", .remote_port = port};
    check(weir_loop_new(NULL, &loop));
    struct weir_factory factory = {create, loop};
    check(weir_create_datagram_endpoint(loop, &factory, &options, ready, NULL,
                                        NULL));
    check(weir_loop_run(loop));
    check(weir_loop_free(loop));
    return 0;
}
