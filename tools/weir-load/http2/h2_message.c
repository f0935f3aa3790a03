/*
 * Checks the header fields of a response (RFC 9113, sections 8.2 and 8.3).
 *
 * A header block belongs to an interim response (there may be several), to the
 * final response, or to the trailers. Its status shows this only at its end.
 * Values are checked eight bytes at a time, because they are long and nearly
 * always valid.
 */
#include "h2_session.h"

#include <string.h>
#include <strings.h>

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* Finds a byte below 0x20 or equal to 0x7f among eight. Bytes above 0x7f are
 * ignored. */
static uint64_t find_control(uint64_t eight)
{
    const uint64_t low = (eight - ONES * 0x20) & ~eight & HIGHS;
    const uint64_t turned = eight ^ (ONES * 0x7f);
    const uint64_t del = (turned - ONES) & ~turned & HIGHS;

    return low | del;
}

static bool has_control(const uint8_t *bytes, size_t len)
{
    size_t at = 0;

    for (; at + 8 <= len; at += 8) {
        uint64_t eight;
        memcpy(&eight, bytes + at, 8);
        if (find_control(eight) != 0) {
            break; /* it may be a tab */
        }
    }
    for (; at < len; at++) {
        if ((bytes[at] < 0x20 && bytes[at] != '\t') || bytes[at] == 0x7f) {
            return true;
        }
    }
    return false;
}

/* RFC 9113, section 8.2.1. */
static bool is_value(const uint8_t *bytes, size_t len)
{
    if (len > 0 && (is_blank(bytes[0]) || is_blank(bytes[len - 1]))) {
        return false;
    }
    return !has_control(bytes, len);
}

/* Checks for a token (RFC 9110, section 5.6.2) without capital letters. The
 * table has a bit for each allowed character. */
static bool is_name(const uint8_t *bytes, size_t len)
{
    static const uint64_t allowed[4] = {UINT64_C(0x3ff6cfa00000000),
                                        UINT64_C(0x57ffffffc0000000), 0, 0};
    uint64_t is_good = len > 0;

    for (size_t i = 0; i < len; i++) {
        is_good &= allowed[bytes[i] / 64] >> (bytes[i] % 64);
    }
    return is_good;
}

/* Returns true for a connection-specific field (RFC 9113, section 8.2.2). */
static bool is_of_connection(const struct h2_field *field)
{
    switch (field->name_len) {
    case 7:
        return H2_IS(field, "upgrade");
    case 10:
        return H2_IS(field, "connection") || H2_IS(field, "keep-alive");
    case 16:
        return H2_IS(field, "proxy-connection");
    case 17:
        return H2_IS(field, "transfer-encoding");
    default:
        return false;
    }
}

static bool is_other_te(const struct h2_field *field)
{
    static const char trailers[] = "trailers";

    return H2_IS(field, "te") &&
           (field->value_len != sizeof(trailers) - 1 ||
            strncasecmp((const char *)field->value, trailers,
                        sizeof(trailers) - 1) != 0);
}

void h2_message_begin(struct h2_message *self)
{
    *self = (struct h2_message){.length = H2_NO_LENGTH};
}

void h2_message_begin_block(struct h2_message *self)
{
    self->block =
        self->block == H2_BLOCK_READ ? H2_BLOCK_TRAILERS : H2_BLOCK_HEADER;
    self->status = 0;
    self->has_fields = false;
}

static const char *take_status(struct h2_message *self,
                               const struct h2_field *field)
{
    uint16_t status = 0;

    if (self->block != H2_BLOCK_HEADER || self->has_fields ||
        self->status > 0 || !H2_IS(field, ":status")) {
        return "an unexpected pseudo-header field";
    }
    for (size_t i = 0; i < field->value_len; i++) {
        const uint8_t digit = (uint8_t)(field->value[i] - '0');
        if (field->value_len != 3 || digit > 9) {
            return "a :status that is not a number of three digits";
        }
        status = (uint16_t)(status * 10 + digit);
    }
    self->status = status;
    return status >= 100 ? NULL : "a :status below 100";
}

static const char *take_length(struct h2_message *self,
                               const struct h2_field *field)
{
    uint64_t length = 0;

    if (self->length != H2_NO_LENGTH || field->value_len == 0 ||
        field->value_len > 18) {
        return "a content-length that is not a number, or a second one";
    }
    for (size_t i = 0; i < field->value_len; i++) {
        const uint8_t digit = (uint8_t)(field->value[i] - '0');
        if (digit > 9) {
            return "a content-length that is not a number";
        }
        length = length * 10 + digit;
    }
    if (self->status / 100 == 1 || (self->status == 204 && length > 0)) {
        return "a content-length where the status allows none";
    }
    self->length = length;
    return NULL;
}

const char *h2_message_field(struct h2_message *self,
                             const struct h2_field *field)
{
    if (field->name_len > 0 && field->name[0] == ':') {
        return take_status(self, field);
    }
    self->has_fields = true;
    if (H2_IS(field, "content-length")) {
        return self->block == H2_BLOCK_HEADER ? take_length(self, field)
                                              : "a content-length in trailers";
    }
    if (!is_name(field->name, field->name_len)) {
        return "a name with an invalid byte";
    }
    if (!is_value(field->value, field->value_len)) {
        return "a value with an invalid byte";
    }
    return is_of_connection(field) || is_other_te(field)
               ? "a field that HTTP/2 does not allow"
               : NULL;
}

bool h2_message_is_known(const struct h2_field *field)
{
    return field->name[0] != ':' && !H2_IS(field, "content-length");
}

const char *h2_message_end_block(struct h2_message *self, bool is_last,
                                 bool has_no_body)
{
    if (self->block == H2_BLOCK_TRAILERS) {
        self->block = H2_BLOCK_READ;
        return is_last ? NULL : "trailers that do not end the answer";
    }
    if (self->status == 0) {
        return "an answer without a :status";
    }
    if (self->status == 101) {
        return "status 101, which HTTP/2 does not have";
    }
    if (self->status < 200) {
        self->block = H2_BLOCK_NONE;
        return is_last ? "an answer that ends with an interim one" : NULL;
    }
    self->block = H2_BLOCK_READ;
    if (has_no_body || self->status == 204 || self->status == 304) {
        self->length = 0;
    }
    return NULL;
}

const char *h2_message_body(const struct h2_message *self, uint64_t bytes,
                            bool is_last)
{
    if (self->block != H2_BLOCK_READ) {
        return "bytes of a body before its header";
    }
    if (self->length == H2_NO_LENGTH) {
        return NULL;
    }
    if (bytes > self->length) {
        return "more bytes than content-length";
    }
    return is_last && bytes < self->length ? "fewer bytes than content-length"
                                           : NULL;
}
