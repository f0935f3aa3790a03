/*
 * Opens a datagram endpoint in a task, which waits until the endpoint is ready.
 * The functions that a program calls are in datagram_endpoint.c.
 * wr_datagram_endpoint_open() is for datagram streams.
 */
#ifndef WEIR_LIB_NET_DATAGRAM_ENDPOINT_H
#define WEIR_LIB_NET_DATAGRAM_ENDPOINT_H

#include "lib/names/endpoint.h"
#include "weir/datagram.h"

/* All is borrowed except a descriptor, which is taken. */
struct wr_datagram_endpoint_call {
    /* False means that the addresses are in the options. */
    bool has_sides;
    struct weir_endpoint local;  /* host NULL means none; or a socket */
    struct weir_endpoint remote; /* host NULL means none */
    const struct weir_datagram_options *options;
};

/* Makes an endpoint in a task that has called wr_task_enter(), and waits until
 * connection_made has returned. Returns 0 and a reference to the transport. On
 * an error closes a socket of @call. */
WEIR_MUST_USE int
wr_datagram_endpoint_open(weir_loop *loop, const struct weir_factory *factory,
                          struct wr_datagram_endpoint_call *call,
                          weir_transport **ret);

void wr_datagram_endpoint_refuse(const weir_loop *loop,
                                 const struct wr_datagram_endpoint_call *call);

#endif
