/*
 * Requests: texts with placeholders, the values for them, and the kinds of
 * requests that a load mixes. Files and options are parsed before a run; a
 * request is rendered when it is sent.
 */
#ifndef WEIR_LOAD_REQUEST_H
#define WEIR_LOAD_REQUEST_H

#include "tools/weir-load/base/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* Appends a zeroed element of @size bytes to the array to which the pointer at
 * @array points, and counts it. Returns NULL if out of memory; the array is
 * then unchanged. The capacity is the smallest power of 2 that is at least
 * @count. The caller frees the array with free(). */
static inline void *request_append(void *array, size_t *count, size_t size)
{
    char *all;

    memcpy(&all, array, sizeof(all));
    if ((*count & (*count - 1)) == 0) {
        all = realloc(all, (*count > 0 ? 2 * *count : 1) * size);
        if (!all) {
            return NULL;
        }
        memcpy(array, &all, sizeof(all));
    }
    return memset(all + (*count)++ * size, 0, size);
}

/*
 * Text with placeholders that are replaced in each request:
 *
 *     {seq}             number of the request
 *     {conn}            number of the request's connection
 *     {rand:LOW:HIGH}   random number
 *     {letters:COUNT}   random letters
 *     {file:PATH}       bytes of a file, which is read once
 *     {csv:COLUMN}      field of the request's row (data.c)
 *     {NAME}            value that the connection has captured
 *
 * A brace that does not start a placeholder is a plain character, so JSON needs
 * no escapes. Random values and rows depend only on the request's number and
 * the seed.
 */

/* Most letters of {letters:COUNT}, and largest size of a text. */
#define TEMPLATE_LETTERS_MAX 65536U
#define TEMPLATE_SIZE_MAX    (64U << 20)

/* Captured values: most names, size of a name with a NUL, and largest size of a
 * value. */
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
    /* TEMPLATE_RAND: the range, inclusive. TEMPLATE_LETTERS: `low` is the
     * count. TEMPLATE_VALUE: `low` is the number of the name. */
    uint64_t low;
    uint64_t high;
    /* TEMPLATE_CSV: name of the column. */
    char *name;
    /* TEMPLATE_CSV: index of the column, set by template_bind(). */
    size_t column;
    /* Bytes that a path must not have are written as %HH. Set by
     * template_bind(). */
    bool is_encoded;
};

struct template
{
    /* All literal bytes. */
    char *bytes;
    size_t len;
    struct template_part *parts;
    size_t part_count;
    /* Largest size of the rendered text. Valid after template_bind(). */
    size_t size_max;
    /* Set by template_bind(). */
    const struct data *data;
};

/* The part of a request in which a template is used. It limits the values of
 * {csv} and {NAME}. */
enum template_place {
    TEMPLATE_IN_BODY,   /* any bytes */
    TEMPLATE_IN_HEADER, /* no control characters */
    /* The head of an HTTP request. In its first line, bytes that a path must
     * not have are written as %HH; the other lines are headers. */
    TEMPLATE_IN_HEAD,
};

/* A captured value. Nothing is written if `bytes` is NULL. */
struct template_value {
    char *bytes;
    size_t len;
};

struct template_values {
    uint64_t seq;
    uint64_t conn;
    uint64_t seed;
    /* Captured values, indexed by the number of the name. NULL if the run
     * captures nothing. */
    const struct template_value *named;
};

/* Adds a name of captured values, for templates that are parsed later. Returns
 * the number of the new or existing name. Returns -EINVAL if the name is that
 * of another placeholder, or is not a letter followed by letters, digits, _ and
 * -. Returns -E2BIG if there are too many names. */
int template_add_name(const char *name, size_t len);

size_t template_count_names(void);
bool template_name_is_used(size_t number);
const char *template_name(size_t number);

/* Parses a template. Returns 0, -ENOMEM, or -EINVAL with the offset and the
 * reason in @why. After an error nothing needs to be freed. */
int template_parse(const char *text, size_t len, struct template *ret,
                   char *why);

