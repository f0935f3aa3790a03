/*
 * What the body of an HTTP answer has to be, as --expect has it:
 *
 * text:TEXT   these bytes, with the escapes of script.h
 * file:NAME   the bytes of a file, which is read once
 * len:SIZE    as many bytes
 * echo        the body of its request
 * re:REGEX    what an extended regular expression (regex(7)) finds something in
 *
 * A body comes in pieces, cut anywhere. They are compared where they lie; only
 * a regular expression needs them all at once, so it has a limit, and a body
 * that comes in more than one piece is copied for it.
 */
#ifndef WEIR_LOAD_WANTED_H
#define WEIR_LOAD_WANTED_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest body that a regular expression is tried on. */
#define WANTED_KEPT_MAX (1U << 20)

/* Bytes of a wrong body that are shown. */
#define WANTED_SHOWN_MAX 40U

/* Room for every reason that wanted_parse() gives. */
#define WANTED_WHY_SIZE 256

enum wanted_kind {
    WANTED_ANY, /* every body is right */
    WANTED_BYTES,
    WANTED_SIZE,
    WANTED_ECHO,
    WANTED_MATCH,
};

struct wanted_bytes {
    const char *bytes;
    size_t len;
};

/* All zero: WANTED_ANY. */
struct wanted {
    enum wanted_kind kind;
    /* WANTED_BYTES; owned. */
    char *bytes;
    size_t len;
    /* WANTED_SIZE. */
    uint64_t size_bytes;
    /* WANTED_MATCH. */
    regex_t regex;
};

/* A body that is being read; all zero before the first one. */
struct wanted_reader {
    /* Bytes until now, and those that are right, up to the first wrong one. */
    uint64_t size_bytes;
    uint64_t right_bytes;
    /* The first bytes. */
    size_t shown_len;
    uint8_t shown[WANTED_SHOWN_MAX];
    /* WANTED_MATCH: the only piece, where it lies; or copies of all, in memory
     * of kept_size bytes, which stays for the next body. */
    const uint8_t *piece;
    char *kept;
    size_t kept_len;
    size_t kept_size;
    bool has_no_memory;
};

/* Does a value of --expect say what a body is? len:SIZE is a rule of a script
 * too (script.h). */
bool wanted_is_meant(const char *text);

/* 0, and what it holds is owned; or -ENOMEM or -EINVAL with one line in why. */
int wanted_parse(const char *text, struct wanted *ret, char *why);

void wanted_fini(struct wanted *self);

/* Read the next piece of a body, which has to stay where it is until
 * wanted_keep() or wanted_begin(). echo: the body of the request, for
 * WANTED_ECHO. */
void wanted_read(const struct wanted *self, struct wanted_reader *reader,
                 struct wanted_bytes echo, const uint8_t *data, size_t len);

/* The body goes on, and the pieces until now are about to be overwritten. */
void wanted_keep(struct wanted_reader *reader);

/* Of a complete body: 0 or a code of errors.h with a line about it in detail,
 * which has size bytes. */
int wanted_judge(const struct wanted *self, const struct wanted_reader *reader,
                 struct wanted_bytes echo, char *detail, size_t size);

/* Begin another body. */
void wanted_begin(struct wanted_reader *reader);

/* Free what a reader keeps. */
void wanted_drop(struct wanted_reader *reader);

#endif
