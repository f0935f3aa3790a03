/*
 * Text with placeholders that each request fills in: {seq} the number of the
 * request, {conn} of its connection, {rand:LOW:HIGH} a number, {letters:COUNT}
 * random letters, {file:PATH} the bytes of a file, read once, {csv:COLUMN} a
 * field of the request's row (data.h), and {NAME} a value that the connection
 * has captured, if the name was added.
 *
 * A brace that is not followed by a lower-case word and ':' or '}' is a plain
 * character, so JSON needs no escapes. The values of a request depend only on
 * its number and the seed.
 */
#ifndef WEIR_LOAD_TEMPLATE_H
#define WEIR_LOAD_TEMPLATE_H

#include "tools/weir-load/base/why.h"

#include "data.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits of {letters}, and of a whole text. */
#define TEMPLATE_LETTERS_MAX 65536U
#define TEMPLATE_SIZE_MAX    (64U << 20)

/* Limits of captured values: number of names, sizes of name and value. */
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
    /* TEMPLATE_TEXT: range in the template's bytes. */
    size_t begin;
    size_t len;
    /* TEMPLATE_RAND: the range, inclusive. TEMPLATE_LETTERS: low is the count.
     * TEMPLATE_VALUE: low is the number of the name. */
    uint64_t low;
    uint64_t high;
    /* TEMPLATE_CSV: the name of a column, and its index once the template is
     * bound. */
    char *name;
    size_t column;
    /* Set by template_bind(): bytes that a path cannot have are written as
     * %HH. */
    bool is_encoded;
};

struct template
{
    /* All literal bytes. */
    char *bytes;
    size_t len;
    struct template_part *parts;
    size_t part_count;
    /* Largest size when rendered. Valid after template_bind(). */
    size_t size_max;
    /* Set by template_bind(); NULL before. */
    const struct data *data;
};

/* Part of a request that a template is for; it limits the values that {csv} and
 * {NAME} may have. */
enum template_place {
    TEMPLATE_IN_BODY,   /* may have any byte */
    TEMPLATE_IN_HEADER, /* no control characters */
    /* HTTP head: in the first line bytes that a path cannot have are written as
     * %HH; the other lines are headers. */
    TEMPLATE_IN_HEAD,
};

/* A captured value. If it is NULL, nothing is written. */
struct template_value {
    char *bytes;
    size_t len;
};

struct template_values {
    uint64_t seq;
    uint64_t conn;
    uint64_t seed;
    /* Captured values, indexed by the number of the name; NULL if the run has
     * none. */
    const struct template_value *named;
};

/* Adds a name of captured values, for all templates that are parsed later.
 * Returns its number, even if the name exists; -EINVAL if it is not a letter
 * followed by letters, digits, _ and -, or is another placeholder; or
 * -E2BIG. */
int template_add_name(const char *name, size_t len);

/* Returns the number of a name, or -ENOENT. */
int template_find_name(const char *name, size_t len);

size_t template_count_names(void);
bool template_name_is_used(size_t number);
const char *template_name(size_t number);

/* Parses a template. Returns 0, -ENOMEM, or -EINVAL with one line in @why,
 * which has the offset. On an error nothing needs to be freed. */
int template_parse(const char *text, size_t len, struct template *ret,
                   char *why);

/* Makes a template of literal bytes. Returns 0, -ENOMEM or -EINVAL. */
int template_take(const char *bytes, size_t len, struct template *ret);

/* Binds the template to its part of a request and to the data of its fields.
 * @data is borrowed until template_fini(), and may be NULL. Returns 0, or
 * -EINVAL with one line in @why if a column does not exist or has a value that
 * is not allowed in this part. */
int template_bind(struct template *self, const struct data *data,
                  enum template_place place, char *why);

size_t template_count_fields(const struct template *self);

/* Returns true if the text may be empty for some request. */
bool template_may_be_empty(const struct template *self);

/* Returns true if the text is the same for all requests. */
bool template_is_fixed(const struct template *self);

/* Writes the text; @out has size_max bytes. Returns the number of bytes. */
size_t template_render(const struct template *self,
                       const struct template_values *values, char *out);

void template_fini(struct template *self);

/* Reads a file, whose bytes the caller frees. Returns 0 or an error. */
int template_read_file(const char *path, char **ret_bytes, size_t *ret_len);

#endif