/* Makes a template of literal bytes. Returns 0, -ENOMEM, or -EINVAL if there
 * are more than TEMPLATE_SIZE_MAX. */
int template_take(const char *bytes, size_t len, struct template *ret);

/* Prepares a template for its part of a request and for the data of
 * {csv:COLUMN}. @data may be NULL and must outlive the template. Returns 0, or
 * -EINVAL with one line in @why if a column does not exist or has a value that
 * is not allowed in this part, or if the text may be too long. */
int template_bind(struct template *self, const struct data *data,
                  enum template_place place, char *why);

/* Returns the number of parts of a kind. */
size_t template_count(const struct template *self, enum template_kind kind);

static inline bool template_may_be_empty(const struct template *self)
{
    return template_count(self, TEMPLATE_CSV) == self->part_count;
}

/* Returns true if the text is the same in all requests. */
static inline bool template_is_fixed(const struct template *self)
{
    return template_count(self, TEMPLATE_TEXT) == self->part_count;
}

/* Writes the text to @out, which has size_max bytes. Returns its length. */
size_t template_render(const struct template *self,
                       const struct template_values *values, char *out);

void template_fini(struct template *self);

/* Reads a file; the caller frees the bytes. Returns 0 or an error. The error is
 * -EFBIG if the file is larger than @size_max. */
int template_read_file(const char *path, size_t size_max, char **ret_bytes,
                       size_t *ret_len);

/*
 * A data file (--data) whose rows fill requests: comma-separated values (RFC
 * 4180), with column names in the first line.
 *
 *     name,password
 *     ada,secret
 *     "Smith, Jo","with ""quotes"""
 *
 * {csv:NAME} in a request is replaced by a field of the request's row. The
 * request's number in the run determines its row. Numbers are unique across
 * threads and processes.
 *
 * The file is divided into rows once. A row is divided into fields when a
 * request needs it. Every row has as many fields as the first line; empty lines
 * are skipped.
 */

#define DATA_SIZE_MAX    (UINT64_C(2) << 30)
#define DATA_COLUMNS_MAX 256U

enum data_order {
    DATA_TURN,   /* one after the other, then again from the first */
    DATA_RANDOM, /* chosen at random, with the seed */
    DATA_ONCE,   /* one after the other; the run ends after the last */
};

struct data_column {
    char *name;
    size_t size_max;
    /* Line of the first row with a control character other than tab in this
     * column, or 0. */
    uint64_t control_line;
};

struct data {
    char *bytes;
    size_t len;
    uint32_t *rows;
    size_t row_count;
    struct data_column columns[DATA_COLUMNS_MAX];
    size_t column_count;
    enum data_order order;
    uint64_t seed;
};

/* Parses @bytes, which must be from malloc(), and takes ownership of them.
 * Returns 0, or a negative error with one line in @why. */
int data_parse(char *bytes, size_t len, struct data *ret, char *why);

/* Returns the index of the column with this name, or -1. */
int data_find(const struct data *data, const char *name);

/* Writes the column names that fit into @size bytes, separated by commas.
 * Returns @ret. */
char *data_list(const struct data *data, char *ret, size_t size);

/* Writes a column's field in the row of request @number to @out, which has the
 * column's size_max bytes. Returns its length. */
size_t data_write(const struct data *data, size_t column, uint64_t number,
                  char *out);

uint64_t data_hash(const struct data *data);

void data_fini(struct data *data);

/*
 * Requests and answers of protocols that weir-load does not know: bytes to
 * send, and a rule that defines where an answer ends.
 *
 *     delim:BYTES        after the first BYTES
 *     count:N:BYTES      after the N-th BYTES
 *     len:SIZE           after SIZE bytes
 *     prefix:4be@2+1     a length field of 4 bytes, big-endian (le: little-
 *                        endian), after 2 other bytes. The answer ends after
 *                        the number of bytes in the field, counted from the
 *                        end of the field, plus 1 (-1: minus 1). The field
 *                        has 1, 2, 4 or 8 bytes.
 *
 * In BYTES and requests \r \n \t \\ and \xHH mean the same as in C, and \0 is a
 * zero byte.
 */

