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
#ifndef WEIR_LOAD_HTTP2_H
#define WEIR_LOAD_HTTP2_H

#include "tools/weir-load/codec/codec.h"
#include "tools/weir-load/conn/conn.h"

#include <stdbool.h>
#include <stddef.h>

/* ---- h2_fields ---- */

/*
 * Connection-specific fields of HTTP/1.1, which HTTP/2 does not allow (RFC
 * 9113, 8.2.2).
 *
 * This file does not use the library, as command lines are parsed without it.
 */

/* Returns true if the field must be dropped. Upper and lower case are equal. */
bool h2_field_is_dropped(const char *name, size_t name_len, const char *value,
                         size_t value_len);

/* Like h2_field_is_dropped(), for a line "Name: value". */
bool h2_field_line_is_dropped(const char *line);

/* ---- h2_conn ---- */

/* Returns true if this program has HTTP/2. */
bool h2_is_built(void);

/* Must not be used without HTTP/2. */
extern const struct codec codec_h2;
extern const struct conn_kind conn_h2;

#endif
