/*
 * A server of streams whose handler echoes, and its clients, which are peers of
 * the fake machine. All functions must be called from a task. A connected
 * client has been accepted, and its handler runs.
 */
#ifndef WEIR_TESTS_STREAMS_SERVED_H
#define WEIR_TESTS_STREAMS_SERVED_H

#include "pair.h"

#include <weir/stream.h>

enum { CLIENTS = 20 };

extern int handlers; /* number of running handlers */

int echo(void *arg, weir_reader *reader, weir_writer *writer);
weir_server *start(weir_client_connected_fn *handler,
                   const struct weir_start_server_options *options);
struct fake_peer *connect_to(const struct weir_address *address);
struct fake_peer *call_server(weir_server *server);
void expect_echo(struct fake_peer *peer, const char *text);

#endif
