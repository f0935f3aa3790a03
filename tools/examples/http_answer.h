/*
 * Writes the heads of responses: status, date, connection option, and the
 * length of the body. Only responses with a file have a body. A head is sent
 * together with other bytes that are written in the same loop iteration.
 */
#ifndef WEIR_EXAMPLES_HTTP_ANSWER_H
#define WEIR_EXAMPLES_HTTP_ANSWER_H

#include "http_request.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <weir.h>

static inline const char *status_text(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 206:
        return "Partial Content";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed\r\nAllow: GET, HEAD";
    case 413:
        return "Content Too Large";
    case 416:
        return "Range Not Satisfiable";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Bad Request";
    }
}

/* Formats the date at most once a second. */
static inline const char *date_text(void)
{
    static char text[40];
    static time_t last;
    struct tm parts;
    time_t now = time(NULL);
    if (now != last && gmtime_r(&now, &parts)) {
        strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        last = now;
    }
    return text;
}

/* Writes a response's head; @lines are the headers that describe a file. */
static inline int say_head(weir_writer *writer, int status, bool stays,
                           uint64_t length, const char *lines)
{
    char head[512];
    int len = snprintf(head, sizeof(head),
                       "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Length: %" PRIu64
                       "\r\nConnection: %s\r\n%s\r\n",
                       status, status_text(status), date_text(), length,
                       stays ? "keep-alive" : "close", lines);
    return weir_writer_write(writer, head, (size_t)len);
}

#endif
