/*
 * Parses responses of HTTP/1.1. In the usual case a head equals the cached one,
 * and the body is complete: one comparison of memory and one addition.
 *
 * Chunk sizes have at most 15 digits, and a line with a chunk's size is limited
 * like a head. Blanks after a size are allowed only before an extension (RFC
 * 9112, section 7.1.1).
 */
#include "http1.h"
#include "tools/weir-load/base/base.h"

#include <stdio.h>
#include <string.h>

#define DIGITS_MAX 15U

/* Derives the body's framing from the head (RFC 9112, section 6.3). */
static void begin_body(struct http_response *response)
{
    const struct http_head *head = &response->reader.head;

    response->body_bytes = 0;
    response->left_bytes = 0;
    if (response->is_head_request || head->status < 200 ||
        head->status == 204 || head->status == 304) {
        response->state = HTTP_COMPLETE;
    } else if (head->is_chunked) {
        response->state = HTTP_CHUNK_SIZE;
        response->digits = 0;
        response->line_bytes = 0;
    } else if (head->has_length) {
        response->left_bytes = head->length;
        response->state = head->length > 0 ? HTTP_LENGTH : HTTP_COMPLETE;
    } else {
        response->state = HTTP_UNTIL_END;
    }
}

static void begin(struct http_response *response)
{
    http_head_begin(&response->reader);
    response->state = HTTP_IN_HEAD;
    response->shown_len = 0;
    response->size_bytes = 0;
}

static int fail(struct http_response *response, int err)
{
    response->state = HTTP_BROKEN;
    return err;
}

/* Returns true for the header of an HTTP/2 frame that a server may send first
 * (RFC 9113, section 4.1): SETTINGS or GOAWAY on stream 0. */
static bool is_frame(const uint8_t *bytes, size_t len)
{
    enum { SETTINGS = 4, GOAWAY = 7, SETTING_SIZE = 6, HEAD_SIZE = 9 };
    static const uint8_t zeros[5];

    return len >= HEAD_SIZE && bytes[0] == 0 &&
           memcmp(bytes + 4, zeros, sizeof(zeros)) == 0 &&
           (bytes[3] == GOAWAY ||
            (bytes[3] == SETTINGS && bytes[2] % SETTING_SIZE == 0));
}

/* Tells other protocols apart. An alert is what TLS servers respond to plain
 * text (RFC 8446, section 5.1). */
static int name_error(const struct http_response *response, int err)
{
    const uint8_t *bytes = response->shown;
    const size_t len = response->shown_len;

    if (err != HTTP_E_STATUS_LINE || response->is_request) {
        return err;
    }
    if (is_frame(bytes, len)) {
        return HTTP_E_HTTP2;
    }
    return len >= 3 && bytes[0] == 21 && bytes[1] == 3 && bytes[2] <= 4
               ? HTTP_E_TLS
               : err;
}

static ssize_t read_head(struct http_response *response, struct http_kept *kept,
                         const uint8_t *data, size_t len)
{
    struct http_head_reader *reader = &response->reader;
    const bool is_first = reader->size_bytes == 0;
    size_t at = 0;

    response->shown_len =
        (uint8_t)shown_add(response->shown, sizeof(response->shown),
                           response->shown_len, data, len);
    const int used = http_head_read(reader, data, len, &at);
    if (used < 0) {
        return fail(response, name_error(response, used));
    }
    if (reader->state == HTTP_HEAD_DONE) {
        if (reader->head.status < 200) { /* an interim response */
            http_head_begin(reader);
            return used;
        }
        if (response->is_request) {
            reader->head.has_length |= !reader->head.is_chunked;
        } else if (is_first && (size_t)used <= sizeof(kept->bytes)) {
            kept->len = (size_t)used;
            kept->head = reader->head;
            memcpy(kept->bytes, data, kept->len);
        }
        begin_body(response);
    }
    return used;
}

/* Returns the length of the cached head if the bytes begin with it, else 0. */
static size_t match_kept(struct http_response *response,
                         const struct http_kept *kept, const uint8_t *data,
                         size_t len)
{
    if (kept->len == 0 || len < kept->len ||
        memcmp(data, kept->bytes, kept->len) != 0) {
        return 0;
    }
    response->reader.head = kept->head;
    response->reader.is_trailer = false;
    response->size_bytes = 0;
    response->shown_len = 0;
    begin_body(response);
    return kept->len;
}

/* Fails in a body. The bytes are shown in the message. */
static ssize_t fail_body(struct http_response *response, int err,
                         const uint8_t *data, size_t len)
{
    response->shown_len = (uint8_t)shown_add(
        response->shown, sizeof(response->shown), 0, data, len);
    return fail(response, err);
}

static void pass_body(struct http_response *response, const uint8_t *data,
                      size_t len)
{
    response->body_bytes += len;
    if (response->take_body) {
        response->take_body(response->take_arg, data, len);
    }
}

static size_t read_counted(struct http_response *response, const uint8_t *data,
                           size_t len, enum http_state next)
{
    const size_t part =
        len < response->left_bytes ? len : (size_t)response->left_bytes;

    response->left_bytes -= part;
    if (response->left_bytes == 0) {
        response->state = next;
    }
    pass_body(response, data, part);
    return part;
}

