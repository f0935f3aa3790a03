/*
 * A DNS forwarder over UDP: sends the queries of its clients to another server,
 * with ids of its own, and returns the responses. A query gets SERVFAIL if no
 * response arrives within four seconds or if too many are pending.
 * Usage: dns_forwarder PORT SERVER SERVER_PORT, and dig @127.0.0.1 -p PORT NAME
 */
#include "dns_forward.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct weir_protocol asking = {
    sizeof(asking), WEIR_PROTOCOL_DATAGRAM, .datagram_received = ask};

static const struct weir_protocol answering = {
    sizeof(answering), WEIR_PROTOCOL_DATAGRAM, .datagram_received = answer};

static int create(void *protocol, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    (void)t;
    *ret = (struct weir_protocol_binding){protocol, NULL};
    return 0;
}

static int forward(weir_loop *loop, void *argv)
{
    char **words = argv;
    struct weir_address own;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    struct weir_factory factory = {create, (void *)(uintptr_t)&answering};
    struct weir_datagram_options options = {.size = sizeof(options),
                                            .remote_host = words[2],
                                            .remote_port =
                                                (uint16_t)atoi(words[3])};
    int error = weir_open_datagram_endpoint(loop, &factory, &options, &server);
    if (error < 0) {
        return error;
    }
    factory.arg = (void *)(uintptr_t)&asking;
    options =
        (struct weir_datagram_options){.size = sizeof(options),
                                       .local_host = "127.0.0.1",
                                       .local_port = (uint16_t)atoi(words[1])};
    error = weir_open_datagram_endpoint(loop, &factory, &options, &clients);
    if (error == 0) {
        weir_transport_get_sockname(clients, &own);
        printf("serving on %s\n",
               weir_address_format(&own, text, sizeof(text)));
        fflush(stdout);
    }
    while (error == 0) {
        error = weir_sleep(loop, WEIR_MILLISECONDS(250));
        expire(weir_loop_get_time(loop));
    }
    weir_transport_unref(clients); /* both are closed when the loop ends */
    weir_transport_unref(server);
    return error == -ECANCELED ? 0 : error;
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 5) {
        errx(2, "usage: dns_forwarder PORT SERVER SERVER_PORT [SECONDS]");
    }
    patience_ns = WEIR_SECONDS((uint64_t)(argc > 4 ? atoi(argv[4]) : 4));
    pending_init();
    int error = weir_run(NULL, forward, argv);
    if (error < 0) {
        errx(1, "%s", weir_strerror(error));
    }
    return 0;
}
