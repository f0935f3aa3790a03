/*
 * The server for http:// targets.
 *
 * Fields and body of a request are read by the parser of responses
 * (http_response.c), because they have the same syntax. Requests may be
 * pipelined; responses are sent in order. Invalid requests (400, 505) and too
 * long ones (414, 431) end the connection, because the start of the next
 * request is unknown.
 */
#include "serve_answers.h"

#include "tools/common/units.h"
#include "tools/load/payload.h"
#include "tools/weir-load/http1/http1.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 2048U

/* Limit of t=TIME: an hour. */
#define DELAY_MAX_NS (3600 * UINT64_C(1000000000))

#define VALUE_SIZE 64U

struct http_peer {
    struct answers answers;
    struct serve_http_wish wish;
    struct http_response rest;
    /* The next bytes belong to a request line; otherwise to fields or a
     * body. */
    bool is_in_line;
    /* The last request was parsed. */
    bool is_done;
    size_t line_len;
    char line[LINE_SIZE];
};

/* Heads of requests are not cached. */
static struct http_kept no_kept;

static bool read_delay(const char *value, uint64_t *ret_ns)
{
    char text[VALUE_SIZE + 4];

    /* As in haterm, a plain number is in milliseconds. */
    snprintf(text, sizeof(text), "%s%s", value,
             value[strspn(value, "0123456789")] == '\0' ? "ms" : "");
    return units_parse_time(text, ret_ns) == 0 && *ret_ns <= DELAY_MAX_NS;
}

/* Parses "s=20k". Unknown names are ignored. */
static bool read_wish(const char *text, size_t len, struct serve_http_wish *ret)
{
    char value[VALUE_SIZE];
    char why[WHY_SIZE];
    uint64_t status = 0;
    const char *equals = memchr(text, '=', len);
    const size_t name_len = equals ? (size_t)(equals - text) : len;
    const size_t value_len = equals ? len - name_len - 1 : 0;

    if (value_len >= sizeof(value)) {
        return name_len != 1 && name_len != 5;
    }
    memcpy(value, text + len - value_len, value_len);
    value[value_len] = '\0';
    if (name_len == 5 && memcmp(text, "close", 5) == 0) {
        ret->closes = strcmp(value, "0") != 0;
        return true;
    }
    if (name_len != 1) {
        return true;
    }
    switch (text[0]) {
    case 's':
        return sizes_parse(value, 0, &ret->sizes, why) == 0;
    case 't':
        return read_delay(value, &ret->delay_ns);
    case 'r':
        if (units_parse_count(value, &status) < 0 || status < 200 ||
            status > 599) {
            return false;
        }
        ret->status = (uint16_t)status;
        return true;
    default:
        return true;
    }
}

static bool read_query(const char *query, size_t len,
                       struct serve_http_wish *ret)
{
    size_t at = 0;

    while (at < len) {
        const char *end = memchr(query + at, '&', len - at);
        const size_t part = end ? (size_t)(end - query) - at : len - at;
        if (!read_wish(query + at, part, ret)) {
            return false;
        }
        at += part + 1;
    }
    return true;
}

int serve_http_parse_line(const char *line, size_t len,
                          struct serve_http_wish *ret)
{
    struct http_request_line request;
    struct serve_http_wish wish = *ret;

    const int status = http_request_line_read(line, len, &request);
    if (status != 0) {
        return status;
    }
    const char *end = request.target + request.target_len;
    const char *query = memchr(request.target, '?', request.target_len);
    if (query && !read_query(query + 1, (size_t)(end - query) - 1, &wish)) {
        return 400;
    }
    wish.minor = request.minor;
    wish.is_head_request = http_request_line_has(&request, "HEAD");
    *ret = wish;
    return 0;
}

int serve_http_write(struct answers *answers, const struct answer *answer)
{
    const bool has_body = answer->status != 204 && answer->status != 304;
    char length[64] = "";
    char head[256];

    if (has_body) {
        snprintf(length, sizeof(length), "Content-Length: %llu\r\n",
                 LLU(answer->size_bytes));
    }
    const char *fate = answer->closes       ? "Connection: close\r\n"
                       : answer->minor == 0 ? "Connection: keep-alive\r\n"
                                            : "";
    const int len = snprintf(
        head, sizeof(head), "HTTP/1.1 %u %s\r\n%s%s\r\n", answer->status,
        answer->status == 200 ? "OK" : "As asked for", length, fate);
    const int err = weir_transport_write(answers->transport, head, (size_t)len);
    if (err < 0 || !has_body || answer->is_head_request) {
        return err;
    }
    return answers_write_text(answers, answer->size_bytes);
}

