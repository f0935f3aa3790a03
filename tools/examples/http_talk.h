/*
 * The conversation of http_headers.c with the server: a request for the headers
 * of a page, and its response, read line by line. The calls are the same with
 * and without TLS.
 */
#ifndef WEIR_EXAMPLES_HTTP_TALK_H
#define WEIR_EXAMPLES_HTTP_TALK_H

#include <stdio.h>
#include <weir.h>

static inline int talk(weir_reader *reader, weir_writer *writer,
                       const char *host, const char *path)
{
    char text[2048];
    struct weir_buf line;
    ssize_t len = snprintf(text, sizeof(text),
                           "HEAD %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, host);
    int error = weir_writer_write(writer, text, (size_t)len);
    if (error < 0) {
        return error;
    }
    for (;;) {
        len = weir_reader_readline_view(reader, &line);
        if (len <= 0) {
            return len < 0 ? (int)len : WEIR_EINCOMPLETE;
        }
        if (line.data[0] == '\r' || line.data[0] == '\n') {
            return 0; /* an empty line ends the headers */
        }
        fwrite(line.data, 1, line.len, stdout);
    }
}

#endif
