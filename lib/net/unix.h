/*
 * Makers of Unix connections and servers, for makers above.
 *
 * The public makers read the caller's options and call these; a maker whose own
 * options have others inside reads both.
 */
#ifndef WEIR_LIB_NET_UNIX_H
#define WEIR_LIB_NET_UNIX_H

#include "lib/net/connect/connect.h"
#include "lib/net/serve/server.h"

/* weir_create_unix_connection() with options that were read; they are changed.
 */
WEIR_MUST_USE int wr_unix_connect_start(weir_loop *loop,
                                        const struct weir_factory *factory,
                                        const char *path,
                                        struct weir_connect_options *options,
                                        weir_connect **ret);

/* weir_create_unix_server() with options that were read; they are changed. */
WEIR_MUST_USE int wr_unix_server_create(weir_loop *loop,
                                        const struct weir_factory *factory,
                                        const char *path,
                                        struct weir_server_options *options,
                                        weir_server **ret);

#endif