/* Largest size of a delimiter, and of the required start of an answer. */
#define SCRIPT_BYTES_MAX 64U

#define SCRIPT_ANSWER_MAX (UINT64_C(1) << 30)

enum script_kind {
    SCRIPT_DELIMITER, /* ends with the count-th delimiter */
    SCRIPT_LENGTH,
    SCRIPT_PREFIX,
};

struct script_rule {
    enum script_kind kind;
    uint8_t delimiter[SCRIPT_BYTES_MAX];
    /* KMP table: how many bytes still match after a mismatch. */
    uint8_t fallback[SCRIPT_BYTES_MAX];
    size_t delimiter_len;
    uint64_t count;
    uint64_t size_bytes;
    uint32_t field_at;
    uint32_t field_size;
    bool is_big_endian;
    uint64_t surplus_bytes;
    bool is_less;
    /* Required start of every answer. */
    uint8_t begin[SCRIPT_BYTES_MAX];
    size_t begin_len;
};

/* Reader of one answer. Must be zero-initialised before each answer. */
struct script_reader {
    uint64_t size_bytes;
    /* How many bytes of the delimiter match so far. */
    uint32_t matched;
    /* Number of delimiters so far. */
    uint64_t found;
    uint64_t field;
    uint32_t shown_len;
    uint8_t shown[SCRIPT_BYTES_MAX];
};

struct script_options {
    /* Text of the request with escapes, or NULL in other modes. */
    const char *request;
    const char *begin;
    struct script_rule rule;
};

/* Decodes escapes. Returns the number of bytes, at most strlen(text), or
 * -EINVAL with the offset of the first invalid escape. */
ssize_t script_unescape(const char *text, char *out, size_t *ret_at);

/* Parses a rule. Returns 0, or -EINVAL with one line in @why. */
int script_parse_rule(const char *text, struct script_rule *ret, char *why);

/* Parses the required start of answers, with escapes. Returns 0, or -EINVAL
 * with one line in @why. */
int script_parse_begin(const char *text, struct script_rule *rule, char *why);

/* Reads an answer or a part of it; @len must not be 0. Returns the number of
 * bytes used, or -EMSGSIZE if the length field is too large or less than the
 * rule subtracts. After a complete answer the reader still has the answer's
 * first bytes. */
ssize_t script_read(const struct script_rule *rule,
                    struct script_reader *reader, const uint8_t *data,
                    size_t len, bool *ret_complete);

/* Returns true if a complete answer begins as required. */
bool script_is_good(const struct script_rule *rule,
                    const struct script_reader *reader);

/*
 * A request on the command line has escapes (script.c) and placeholders
 * (template.c). Escapes are decoded first, so a brace written as an escape may
 * start a placeholder.
 */

/* Parses a request. Returns 0, or a negative error with one line in @why
 * (WHY_SIZE). An empty request is refused. */
int script_request_parse(const char *text, struct template *ret, char *why);

int script_request_check(const char *text, char *why);

/*
 * Sizes of requests and answers: one for all, or random ones.
 *
 *     1k                     always 1024 bytes
 *     uniform:64:1k          from 64 to 1024, all equally often
 *     exp:1k                 exponential, with this mean
 *     pareto:100:1.2:1M      Pareto from 100 bytes, shape 1.2, at most 1 MiB
 *     mix:100:90,10k:10      100 bytes 90 times for every 10 times 10 KiB
 *
 * A size is computed from a random number, which is computed from the seed, the
 * connection and the request's index. So the reader of answers can compute the
 * sizes again and needs no list of them.
 */

#define SIZES_PARTS_MAX 16U

#define SIZES_MAX (UINT64_C(64) << 20)

enum sizes_kind {
    SIZES_FIXED,
    SIZES_UNIFORM,
    SIZES_EXPONENTIAL,
    SIZES_PARETO,
    SIZES_MIX,
};

