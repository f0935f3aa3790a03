/*
 * weir-load without PROXY headers. The option is parsed and checked against
 * others, and then refused (options_settle.c), so that no header is ever
 * written.
 */
#include "target.h"

#include <errno.h>

bool proxy_header_is_built(void)
{
    return false;
}

int proxy_header_write(weir_transport *t, int version)
{
    return -EOPNOTSUPP;
}
