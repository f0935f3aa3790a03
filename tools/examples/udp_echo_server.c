/*
 * asyncio's "UDP Echo Server": sends each datagram back to its sender; one loop
 * iteration may receive many.
 * Usage: udp_echo_server [PORT]
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

static int datagram_received(void *user, weir_transport *t,
                             const struct weir_datagram *datagram)
{
    (void)user;
    weir_transport_sendto(t, datagram->buf.data, datagram->buf.len,
                          &datagram->peer);
    return 0;
}

static const struct weir_protocol echo = {sizeof(echo), WEIR_PROTOCOL_DATAGRAM,
                                          .datagram_received =
                                              datagram_received};

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    (void)t;
    *ret = (struct weir_protocol_binding){&echo, arg};
    return 0;
}

static void serving(void *arg, int error, weir_transport *t)
{
    struct weir_address address;
    char text[WEIR_ADDRESS_TEXT_SIZE];

    (void)arg;
    check(error);
    weir_transport_get_sockname(t, &address);
    printf("serving on %s\n",
           weir_address_format(&address, text, sizeof(text)));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    weir_loop *loop;
    uint16_t port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 9999);
    struct weir_datagram_options options = {
        sizeof(options), .local_host = "127.0.0.1", .local_port = port};
    check(weir_loop_new(NULL, &loop));
    struct weir_factory factory = {create, NULL};
    check(weir_create_datagram_endpoint(loop, &factory, &options, serving, NULL,
                                        NULL));
    check(weir_loop_run(loop));
    check(weir_loop_free(loop));
    return 0;
}
