/*
 * What an answer of HTTP/2 has to be besides frames (RFC 9113, 8.1 to 8.3):
 * header blocks with a status at their beginning, names and values of the
 * right characters, and as many bytes as content-length says.
 *
 * The library could look at this too, which was a fifth of all instructions of
 * a request; so it is asked not to.
 */
#ifndef WEIR_LOAD_H2_MESSAGE_H
#define WEIR_LOAD_H2_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No content-length was seen. */
#define H2_NO_LENGTH UINT64_MAX

enum h2_block {
    H2_BLOCK_NONE,     /* none, or interim answers alone */
    H2_BLOCK_HEADER,   /* within the first block of fields, or an interim one */
    H2_BLOCK_READ,     /* the header is here; a body may come */
    H2_BLOCK_TRAILERS, /* within the block behind the body */
};

/* One answer; h2_message_begin() makes it ready. */
struct h2_message {
    uint64_t length;
    enum h2_block block;
    /* Of the block: 0, or its :status. */
    uint16_t status;
    /* Fields without a colon have begun. */
    bool has_fields;
};

/* A field, whose bytes are the library's. */
struct h2_field {
    const uint8_t *name;
    size_t name_len;
    const uint8_t *value;
    size_t value_len;
};

void h2_message_begin(struct h2_message *self);

/* A block begins. */
void h2_message_begin_block(struct h2_message *self);

/* Each of these returns NULL, or one line about what is wrong. */

const char *h2_message_field(struct h2_message *self,
                             const struct h2_field *field);

/* Is it the same for all answers that have it? Then only this is to be done for
 * it, once it was found right. */
bool h2_message_is_known(const struct h2_field *field);

static inline void h2_message_known_field(struct h2_message *self)
{
    self->has_fields = true;
}

/* The block is whole; is_last: the answer ends with it, has_no_body: whatever
 * its length says (HEAD). */
const char *h2_message_end_block(struct h2_message *self, bool is_last,
                                 bool has_no_body);

/* So many bytes of the body have come; is_last: there are no more. */
const char *h2_message_body(const struct h2_message *self, uint64_t bytes,
                            bool is_last);

#endif
