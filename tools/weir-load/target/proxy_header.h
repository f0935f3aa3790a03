/*
 * Writes the header of the PROXY protocol at the start of each connection, if
 * requested. It has the connection's real addresses. It is not available if
 * libweir was built with -Dproxy=disabled.
 */
#ifndef WEIR_LOAD_PROXY_HEADER_H
#define WEIR_LOAD_PROXY_HEADER_H

#include <stdbool.h>
#include <weir/transport.h>

bool proxy_header_is_built(void);

/* Writes a header of version 1 or 2. Returns 0 or a negative error. */
int proxy_header_write(weir_transport *t, int version);

#endif
