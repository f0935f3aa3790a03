/*
 * Rules for HTTP/2 responses above frames (RFC 9113, 8.1 to 8.3): header blocks
 * begin with a status, names and values have valid characters, and the body's
 * length matches content-length.
 *
 * The library's own checks are off: they took a fifth of the instructions of a
 * request.
 */
#ifndef WEIR_LOAD_H2_MESSAGE_H
#define WEIR_LOAD_H2_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Value of length without content-length. */
#define H2_NO_LENGTH UINT64_MAX

enum h2_block {
    H2_BLOCK_NONE,     /* nothing, or only interim responses */
    H2_BLOCK_HEADER,   /* in the header block, or an interim one */
    H2_BLOCK_READ,     /* the header is complete; a body may follow */
    H2_BLOCK_TRAILERS, /* in the block after the body */
};

/* Must be initialised with h2_message_begin(). */
struct h2_message {
    uint64_t length;
    enum h2_block block;
    /* :status of the block, or 0. */
    uint16_t status;
    /* Fields other than pseudo-fields have begun. */
    bool has_fields;
};

/* A field; its bytes belong to the library. */
struct h2_field {
    const uint8_t *name;
    size_t name_len;
    const uint8_t *value;
    size_t value_len;
};

void h2_message_begin(struct h2_message *self);

void h2_message_begin_block(struct h2_message *self);

/* The following functions return NULL, or one line that describes an error. */

const char *h2_message_field(struct h2_message *self,
                             const struct h2_field *field);

/* Returns true if a field that is valid in one response is valid in all, apart
 * from h2_message_known_field(). */
bool h2_message_is_known(const struct h2_field *field);

static inline void h2_message_known_field(struct h2_message *self)
{
    self->has_fields = true;
}

/* Ends a header block. is_last is true if the response ends with it;
 * has_no_body is true for HEAD, whatever content-length is. */
const char *h2_message_end_block(struct h2_message *self, bool is_last,
                                 bool has_no_body);

/* Checks the number of body bytes so far; is_last is true if no more follow. */
const char *h2_message_body(const struct h2_message *self, uint64_t bytes,
                            bool is_last);

#endif
