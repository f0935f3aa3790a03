/*
 * Text with places that each request fills anew: {seq} the request's number,
 * {conn} its connection's, {rand:LOW:HIGH} a number, {letters:COUNT} random
 * letters, {file:PATH}, the bytes of a file, which is read once, and
 * {csv:COLUMN} a field of the request's row (data.h). Where names were added,
 * {NAME} is a value that the connection has of this name.
 *
 * A brace that is not followed by a lower-case word and ':' or '}' stands for
 * itself, so that JSON needs no escapes. Which values a request gets depends on
 * its number and the seed alone.
 */
#ifndef WEIR_LOAD_TEMPLATE_H
#define WEIR_LOAD_TEMPLATE_H

#include "data.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for every reason that template_parse() gives. */
#define TEMPLATE_WHY_SIZE 256

/* The most letters, and the most bytes of a whole text. */
#define TEMPLATE_LETTERS_MAX 65536U
#define TEMPLATE_SIZE_MAX    (64U << 20)

/* Names of values, the longest one, and the most bytes of a value. */
#define TEMPLATE_NAMES_MAX 16U
#define TEMPLATE_NAME_SIZE 33U
#define TEMPLATE_VALUE_MAX 8192U

enum template_kind {
    TEMPLATE_TEXT,
    TEMPLATE_SEQ,
    TEMPLATE_CONN,
    TEMPLATE_RAND,
    TEMPLATE_LETTERS,
    TEMPLATE_CSV,
    TEMPLATE_VALUE,
};

struct template_part {
    enum template_kind kind;
    /* TEMPLATE_TEXT: a piece of the template's bytes. */
    size_t begin;
    size_t len;
    /* TEMPLATE_RAND: both are possible. TEMPLATE_LETTERS: low is their count.
     * TEMPLATE_VALUE: low is the number of its name. */
    uint64_t low;
    uint64_t high;
    /* TEMPLATE_CSV: the name of a column; and when it is bound, which one that
     * is. */
    char *name;
    size_t column;
    /* Of a field or a value, when it is bound: what a path does not have is
     * written as %HH. */
    bool is_encoded;
};

struct template
{
    /* All bytes that stand for themselves. */
    char *bytes;
    size_t len;
    struct template_part *parts;
    size_t part_count;
    /* The most bytes that it becomes, once it is bound. */
    size_t size_max;
    /* NULL: it is not bound. */
    const struct data *data;
};

/* Where the text stands, for what fields of data and values may have there. */
enum template_place {
    TEMPLATE_IN_BODY,   /* anything */
    TEMPLATE_IN_HEADER, /* no control character */
    /* A head of HTTP: in its first line what a path does not have is written as
     * %HH, the others are headers. */
    TEMPLATE_IN_HEAD,
};

/* A value of a name; NULL: there is none, and nothing is written. */
struct template_value {
    char *bytes;
    size_t len;
};

/* What fills the places. */
struct template_values {
    uint64_t seq;
    uint64_t conn;
    uint64_t seed;
    /* By the numbers of their names; NULL: no name was added. */
    const struct template_value *named;
};

/*
 * Names of values, of which all templates that are read later may have places.
 * Returns the number of the name, which is that of the same name before; or
 * -EINVAL: it is not letters, digits, _ and - behind a letter, or stands for
 * another place; -E2BIG: there are too many.
 */
int template_add_name(const char *name, size_t len);

/* The number of a name, or -ENOENT. */
int template_find_name(const char *name, size_t len);

/* How many names there are; and does a template have a place of one? */
size_t template_count_names(void);
bool template_name_is_used(size_t number);
const char *template_name(size_t number);

/* Read a template. 0; -ENOMEM; or -EINVAL with one line in why, which says
 * where. Nothing is owned unless 0 is returned. */
int template_parse(const char *text, size_t len, struct template *ret,
                   char *why);

/* Bytes that stand for themselves, braces or not. 0, -ENOMEM or -EINVAL. */
int template_take(const char *bytes, size_t len, struct template *ret);

/* Bind it to the data that its fields are of; NULL: there are none; and to the
 * place where it stands. The data are borrowed until it ends. 0, or -EINVAL
 * with one line in why: a field is of no column, or cannot stand where it does.
 */
int template_bind(struct template *self, const struct data *data,
                  enum template_place place, char *why);

/* How many fields of data it has. */
size_t template_count_fields(const struct template *self);

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
