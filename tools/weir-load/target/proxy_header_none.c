/*
 * weir-load without PROXY headers. options_settle.c refuses the option after
 * it has checked it against the others, so proxy_header_write() is never
 * called.
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
