/*
 * A connection for a stream protocol, with or without a handler, and a record
 * of the calls of the exception hook and the notes of the handler. Each
 * connection begins with an empty record.
 */
#ifndef WEIR_TESTS_STREAMS_HANDLER_H
#define WEIR_TESTS_STREAMS_HANDLER_H

#include "pair.h"

#include <weir/stream.h>

struct seen {
    int reports;
    int err;
    const char *callback;
    weir_transport *transport;
    char task_name[64];
    int calls;
    weir_writer *writer;
    int result;
    int read_result;
};

extern struct seen seen;

void hook(void *arg, weir_loop *on, const struct weir_exception *told);

/* Adopts a connected socket with this protocol. */
int adopt(struct pair *p, struct weir_protocol_binding *binding);

/* Opens a connection for a handler. */
void serve(struct pair *p, weir_client_connected_fn *handler,
           struct weir_stream_options *options);
void expect_over(struct pair *p);

#endif
