/*
 * The head of a request as fields of HTTP/2.
 *
 * It is read from the head that HTTP/1.1 would have (http_request.h): the first
 * line and Host become pseudo-fields, names become lower-case, and what is
 * about the connection is left out, as RFC 9113, 8.2.2, wants it.
 */
#ifndef WEIR_LOAD_H2_HEAD_H
#define WEIR_LOAD_H2_HEAD_H

#include "tools/weir-load/request/http_request.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>

/* The most fields: those of -H, own ones, and what stands for the first line.
 */
#define H2_FIELDS_MAX (HTTP_FIELDS_MAX + 16U)

struct h2_head {
    /* Where the fields begin; count of them. */
    nghttp2_nv *first;
    size_t count;
    /* Bytes of names and values. */
    size_t bytes;
    nghttp2_nv fields[H2_FIELDS_MAX];
    char length[24];
};

/* Read a head, whose text is changed and stays in use. length: of the body, or
 * SIZE_MAX where none is said. With is_kept the text stays until the session
 * ends, and is not copied. */
void h2_head_read(struct h2_head *self, char *text, size_t len, bool is_tls,
                  size_t length, bool is_kept);

#endif
