/*
 * The head of a request as HTTP/2 fields.
 *
 * It is parsed from the head for HTTP/1.1 (http_request.h): the first line and
 * Host become pseudo-fields, names become lower case, and connection-specific
 * fields are dropped (RFC 9113, 8.2.2).
 */
#ifndef WEIR_LOAD_H2_HEAD_H
#define WEIR_LOAD_H2_HEAD_H

#include "tools/weir-load/request/http_request.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>

/* Largest number of fields: from -H, built-in ones, and pseudo-fields. */
#define H2_FIELDS_MAX (HTTP_FIELDS_MAX + 16U)

struct h2_head {
    /* First field and number of fields. */
    nghttp2_nv *first;
    size_t count;
    /* Bytes of names and values. */
    size_t bytes;
    nghttp2_nv fields[H2_FIELDS_MAX];
    char length[24];
};

/* Parses a head; its text is modified and referenced. length is the body's
 * length, or SIZE_MAX without content-length. If is_kept is true, the text must
 * stay until the session ends, and is not copied. */
void h2_head_read(struct h2_head *self, char *text, size_t len, bool is_tls,
                  size_t length, bool is_kept);

#endif
