/*
 * Text with places that each request fills anew: {seq} the request's number,
 * {conn} its connection's, {rand:LOW:HIGH} a number, {letters:COUNT} random
 * letters, {re:PATTERN} what matches a pattern (pattern.h), and {file:PATH},
 * the bytes of a file, which is read once.
 *
 * A brace that is not followed by a lower-case word and ':' or '}' stands for
 * itself, so that JSON needs no escapes. Which values a request gets depends on
 * its number and the seed alone.
 */
#ifndef WEIR_LOAD_TEMPLATE_H
#define WEIR_LOAD_TEMPLATE_H

#include "pattern.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for every reason that template_parse() gives. */
#define TEMPLATE_WHY_SIZE 256

/* The most letters, and the most bytes of a whole text. */
#define TEMPLATE_LETTERS_MAX 65536U
#define TEMPLATE_SIZE_MAX    (64U << 20)

enum template_kind {
    TEMPLATE_TEXT,
    TEMPLATE_SEQ,
    TEMPLATE_CONN,
    TEMPLATE_RAND,
    TEMPLATE_LETTERS,
    TEMPLATE_PATTERN,
};

struct template_part {
    enum template_kind kind;
    /* TEMPLATE_TEXT: a piece of the template's bytes. */
    size_t begin;
    size_t len;
    /* TEMPLATE_RAND: both are possible. TEMPLATE_LETTERS: low is their count.
     */
    uint64_t low;
    uint64_t high;
    /* TEMPLATE_PATTERN. */
    struct pattern pattern;
};

struct template
{
    /* All bytes that stand for themselves. */
    char *bytes;
    size_t len;
    struct template_part *parts;
    size_t part_count;
    /* The most bytes that it becomes. */
    size_t size_max;
};

/* What fills the places. */
struct template_values {
    uint64_t seq;
    uint64_t conn;
    uint64_t seed;
};

/* Read a template. 0; -ENOMEM; or -EINVAL with one line in why, which says
 * where. Nothing is owned unless 0 is returned. */
int template_parse(const char *text, size_t len, struct template *ret,
                   char *why);

/* Bytes that stand for themselves, braces or not. 0, -ENOMEM or -EINVAL. */
int template_take(const char *bytes, size_t len, struct template *ret);

/* May it become nothing, for one request or for all? */
bool template_may_be_empty(const struct template *self);

/* Is it the same for all requests? */
bool template_is_fixed(const struct template *self);

/* Write it out; out has size_max bytes. Returns how many were written. */
size_t template_render(const struct template *self,
                       const struct template_values *values, char *out);

void template_fini(struct template *self);

/* A whole file. 0, or a negative error; the memory is given. */
int template_read_file(const char *path, char **ret_bytes, size_t *ret_len);

#endif
