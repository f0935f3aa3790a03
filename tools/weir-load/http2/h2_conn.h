/*
 * Connections of HTTP/2, on libnghttp2: many requests are under way on each,
 * and answers come in any order.
 *
 * The codec has what the connections of a thread share and the memory of each;
 * the kind of connection has the rest. h2_answers.c is what the library calls
 * while it reads and writes frames, h2_conn.c all that decides: when requests
 * are sent, sent again, given up, and when a connection ends.
 *
 * The first request waits for the server's SETTINGS, which say how many streams
 * it allows; before that, and after a GOAWAY, the connection has no room.
 */
#ifndef WEIR_LOAD_H2_CONN_H
#define WEIR_LOAD_H2_CONN_H

#include "tools/weir-load/codec/codec.h"
#include "tools/weir-load/conn/conn.h"

#include <stdbool.h>

/* Is there HTTP/2 in this program? */
bool h2_is_built(void);

/* Not usable where there is none. */
extern const struct codec codec_h2;
extern const struct conn_kind conn_h2;

#endif
