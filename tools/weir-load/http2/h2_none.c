/*
 * weir-load without libnghttp2. options_needs.c refuses
 * command lines that need HTTP/2, so nothing uses codec_h2 or
 * conn_h2.
 */
#include "http2.h"

bool h2_is_built(void)
{
    return false;
}

const struct codec codec_h2 = {.name = "http"};
const struct conn_kind conn_h2 = {.protocol = NULL};
