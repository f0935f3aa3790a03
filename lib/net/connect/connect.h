/*
 * Connection attempts, for the makers above.
 *
 * weir_create_connection() reads the caller's options and calls
 * wr_connect_start(); a maker whose own options have those of a connection
 * inside reads both and calls it too.
 */
#ifndef WEIR_LIB_NET_CONNECT_CONNECT_H
#define WEIR_LIB_NET_CONNECT_CONNECT_H

#include "lib/transport/pipe/pipe.h"

/* Reads the options of a connection that @outer ends with; see options.h. */
WEIR_MUST_USE int wr_connect_options_read(const void *outer,
                                          struct weir_connect_options *connect);

/* Reads the options that a program gave to a maker of connections. Their socket
 * is the library's from here on: it is closed when they are refused. */
WEIR_MUST_USE int
wr_connect_options_take(struct weir_connect_options *known,
                        const struct weir_connect_options *options);

/* Makes a pipe transport of options->sock, which is the caller's if this fails.
 */
WEIR_MUST_USE int wr_connect_pipe(weir_loop *loop,
                                  const struct weir_factory *factory,
                                  enum wr_pipe_direction direction,
                                  const struct weir_connect_options *options,
                                  weir_connect **ret);

/* weir_create_connection() with options that were read. */
WEIR_MUST_USE int wr_connect_start(weir_loop *loop,
                                   const struct weir_factory *factory,
                                   const char *host, uint16_t port,
                                   const struct weir_connect_options *options,
                                   weir_connect **ret);

/* wr_connect_start() that takes no socket when it fails. */
WEIR_MUST_USE int wr_connect_begin(weir_loop *loop,
                                   const struct weir_factory *factory,
                                   const char *host, uint16_t port,
                                   const struct weir_connect_options *options,
                                   weir_connect **ret);

#endif
