/*
 * Connection attempts, for the makers above.
 *
 * weir_create_connection() reads the caller's options and goes on with what is
 * here; who has read options of a connection inside of others begins here.
 */
#ifndef WEIR_LIB_CONNECT_H
#define WEIR_LIB_CONNECT_H

#include "transport.h"

/* Reads what @outer, itself read (options.h), says of a connection. */
int wr_connect_options_read(const void *outer,
                            struct weir_connect_options *connect);

/* weir_create_connection() with options that were read. */
int wr_connect_start(weir_loop *loop, const struct weir_factory *factory,
                     const char *host, uint16_t port,
                     const struct weir_connect_options *options,
                     weir_connect **ret);

/* Closes the socket that the options of a refused call bring along. */
void wr_connect_refuse(const struct weir_connect_options *options);

#endif