struct sizes_part {
    uint64_t bytes;
    /* Sum of the weights up to and including this part. */
    uint64_t up_to;
};

struct sizes {
    enum sizes_kind kind;
    /* Bounds of all possible sizes. */
    uint64_t least;
    uint64_t most;
    /* Mean of exponential sizes, or scale of Pareto sizes. */
    double scale;
    double shape;
    struct sizes_part parts[SIZES_PARTS_MAX];
    size_t part_count;
};

/* Parses sizes of at least @least bytes. Returns 0, or -EINVAL with the offset
 * and the reason in @why. */
int sizes_parse(const char *text, uint64_t least, struct sizes *ret, char *why);

struct sizes sizes_of(uint64_t bytes);

/* Limits an exponential distribution to the bounds. Returns true if all sizes
 * are now within the bounds; other distributions are only checked. */
bool sizes_clip(struct sizes *sizes, uint64_t least, uint64_t most);

uint64_t sizes_draw(const struct sizes *sizes, uint64_t random);

static inline bool sizes_is_fixed(const struct sizes *sizes)
{
    return sizes->kind == SIZES_FIXED;
}

/*
 * A Redis command. Arguments are separated by blanks, and each is a template
 * (template.c). The command is sent as an array of strings.
 *
 *     SET key{rand:1:1000} "two words\n"
 *
 * Quotes and escapes are as in redis-cli: "..." may have the escapes \n \r \t
 * \a \b \xHH \" and \\, and '...' may have only \'.
 */

#define REDIS_WORDS_MAX 1024U

struct redis_command {
    struct template *words;
    size_t word_count;
    size_t size_max;
};

/* Parses a command. Returns 0, or a negative error with one line in @why
 * (WHY_SIZE); nothing then needs to be freed. Refuses commands that do not have
 * exactly one answer or end the connection. */
int redis_command_parse(const char *text, struct redis_command *ret, char *why);

int redis_command_check(const char *text, char *why);

int redis_command_bind(struct redis_command *self, const struct data *data,
                       char *why);

bool redis_command_is_fixed(const struct redis_command *self);

/* Writes the command to @out, which has size_max bytes. Returns its length. */
size_t redis_command_render(const struct redis_command *self,
                            const struct template_values *values, char *out);

/* Writes a command without placeholders. @out has REDIS_PLAIN_SIZE(count, bytes
 * of all arguments) bytes. Returns its length. */
size_t redis_command_write(const char *const *words, size_t count, char *out);

#define REDIS_HEAD_SIZE 24U /* at least type, 20 digits, CR and LF */
#define REDIS_PLAIN_SIZE(count, bytes)                                         \
    (((count) + 1) * (REDIS_HEAD_SIZE + 2) + (bytes))

void redis_command_fini(struct redis_command *self);

/*
 * HTTP/1.1 requests from the command line: method, path, fields and body, each
 * of which may be a template (template.c). A request without placeholders is
 * stored several times in a row, so that a batch is one write without a copy.
 */

#define HTTP_FIELDS_MAX 64U

#define HTTP_STATUS_END 1000U

enum http_version {
    HTTP_VERSION_1_1,
    HTTP_VERSION_2,
    HTTP_VERSION_AUTO, /* chosen in the TLS handshake of each connection */
};

struct http_options {
    enum http_version version;
    /* HTTP/2: receive windows of a stream and of a connection. */
    uint64_t window_bytes;
    uint64_t conn_window_bytes;
    /* HTTP/2: size of the largest accepted frame. */
    uint64_t frame_bytes;
    /* HTTP/2: size of the header table of both sides. */
    uint64_t table_bytes;
    /* NULL means GET, or POST with a body. */
    const char *method;
    /* Path for targets without a path. NULL means "/". */
    const char *path;
    /* "Name: value". "Name:" removes a default field. */
    const char *fields[HTTP_FIELDS_MAX];
    size_t field_count;
    /* Body, or @FILE for the bytes of a file. May be NULL. */
    const char *body;
    bool is_chunked;
    /* The request is the last one of its connection, and has the field
     * Connection: close. */
    bool is_last;
    /* --expect names statuses. */
    bool has_expected;
    /* Only if has_expected is set: true for each expected status. */
    bool expected[HTTP_STATUS_END];
    const struct data *data;
    /* Value of --expect about bodies (wanted.c), or NULL if any body is
     * accepted. */
    const char *wanted;
};

