/*
 * The header of the PROXY protocol that each connection begins with on demand.
 *
 * It says what is true: whose connection it is, and to where. A weir-load whose
 * libweir has nothing for proxies (-Dproxy=disabled) cannot write it.
 */
#ifndef WEIR_LOAD_PROXY_HEADER_H
#define WEIR_LOAD_PROXY_HEADER_H

#include <stdbool.h>
#include <weir/transport.h>

bool proxy_header_is_built(void);

/* Writes the header of version 1 or 2: 0 or a negative error. */
int proxy_header_write(weir_transport *t, int version);

#endif
