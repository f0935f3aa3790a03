/*
 * weir-load without PROXY headers.
 *
 * The flag is read, and checked against the others, all the same; then it is
 * refused (options_connect.c), so that no header is ever asked for.
 */
#include "proxy_header.h"

#include <errno.h>

bool proxy_header_is_built(void)
{
    return false;
}

int proxy_header_write(weir_transport *t, int version)
{
    (void)t;
    (void)version;
    return -EOPNOTSUPP;
}