struct http_request {
    bool is_head;
    /* The request may be sent twice (RFC 9110, section 9.2.2). */
    bool is_idempotent;
    bool is_chunked;
    /* The head without Content-Length, which depends on the body. */
    struct template head;
    struct template body;
    bool has_body;
    /* Copies of a request without placeholders, of len bytes each. */
    char *bytes;
    size_t len;
    size_t copies;
    /* Largest size of a rendered request. */
    size_t size_max;
};

/* Check the value of an option. Return 0, or an error with one line in @why
 * (WHY_SIZE). */
int http_check_method(const char *method, char *why);
int http_check_path(const char *path, char *why);
int http_check_field(const char *field, char *why);
int http_check_body(const char *body, char *why);

/* Returns true if one of the first @count fields has this name. */
bool http_is_given(const struct http_options *options, size_t count,
                   const char *name, size_t len);

/* Returns true if there is a Connection field. Sets *ret_closes to true if a
 * Connection field has "close". */
bool http_has_connection(const struct http_options *options, bool *ret_closes);

/* Parses "200", "2xx" or "200,3xx". Returns 0, or -EINVAL with the offset of
 * the first wrong part. */
int http_parse_expected(const char *text, struct http_options *options,
                        size_t *ret_at);

/* Makes a request for @path, with @host in the Host field. @copies is the
 * number of requests in the largest batch. Returns 0, or a negative error with
 * one line in @why. */
int http_request_init(struct http_request *self,
                      const struct http_options *options, const char *host,
                      const char *path, size_t copies, char *why);

/* Writes a request to @out, which has size_max bytes. Returns its length. */
size_t http_request_render(const struct http_request *self,
                           const struct template_values *values, char *out);

void http_request_fini(struct http_request *self);

/*
 * A kind of request, as in a line of a file, after the weight of a mix (mix.c).
 * A name in brackets may come first.
 *
 * - HTTP: method, path and an optional body, or only a path, which means GET.
 * - Redis: a command.
 * - Other protocols: where the answer ends, optionally what it begins with, and
 *   the request.
 *
 *     POST /items {"id": {seq}}
 *     [list] GET /items?page={seq}
 *     delim:\r\n begin:STORED set key{rand:1:1000} 0 0 5\r\nhello\r\n
 *
 * Lines directly below an HTTP request are its headers or, with '@', the file
 * with its body:
 *
 *     POST /items
 *     Content-Type: application/json
 *     @item.json
 */

enum request_form {
    REQUEST_SCRIPT,
    REQUEST_HTTP,
    REQUEST_REDIS,
};

struct request_kind {
    /* The first line and the lines below it that belong to the request. */
    char *line;
    /* Name from "[NAME]" at the start of the line, or NULL. */
    const char *name;
    /* Only for HTTP. @body may be NULL. @headers has header_count texts, each
     * with a terminating zero. They are sent before the headers of the command
     * line. */
    const char *method;
    const char *path;
    const char *body;
    const char *headers;
    size_t header_count;
    /* Only for other protocols: the request with escapes. */
    const char *request;
    /* Only for other protocols: where the answer ends. NULL for Redis. */
    struct script_rule *rule;
};

/* Returns true if a line is a header or a body file of the HTTP request above
 * it. */
bool request_kind_goes_on(const char *line, size_t len);

/* Position in a text with one request per line. Empty lines and comments are
 * skipped. */
