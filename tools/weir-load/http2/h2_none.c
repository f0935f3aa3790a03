/*
 * HTTP/2 of a program built without libnghttp2.
 *
 * options_settle.c refuses command lines that need it,
 * so these definitions are never used.
 */
#include "http2.h"

bool h2_is_built(void)
{
    return false;
}

const struct codec codec_h2 = {.name = "http"};
const struct conn_kind conn_h2 = {.protocol = NULL};