static int refuse_request(struct http_peer *peer, int status)
{
    const struct answer answer = {
        .status = (uint16_t)status, .minor = 1, .closes = true};

    peer->is_done = true;
    return answers_add(&peer->answers, &answer, 0);
}

static int answer_request(struct http_peer *peer)
{
    const struct serve_http_wish *wish = &peer->wish;
    const uint64_t random = payload_mix(peer->answers.counts->body_count++);
    const struct answer answer = {
        .size_bytes = sizes_draw(&wish->sizes, random),
        .status = wish->status,
        .minor = wish->minor,
        .is_head_request = wish->is_head_request,
        .closes = wish->closes || !http_response_may_go_on(&peer->rest),
    };

    peer->is_done = answer.closes;
    peer->is_in_line = true;
    peer->line_len = 0;
    return answers_add(&peer->answers, &answer, wish->delay_ns);
}

static int end_line(struct http_peer *peer)
{
    if (peer->line_len == 1 && peer->line[0] == '\r') {
        peer->line_len = 0; /* ignores an empty line before a request */
        return 0;
    }
    peer->wish = (struct serve_http_wish){
        .sizes = peer->answers.counts->settings->answer,
        .status = 200,
    };
    const int status =
        serve_http_parse_line(peer->line, peer->line_len, &peer->wish);
    if (status != 0) {
        return refuse_request(peer, status);
    }
    peer->is_in_line = false;
    http_response_begin_request(&peer->rest, peer->wish.minor);
    return 0;
}

/* Returns how many bytes were used, or an error. */
static ssize_t read_line(struct http_peer *peer, const uint8_t *data,
                         size_t len)
{
    const uint8_t *feed = memchr(data, '\n', len);
    const size_t part = feed ? (size_t)(feed - data) : len;
    int err = 0;

    if (peer->line_len + part > sizeof(peer->line)) {
        err = refuse_request(peer, 414);
        return err < 0 ? err : (ssize_t)len;
    }
    memcpy(peer->line + peer->line_len, data, part);
    peer->line_len += part;
    if (feed) {
        err = end_line(peer);
    }
    return err < 0 ? err : (ssize_t)(part + (feed != NULL));
}

static ssize_t read_rest(struct http_peer *peer, const uint8_t *data,
                         size_t len)
{
    const ssize_t used = http_response_read(&peer->rest, &no_kept, data, len);
    int err = 0;

    if (used < 0) {
        err = refuse_request(peer, http_error_status((int)used));
        return err < 0 ? err : (ssize_t)len;
    }
    if (peer->rest.state == HTTP_COMPLETE) {
        err = answer_request(peer);
    }
    return err < 0 ? err : used;
}

static int http_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct http_peer *peer = user;
    size_t used = 0;

    peer->answers.counts->received_bytes += buf->len;
    while (used < buf->len && !peer->is_done) {
        const uint8_t *data = buf->data + used;
        const size_t left = buf->len - used;
        const ssize_t part = peer->is_in_line ? read_line(peer, data, left)
                                              : read_rest(peer, data, left);
        if (part < 0) {
            return (int)part;
        }
        used += (size_t)part;
    }
    answers_send(&peer->answers);
    return 0;
}

const struct weir_protocol serve_http_protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = answers_made,
    .connection_lost = answers_lost,
    .pause_writing = answers_pause,
    .resume_writing = answers_resume,
    .data_received = http_received,
    .eof_received = answers_end_of_stream,
};

int serve_http_create(void *arg, weir_transport *t,
                      struct weir_protocol_binding *ret)
{
    struct http_peer *peer = calloc(1, sizeof(*peer));

    if (!peer) {
        return -ENOMEM;
    }
    peer->answers.counts = arg;
    peer->answers.write = serve_http_write;
    peer->is_in_line = true;
    *ret = (struct weir_protocol_binding){&serve_http_protocol, peer};
    return 0;
}