struct request_lines {
    const char *text;
    size_t len;
    /* HTTP: the lines with headers and body below a request belong to it. */
    bool is_http;
    /* HTTP: no lines below belong to a line that begins with this word and a
     * blank. May be NULL. */
    const char *single;
    size_t at;
    /* Number of the line, from 1, with the last returned request. */
    unsigned number;
    /* Number of lines below this request that belong to it. */
    unsigned below;
};

/* Returns the next request, without its line end, or NULL. */
const char *request_lines_next(struct request_lines *self, size_t *ret_len);

/* Gives each request to @add until it returns an error. Returns 0, or that
 * error with the number of the line and the reason in @why. */
int request_lines_each(struct request_lines *self,
                       int (*add)(void *to, const char *line, size_t len,
                                  char *why),
                       void *to, char *why);

/* Returns true if the line begins with @word and a blank. */
bool request_lines_is(const char *line, size_t len, const char *word);

/* Stores a line, or several lines separated by '\n', in the kind. Returns a
 * second copy, which the kind owns and request_kind_read() modifies, or NULL if
 * out of memory. */
char *request_kind_keep(struct request_kind *kind, const char *line,
                        size_t len);

/* Parses the copy that request_kind_keep() returned, from @words on. Returns 0,
 * or a negative error with one line in @why (WHY_SIZE). request_kind_fini()
 * must be called in both cases. */
int request_kind_read(struct request_kind *kind, char *words,
                      enum request_form form, char *why);

/* Returns the text after an optional [NAME]. */
char *request_kind_skip_name(char *line);

/* Splits off the first word and returns it. Sets *text to the next word. */
char *request_kind_take_word(char **text);

void request_kind_fini(struct request_kind *kind);

/*
 * A mix of requests with weights, from a file (--mix). Each line has a weight,
 * 1 by default, and a request as in request_kind.c.
 *
 *     # HTTP
 *     90 GET /items/{rand:1:1000}
 *     10 POST /items {"id": {seq}}
 *     Content-Type: application/json
 *
 *     # other protocols
 *     9 delim:END\r\n get key{rand:1:1000}\r\n
 *     1 delim:\r\n begin:STORED set key{rand:1:1000} 0 0 5\r\nhello\r\n
 *
 * The index of a request on its connection determines its kind, so the reader
 * of answers can compute the kind again.
 */

#define MIX_KINDS_MAX 256U

struct mix {
    size_t kind_count;
    struct request_kind kinds[MIX_KINDS_MAX];
    /* Sums of the weights up to and including each kind. */
    uint64_t ends[MIX_KINDS_MAX];
};

/* Parses the text of a file. Returns 0, or a negative error with one line in
 * @why; nothing then needs to be freed. */
int mix_parse(const char *text, size_t len, enum request_form form,
              struct mix *ret, char *why);

int mix_read(const char *path, enum request_form form, struct mix *ret,
             char *why);

size_t mix_choose(const struct mix *mix, uint64_t random);

void mix_fini(struct mix *mix);

/*
 * A list of requests (--urls), one per line, in the form of request_kind.c:
 *
 *     /items/17
 *     POST /items {"id": {seq}}
 *
 * A URL of the target is accepted as its path, so that lists for vegeta can be
 * read. Lines with the same request share one kind, so a long list of few
 * requests is small. The number of a request in the run selects its line.
 */

#define URLS_LINES_MAX 10000000U
#define URLS_KINDS_MAX 1000000U

struct urls {
    /* Index of each line's kind. */
    uint32_t *kind_indices;
    size_t count;
    struct request_kind *kinds;
    size_t kind_count;
};

/* Parses the text of a file. A URL that begins with @target,
 * "http://HOST:PORT", is replaced by its path; @target may be NULL. Returns 0,
 * or a negative error with one line in @why; nothing then needs to be freed. */
int urls_parse(const char *text, size_t len, enum request_form form,
               const char *target, struct urls *ret, char *why);

/* Returns the index of request @number's kind. The list starts again after its
 * end. */
static inline uint32_t urls_kind(const struct urls *urls, uint64_t number)
{
    return urls->kind_indices[number % urls->count];
}

