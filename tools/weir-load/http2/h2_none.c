/*
 * HTTP/2 of a program that was built without libnghttp2.
 *
 * A command line that asks for it is refused before any of these is used, by
 * options_settle.c.
 */
#include "h2_conn.h"

bool h2_is_built(void)
{
    return false;
}

const struct codec codec_h2 = {.name = "http"};
const struct conn_kind conn_h2 = {.protocol = NULL};
