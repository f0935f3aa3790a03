/*
 * Datagram endpoints that a task waits for.
 *
 * The protocol is the program's, or that of a datagram stream, which is told of
 * the endpoint before the task is.
 */
#ifndef WEIR_LIB_STREAM_ENDPOINT_OPEN_H
#define WEIR_LIB_STREAM_ENDPOINT_OPEN_H

#include "lib/net/endpoint.h"
#include "weir/datagram_stream.h"

/* Makes an endpoint in a task that has entered, and waits until connection_made
 * has returned. A socket of @call is closed on an error. A reference to the
 * transport is given. */
WEIR_MUST_USE int wr_endpoint_await(weir_loop *loop,
                                    const struct weir_factory *factory,
                                    struct wr_endpoint_call *call,
                                    weir_transport **ret);

#endif