int urls_read(const char *path, enum request_form form, const char *target,
              struct urls *ret, char *why);

uint64_t urls_hash(const struct urls *urls);

void urls_fini(struct urls *urls);

/*
 * --capture takes a value from an answer. Later requests of the same connection
 * can use it as {NAME}.
 *
 *     token=json:data.tokens[0].value    from a JSON body; "$." may precede
 *                                        the path, and "$" is the whole body
 *     csrf=header:X-CSRF-Token           the first header of this name
 *     sid=cookie:SESSION                 a cookie, as last set
 *
 * Answers are untrusted: the size of searched bodies and of values is limited,
 * and values have no control characters, so that no value ends a line of a
 * request.
 */

/* Largest body that is searched for values. */
#define CAPTURE_BODY_MAX (64U << 10)

enum capture_kind {
    CAPTURE_JSON,
    CAPTURE_HEADER,
    CAPTURE_COOKIE,
};

struct capture {
    /* Value of the option. It must outlive the capture. */
    const char *text;
    /* Number of the value's name (template.c). */
    size_t number;
    enum capture_kind kind;
    /* JSON path (empty for the whole body), or name of the header or cookie.
     * Points into `text`. */
    const char *where;
};

/* An answer. Its head has all lines as they were received. */
struct capture_answer {
    const char *head;
    size_t head_len;
    const char *body;
    size_t body_len;
};

/* Parses NAME=KIND:WHERE and adds the name. Returns 0, or -EINVAL with one line
 * in @why. */
int capture_parse(const char *text, struct capture *ret, char *why);

/* Replaces @value by a copy of the value in an answer. Returns 0, -ENOMEM, or
 * -EINVAL with one line in @why if the answer has no such value, or one that is
 * not allowed. */
int capture_take(const struct capture *self,
                 const struct capture_answer *answer,
                 struct template_value *value, char *why);

/*
 * Requests that each connection sends once, before its first measured request:
 * --preamble and --capture. conn_preamble.c sends them.
 *
 * A preamble is a list of requests, written like lines of --mix without
 * weights. Each is sent when the previous answer is complete. A capture
 * (capture.c) applies to the answer of the request before it. In a file, this
 * line is a capture, and the other lines are as in a file of --urls:
 *
 *     capture NAME=json:PATH
 */

#define PREAMBLE_LINES_MAX    16U
#define PREAMBLE_CAPTURES_MAX 32U

#define PREAMBLE_WORDS_MAX 48U

struct preamble_line {
    struct request_kind kind;
    /* Range of the captures from the answer to this request. */
    size_t first_capture;
    size_t capture_count;
};

struct preamble {
    struct preamble_line lines[PREAMBLE_LINES_MAX];
    size_t line_count;
    struct capture captures[PREAMBLE_CAPTURES_MAX];
    size_t capture_count;
};

/* Values of the options in the order of the command line. */
struct preamble_words {
    size_t count;
    struct {
        const char *text;
        bool is_capture;
    } list[PREAMBLE_WORDS_MAX];
    /* Descriptions of the two options, or NULL if the option was not given. */
    const struct option *preamble;
    const struct option *capture;
};

/* Adds the names of all captures, so that options before a capture may use its
 * name. Must be called before the command line is parsed. Errors are reported
 * when the options are parsed. */
void preamble_find_names(int argc, char **argv, int first);

/* Returns the value of --preamble if argv[at] is or contains it, else NULL. */
const char *preamble_find_text(char **argv, int at);

/* Like preamble_find_text(), but returns NULL for @FILE: only other values may
 * contain a password. */
const char *preamble_find_secret(char **argv, int at);

/* Parses @words. Returns 0, or a negative error with one line in @why. */
int preamble_read(const struct preamble_words *words, bool is_http,
                  struct preamble *ret, char *why);

/* Returns a name that @text uses before an answer sets it, or NULL. */
const char *preamble_find_early(const struct preamble *preamble, size_t line,
                                const char *text);

uint64_t preamble_hash(const struct preamble *preamble);

#endif
