/*
 * HTTP/2 connections, with libnghttp2: many requests are pending on each, and
 * responses arrive in any order.
 *
 * The codec has the shared state of a thread and the state of each connection.
 * h2_answers.c has the library's callbacks; h2_conn.c decides when requests are
 * sent, repeated or given up, and when a connection ends.
 *
 * The first request waits for the server's SETTINGS, which have the number of
 * allowed streams. After a GOAWAY no request is sent.
 */
#ifndef WEIR_LOAD_H2_CONN_H
#define WEIR_LOAD_H2_CONN_H

#include "tools/weir-load/codec/codec.h"
#include "tools/weir-load/conn/conn.h"

#include <stdbool.h>

/* Returns true if this program has HTTP/2. */
bool h2_is_built(void);

/* Must not be used without HTTP/2. */
extern const struct codec codec_h2;
extern const struct conn_kind conn_h2;

#endif
