/*
 * Field names are compared as they arrive. Each byte rules out the names of the
 * table that it does not match; a name that still matches at the colon is the
 * field. The values of other fields are only checked for control characters.
 *
 * The value of a parsed field is a list (RFC 9110, 5.6.1). Its elements are
 * collected one at a time in lower case, and evaluated at the comma or the end
 * of the line. An element longer than every known word is unknown.
 */
#include "http_head.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Stored as the length of an element that is too long or has several words. */
#define ELEMENT_LONG 255U

#define ALL_FIELDS ((1U << HTTP_FIELD_COUNT) - 1)

static const struct {
    const char *name;
    size_t len;
} fields[HTTP_FIELD_COUNT] = {
    [HTTP_FIELD_LENGTH] = {"content-length", sizeof("content-length") - 1},
    [HTTP_FIELD_CODING] = {"transfer-encoding",
                           sizeof("transfer-encoding") - 1},
    [HTTP_FIELD_CONNECTION] = {"connection", sizeof("connection") - 1},
};

#define HTTP_ERROR_ROW(name, text) {"HTTP_" #name, text},

static const struct {
    const char *name;
    const char *text;
} errors[] = {HTTP_ERRORS(HTTP_ERROR_ROW)};

/* RFC 9110, 5.6.2. */
static bool is_token(uint8_t byte)
{
    static const uint8_t marks[] = "!#$%&'*+-.^_`|~";

    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') ||
           (byte != 0 && memchr(marks, byte, sizeof(marks) - 1));
}

