/*
 * HTTP/2 connections, with libnghttp2. h2_answers.c has the library's
 * callbacks. h2_conn.c decides when requests are sent, repeated or given up,
 * and when a connection ends.
 *
 * The first request waits for the server's SETTINGS, which have the number of
 * allowed streams. No request is sent after a GOAWAY.
 */
#ifndef WEIR_LOAD_HTTP2_H
#define WEIR_LOAD_HTTP2_H

#include "tools/weir-load/codec/codec.h"
#include "tools/weir-load/conn/conn.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Finds connection-specific fields of HTTP/1.1, which HTTP/2 does not allow
 * (RFC 9113, section 8.2.2). It does not use libnghttp2, so that command lines
 * can be parsed without that library.
 */

/* Returns true if HTTP/2 must not have the field. Names are compared without
 * regard to case. */
bool h2_field_is_dropped(const char *name, size_t name_len, const char *value,
                         size_t value_len);

/* Like h2_field_is_dropped(), for a line "Name: value". */
bool h2_field_line_is_dropped(const char *line);

bool h2_is_built(void);

/* Must not be used if h2_is_built() returns false. */
extern const struct codec codec_h2;
extern const struct conn_kind conn_h2;

#endif
