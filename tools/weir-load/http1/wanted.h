/*
 * The required body of an HTTP response, from --expect:
 *
 *     text:TEXT   these bytes, with the escapes of script.h
 *     file:NAME   the bytes of a file, which is read once
 *     len:SIZE    this many bytes
 *     echo        the body of its request
 *     re:REGEX    a match of an extended regular expression (regex(7))
 *
 * A body arrives in pieces, split anywhere. They are compared in place. Only a
 * regular expression needs the whole body, so its size is limited, and a body
 * in several pieces is copied.
 */
#ifndef WEIR_LOAD_WANTED_H
#define WEIR_LOAD_WANTED_H

#include "tools/weir-load/base/why.h"

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Largest body that a regular expression is matched with. */
#define WANTED_KEPT_MAX (1U << 20)

/* Bytes of a wrong body that are shown. */
#define WANTED_SHOWN_MAX 40U

enum wanted_kind {
    WANTED_ANY, /* any body is right */
    WANTED_BYTES,
    WANTED_SIZE,
    WANTED_ECHO,
    WANTED_MATCH,
};

struct wanted_bytes {
    const char *bytes;
    size_t len;
};

/* All zero means WANTED_ANY. */
struct wanted {
    enum wanted_kind kind;
    /* For WANTED_BYTES; owned. */
    char *bytes;
    size_t len;
    /* For WANTED_SIZE. */
    uint64_t size_bytes;
    /* For WANTED_MATCH. */
    regex_t regex;
};

/* Reader of a body; must be zero-initialised before the first body. */
struct wanted_reader {
    /* Number of bytes so far, and number before the first wrong byte. */
    uint64_t size_bytes;
    uint64_t right_bytes;
    size_t shown_len;
    uint8_t shown[WANTED_SHOWN_MAX];
    /* For WANTED_MATCH. The only piece so far, borrowed; or a buffer of
     * kept_size bytes with copies of all pieces, which is kept for the next
     * body. */
    const uint8_t *piece;
    char *kept;
    size_t kept_len;
    size_t kept_size;
    bool has_no_memory;
};

/* Returns true if a value of --expect describes a body. len:SIZE can also be a
 * rule of a script (script.h). */
bool wanted_is_meant(const char *text);

/* Parses a value. Returns 0, or -ENOMEM or -EINVAL with a reason in why. The
 * result must be freed with wanted_fini(). */
int wanted_parse(const char *text, struct wanted *ret, char *why);

void wanted_fini(struct wanted *self);

/* Reads the next piece of a body, which must stay valid until wanted_keep() or
 * wanted_begin(). echo is the body of the request, for WANTED_ECHO. */
void wanted_read(const struct wanted *self, struct wanted_reader *reader,
                 struct wanted_bytes echo, const uint8_t *data, size_t len);

/* Copies what the reader needs. Must be called before pieces are overwritten if
 * the body is incomplete. */
void wanted_keep(struct wanted_reader *reader);

/* Checks a complete body. Returns 0, or a code of errors.h with a message in
 * detail, which has size bytes. */
int wanted_judge(const struct wanted *self, const struct wanted_reader *reader,
                 struct wanted_bytes echo, char *detail, size_t size);

void wanted_begin(struct wanted_reader *reader);

void wanted_drop(struct wanted_reader *reader);

#endif