static bool is_text(uint8_t byte)
{
    return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static bool is_element(const struct http_head_reader *reader, const char *word)
{
    return reader->element_len == strlen(word) &&
           memcmp(reader->element, word, reader->element_len) == 0;
}

/* The same length may be repeated (RFC 9110, 8.6). */
static int take_length(struct http_head_reader *reader)
{
    struct http_head *head = &reader->head;
    uint64_t length = 0;

    if (reader->element_len > HTTP_ELEMENT_SIZE) {
        return HTTP_E_LENGTH;
    }
    for (uint8_t i = 0; i < reader->element_len; i++) {
        const uint8_t byte = (uint8_t)reader->element[i];
        if (!is_digit(byte) || length > (INT64_MAX - 9) / 10) {
            return HTTP_E_LENGTH;
        }
        length = length * 10 + (byte - '0');
    }
    if (head->has_length && head->length != length) {
        return HTTP_E_LENGTH;
    }
    head->has_length = true;
    head->length = length;
    return 0;
}

static int take_coding(struct http_head_reader *reader)
{
    struct http_head *head = &reader->head;

    if (head->is_chunked) {
        return HTTP_E_CODING; /* "chunked" must be the last coding */
    }
    head->has_coding = true;
    head->is_chunked = is_element(reader, "chunked");
    return 0;
}

/* Evaluates an element. Empty elements are ignored. */
static int take_element(struct http_head_reader *reader)
{
    int err = 0;

    if (reader->element_len > 0) {
        switch (reader->field) {
        case HTTP_FIELD_LENGTH:
            err = take_length(reader);
            break;
        case HTTP_FIELD_CODING:
            err = take_coding(reader);
            break;
        default:
            reader->head.has_close |= is_element(reader, "close");
            reader->head.has_keep_alive |= is_element(reader, "keep-alive");
            break;
        }
    }
    reader->element_len = 0;
    reader->element_has_blank = false;
    return err;
}

static int read_element(struct http_head_reader *reader, uint8_t byte)
{
    if (byte == ',') {
        return take_element(reader);
    }
    if (is_blank(byte)) {
        reader->element_has_blank = reader->element_len > 0;
        return 0;
    }
    if (reader->element_has_blank || reader->element_len >= HTTP_ELEMENT_SIZE) {
        reader->element_len = ELEMENT_LONG; /* two words, or one too long */
        return 0;
    }
    reader->element[reader->element_len] = (char)lower(byte);
    reader->element_len++;
    return 0;
}

/* Ends a field once the next line has shown that the field is not folded. */
static int end_field(struct http_head_reader *reader)
{
    if (!reader->has_field) {
        return 0;
    }
    reader->has_field = false;
    return reader->field == HTTP_FIELD_OTHER ? 0 : take_element(reader);
}

static int check_head(const struct http_head *head)
{
    if (head->has_coding && head->has_length) {
        return HTTP_E_BOTH;
    }
    if (head->has_coding && (!head->is_chunked || head->minor == 0)) {
        return HTTP_E_CODING;
    }
    return head->status == 101 ? HTTP_E_SWITCH : 0;
}

/* Parses "HTTP/1.1 200". The reason and the blank before it are optional. */
static int read_status(struct http_head_reader *reader, uint8_t byte)
{
    static const char pattern[] = "HTTP/1.d ddd";
    struct http_head *head = &reader->head;
    const char wanted = pattern[reader->at];

    if (wanted == 'd' ? !is_digit(byte) : byte != (uint8_t)wanted) {
        return HTTP_E_STATUS_LINE;
    }
    if (reader->at == sizeof("HTTP/1.") - 1) {
        head->minor = (uint8_t)(byte - '0');
    } else if (wanted == 'd') {
        head->status = (uint16_t)(head->status * 10 + (byte - '0'));
    }
    reader->at++;
    if (reader->at < sizeof(pattern) - 1) {
        return 0;
    }
    reader->state = HTTP_HEAD_REASON;
    return head->status < 100 ? HTTP_E_STATUS : 0;
}

/* Handles a byte that is not text: the end of the line, or an error. */
static int end_line(struct http_head_reader *reader, uint8_t byte)
{
    if (byte == '\r') {
        reader->state = HTTP_HEAD_LINE_FEED;
        return 0;
    }
    if (byte != '\n') {
        return HTTP_E_VALUE;
    }
    reader->state = HTTP_HEAD_LINE;
    return reader->is_request ? HTTP_E_LINE_END : 0;
}

static int read_reason(struct http_head_reader *reader, uint8_t byte)
{
    if (!is_text(byte)) {
        return end_line(reader, byte);
    }
    if (reader->at == sizeof("HTTP/1.1 200") - 1 && byte != ' ') {
        return HTTP_E_STATUS_LINE;
    }
    reader->at++;
    return 0;
}

static int read_name(struct http_head_reader *reader, uint8_t byte)
{
    if (byte == ':' && reader->at > 0) {
        reader->field = HTTP_FIELD_OTHER;
        for (uint8_t i = 0; i < HTTP_FIELD_COUNT; i++) {
            if (((unsigned)reader->fitting >> i & 1U) != 0 &&
                reader->at == fields[i].len) {
                reader->field = i;
            }
        }
        reader->has_field = true;
        reader->state = HTTP_HEAD_VALUE;
        return 0;
    }
    if (!is_token(byte)) {
        return HTTP_E_NAME;
    }
    for (uint8_t i = 0; i < HTTP_FIELD_COUNT; i++) {
        if (reader->at >= fields[i].len ||
            (uint8_t)fields[i].name[reader->at] != lower(byte)) {
            reader->fitting &= (uint8_t) ~(1U << i);
        }
    }
    reader->at++;
    return 0;
}

static int read_feed(struct http_head_reader *reader, uint8_t byte)
{
    if (byte != '\n') {
        return HTTP_E_LINE_END;
    }
    if (reader->state == HTTP_HEAD_LINE_FEED) {
        reader->state = HTTP_HEAD_LINE;
        return 0;
    }
    reader->state = HTTP_HEAD_DONE;
    return reader->is_trailer ? 0 : check_head(&reader->head);
}

/* The first byte of a line shows whether the previous field continues. */
static int read_line(struct http_head_reader *reader, uint8_t byte)
{
    if (is_blank(byte)) {
        reader->state = HTTP_HEAD_VALUE;
        if (!reader->has_field || reader->is_request) {
            return HTTP_E_NAME;
        }
        return reader->field == HTTP_FIELD_OTHER ? 0
                                                 : read_element(reader, byte);
    }
    const int err = end_field(reader);
    if (err < 0) {
        return err;
    }
    if (byte == '\n' && reader->is_request) {
        return HTTP_E_LINE_END;
    }
    if (byte == '\r' || byte == '\n') {
        reader->state = HTTP_HEAD_LAST_FEED;
        return byte == '\r' ? 0 : read_feed(reader, byte);
    }
    reader->state = HTTP_HEAD_NAME;
    reader->at = 0;
    reader->fitting = reader->is_trailer ? 0 : ALL_FIELDS;
    return read_name(reader, byte);
}

static int read_value(struct http_head_reader *reader, uint8_t byte)
{
    if (!is_text(byte)) {
        return end_line(reader, byte);
    }
    return reader->field == HTTP_FIELD_OTHER ? 0 : read_element(reader, byte);
}

static int read_byte(struct http_head_reader *reader, uint8_t byte)
{
    switch (reader->state) {
    case HTTP_HEAD_STATUS:
        return read_status(reader, byte);
    case HTTP_HEAD_REASON:
        return read_reason(reader, byte);
    case HTTP_HEAD_LINE:
        return read_line(reader, byte);
    case HTTP_HEAD_NAME:
        return read_name(reader, byte);
    case HTTP_HEAD_VALUE:
        return read_value(reader, byte);
    default:
        return read_feed(reader, byte);
    }
}

/* Skips bytes of an ignored value in a tight loop. */
static size_t skip_value(const struct http_head_reader *reader,
                         const uint8_t *data, size_t len)
{
    size_t used = 0;

    if (reader->state == HTTP_HEAD_VALUE && reader->field == HTTP_FIELD_OTHER) {
        while (used < len && is_text(data[used])) {
            used++;
        }
    }
    return used;
}

void http_head_begin(struct http_head_reader *reader)
{
    *reader = (struct http_head_reader){.state = HTTP_HEAD_STATUS};
}

void http_head_begin_fields(struct http_head_reader *reader, uint8_t minor)
{
    *reader =
        (struct http_head_reader){.state = HTTP_HEAD_LINE,
                                  .is_request = true,
                                  .head = {.status = 200, .minor = minor}};
}

void http_head_begin_trailers(struct http_head_reader *reader)
{
    *reader = (struct http_head_reader){.state = HTTP_HEAD_LINE,
                                        .is_trailer = true,
                                        .is_request = reader->is_request,
                                        .head = reader->head};
}

int http_head_read(struct http_head_reader *reader, const uint8_t *data,
                   size_t len, size_t *ret_at)
{
    const size_t room = HTTP_HEAD_MAX - reader->size_bytes;
    const size_t end = len < room ? len : room;
    size_t used = 0;

    while (used < end && reader->state != HTTP_HEAD_DONE) {
        const int err = read_byte(reader, data[used]);
        if (err < 0) {
            *ret_at = used;
            return err;
        }
        used++;
        used += skip_value(reader, data + used, end - used);
    }
    reader->size_bytes += (uint32_t)used;
    if (reader->state != HTTP_HEAD_DONE &&
        reader->size_bytes == HTTP_HEAD_MAX) {
        *ret_at = used;
        return HTTP_E_HEAD_SIZE;
    }
    return (int)used;
}

static bool is_visible(uint8_t byte)
{
    return is_text(byte) && !is_blank(byte);
}

/* Returns true if the text is not empty and @is_good is true for each byte. */
static bool is_word(const char *text, size_t len, bool (*is_good)(uint8_t))
{
    size_t at = 0;

    while (at < len && is_good((uint8_t)text[at])) {
        at++;
    }
    return at > 0 && at == len;
}

int http_request_line_read(const char *line, size_t len,
                           struct http_request_line *ret)
{
    const char *method_end = memchr(line, ' ', len);
    const char *target_end = memrchr(line, ' ', len);

    if (!method_end || line + len - target_end != sizeof("HTTP/1.1\r") ||
        line[len - 1] != '\r') {
        return 400;
    }
    const char *version = target_end + 1;
    if (memcmp(version, "HTTP/", 5) != 0 || !is_digit((uint8_t)version[5]) ||
        version[6] != '.' || !is_digit((uint8_t)version[7])) {
        return 400;
    }
    *ret = (struct http_request_line){
        .method = line,
        .method_len = (size_t)(method_end - line),
        .target = method_end + 1,
        .target_len =
            method_end < target_end ? (size_t)(target_end - method_end - 1) : 0,
        .minor = (uint8_t)(version[7] - '0'),
    };
    if (!is_word(ret->method, ret->method_len, is_token) ||
        !is_word(ret->target, ret->target_len, is_visible)) {
        return 400;
    }
    return version[5] == '1' ? 0 : 505;
}

bool http_request_line_has(const struct http_request_line *line,
                           const char *method)
{
    return line->method_len == strlen(method) &&
           memcmp(line->method, method, line->method_len) == 0;
}

int http_error_status(int err)
{
    return err == HTTP_E_HEAD_SIZE ? 431 : 400;
}

int http_request_read(const char *head, size_t len,
                      struct http_request_line *ret)
{
    struct http_head_reader reader;
    size_t at = 0;

    while (len >= 2 && memcmp(head, "\r\n", 2) == 0) {
        head += 2; /* ignores an empty line before a request */
        len -= 2;
    }
    const char *feed = memchr(head, '\n', len);
    const int status =
        feed ? http_request_line_read(head, (size_t)(feed - head), ret) : 400;
    if (status != 0) {
        return status;
    }
    http_head_begin_fields(&reader, ret->minor);
    const int used = http_head_read(&reader, (const uint8_t *)feed + 1,
                                    (size_t)(head + len - feed) - 1, &at);
    if (used < 0) {
        return http_error_status(used);
    }
    return reader.state == HTTP_HEAD_DONE ? 0 : 400;
}

const char *http_error_text(int err)
{
    return http_error_name(err) ? errors[err - HTTP_E_BEFORE - 1].text
                                : "an answer that is not HTTP/1.x";
}

const char *http_error_name(int err)
{
    return err > HTTP_E_BEFORE && err < HTTP_E_BEHIND
               ? errors[err - HTTP_E_BEFORE - 1].name
               : NULL;
}

const char *http_quote(const uint8_t *bytes, size_t len, char *text,
                       size_t size)
{
    size_t at = 0;

    text[at++] = '\'';
    for (size_t i = 0; i < len && at + 8 < size; i++) {
        const uint8_t byte = bytes[i];
        if (byte == '\r' || byte == '\n') {
            text[at++] = '\\';
            text[at++] = byte == '\r' ? 'r' : 'n';
        } else if (byte < 0x20 || byte >= 0x7f || byte == '\\') {
            at += (size_t)snprintf(text + at, size - at, "\\x%02x", byte);
        } else {
            text[at++] = (char)byte;
        }
    }
    text[at++] = '\'';
    text[at] = '\0';
    return text;
}
