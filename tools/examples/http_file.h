/*
 * Response headers that describe a file: its type, from the ending of its name,
 * and the range of bytes. Does no I/O. A file with an unknown ending is
 * application/octet-stream.
 */
#ifndef WEIR_EXAMPLES_HTTP_FILE_H
#define WEIR_EXAMPLES_HTTP_FILE_H

#include "http_range.h"

#include <inttypes.h>
#include <stdio.h>

#define FILE_LINES 192 /* buffer size for these headers */

static inline const char *content_type(const char *path)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},
        {".txt", "text/plain; charset=utf-8"},
        {".css", "text/css"},
        {".js", "text/javascript"},
        {".json", "application/json"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".svg", "image/svg+xml"},
        {".pdf", "application/pdf"},
        {".wasm", "application/wasm"},
    };
    const char *end = strrchr(path, '.');
    for (size_t i = 0; end && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i][0], end) == 0) {
            return types[i][1];
        }
    }
    return "application/octet-stream";
}

static inline void describe_file(char ret[FILE_LINES], int status,
                                 const char *path, const struct file_part *part)
{
    int len = snprintf(ret, FILE_LINES,
                       "Content-Type: %s\r\nAccept-Ranges: bytes\r\n",
                       content_type(path));
    if (status == 206) {
        snprintf(ret + len, FILE_LINES - (size_t)len,
                 "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n",
                 part->first, part->first + part->count - 1, part->length);
    } else if (status == 416) {
        snprintf(ret, FILE_LINES, "Content-Range: bytes */%" PRIu64 "\r\n",
                 part->length);
    }
}

#endif