static bool read_size(struct http_response *response, uint8_t byte)
{
    const int digit = hex_value((char)byte);

    if (digit >= 0 && response->digits < DIGITS_MAX) {
        response->left_bytes = response->left_bytes * 16 + (unsigned)digit;
        response->digits++;
        return true;
    }
    if (response->digits == 0 || digit >= 0) {
        return false;
    }
    response->state = byte == '\r' ? HTTP_CHUNK_FEED : HTTP_CHUNK_EXT;
    response->awaits_extension = byte != ';';
    return byte == '\r' || byte == ';' || byte == ' ' || byte == '\t';
}

/* Parses a byte after a chunk's size. Blanks there must be followed by ';'. */
static bool read_extension(struct http_response *response, uint8_t byte)
{
    if (response->awaits_extension) {
        response->awaits_extension = byte != ';';
        return byte == ';' || byte == ' ' || byte == '\t';
    }
    if (byte == '\r') {
        response->state = HTTP_CHUNK_FEED;
        return true;
    }
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

/* Parses a byte of a chunk's framing. Returns false if it is invalid. */
static bool read_framing(struct http_response *response, uint8_t byte)
{
    response->line_bytes++;
    switch (response->state) {
    case HTTP_CHUNK_SIZE:
        return read_size(response, byte);
    case HTTP_CHUNK_EXT:
        return read_extension(response, byte) &&
               response->line_bytes < HTTP_HEAD_MAX;
    case HTTP_CHUNK_FEED:
        response->state = HTTP_CHUNK_DATA;
        if (response->left_bytes == 0) {
            http_head_begin_trailers(&response->reader);
            response->state = HTTP_TRAILERS;
        }
        return byte == '\n';
    case HTTP_CHUNK_CR:
        response->state = HTTP_CHUNK_LF;
        return byte == '\r';
    default:
        response->state = HTTP_CHUNK_SIZE;
        response->digits = 0;
        response->line_bytes = 0;
        return byte == '\n';
    }
}

static ssize_t read_trailers(struct http_response *response,
                             const uint8_t *data, size_t len)
{
    size_t at = 0;

    const int used = http_head_read(&response->reader, data, len, &at);
    if (used < 0) {
        return fail_body(response, used, data + at, len - at);
    }
    if (response->reader.state == HTTP_HEAD_DONE) {
        response->state = HTTP_COMPLETE;
    }
    return used;
}

static ssize_t read_body(struct http_response *response, const uint8_t *data,
                         size_t len)
{
    switch (response->state) {
    case HTTP_LENGTH:
        return (ssize_t)read_counted(response, data, len, HTTP_COMPLETE);
    case HTTP_CHUNK_DATA:
        return (ssize_t)read_counted(response, data, len, HTTP_CHUNK_CR);
    case HTTP_UNTIL_END:
        pass_body(response, data, len);
        return (ssize_t)len;
    case HTTP_TRAILERS:
        return read_trailers(response, data, len);
    default:
        return read_framing(response, data[0])
                   ? 1
                   : fail_body(response, HTTP_E_CHUNK, data, len);
    }
}

void http_response_init(struct http_response *response, bool is_head_request)
{
    *response = (struct http_response){.state = HTTP_COMPLETE,
                                       .is_head_request = is_head_request};
    http_head_begin(&response->reader);
}

void http_response_begin_request(struct http_response *response, uint8_t minor)
{
    http_response_init(response, false);
    begin(response);
    response->is_request = true;
    http_head_begin_fields(&response->reader, minor);
}

void http_kept_init(struct http_kept *kept)
{
    kept->len = 0;
}

ssize_t http_response_read(struct http_response *response,
                           struct http_kept *kept, const uint8_t *data,
                           size_t len)
{
    size_t used = 0;

    if (response->state == HTTP_COMPLETE && len > 0) {
        used = match_kept(response, kept, data, len);
        if (used == 0) {
            begin(response);
        }
    }
    while (used < len && response->state != HTTP_COMPLETE) {
        const ssize_t part =
            response->state == HTTP_IN_HEAD
                ? read_head(response, kept, data + used, len - used)
                : read_body(response, data + used, len - used);
        if (part < 0) {
            return part;
        }
        used += (size_t)part;
    }
    response->size_bytes += used;
    return (ssize_t)used;
}

int http_response_end(struct http_response *response)
{
    if (response->state == HTTP_UNTIL_END) {
        response->state = HTTP_COMPLETE;
        return 0;
    }
    return fail(response, HTTP_E_CUT);
}

bool http_response_may_go_on(const struct http_response *response)
{
    const struct http_head *head = &response->reader.head;
    const bool ends_itself = response->is_head_request || head->is_chunked ||
                             head->has_length || head->status == 204 ||
                             head->status == 304;

    if (head->has_close || !ends_itself) {
        return false;
    }
    return head->minor > 0 || head->has_keep_alive;
}

const char *http_response_describe(const struct http_response *response,
                                   int err, char *text, size_t size)
{
    const bool is_in_body = response->reader.is_trailer || err == HTTP_E_CHUNK;
    char quoted[HTTP_DESCRIPTION_SIZE];

    if (err == HTTP_E_HTTP2 || err == HTTP_E_TLS) {
        snprintf(text, size, "the answer begins with %s",
                 err == HTTP_E_TLS ? "a TLS alert" : "an HTTP/2 frame");
        return text;
    }
    snprintf(text, size, "%s; %s %s", http_error_text(err),
             is_in_body ? "the body continues with" : "the answer begins with",
             http_quote(response->shown, response->shown_len, quoted,
                        sizeof(quoted)));
    return text;
}
