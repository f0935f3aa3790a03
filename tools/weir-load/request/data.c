/*
 * Rows and fields of a CSV file (--data). read_field() parses a field when the
 * file is read, and reports errors, and again when a request needs its row. A
 * row is stored as its offset of 32 bits.
 */
#include "request.h"

#include "tools/load/payload.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(DATA_SIZE_MAX <= UINT32_MAX, "offsets have 32 bits");

enum field_end {
    FIELD_COMMA,
    FIELD_LINE,
    FIELD_BAD,
};

struct field {
    const char *bytes;
    size_t len;
    /* The field is in quotes; inside, "" is one quote. */
    bool is_quoted;
    const char *why;
};

/* Returns true if a line ends at offset @at. Sets *ret_size to the size of the
 * line end, which is 0 at the end of the data. */
static bool ends_line(const struct data *data, size_t at, size_t *ret_size)
{
    const char *bytes = data->bytes + at;
    const size_t left = data->len - at;

    *ret_size = 0;
    if (left > 0 && bytes[0] == '\n') {
        *ret_size = 1;
    } else if (left > 1 && bytes[0] == '\r' && bytes[1] == '\n') {
        *ret_size = 2;
    } else if (left == 1 && bytes[0] == '\r') {
        *ret_size = 1;
    }
    return left == 0 || *ret_size > 0;
}

static enum field_end refuse_field(struct field *ret, const char *why)
{
    ret->why = why;
    return FIELD_BAD;
}

static enum field_end end_field(const struct data *data, size_t *at,
                                struct field *ret)
{
    size_t size = 0;

    if (ends_line(data, *at, &size)) {
        *at += size;
        return FIELD_LINE;
    }
    if (data->bytes[*at] == ',') {
        (*at)++;
        return FIELD_COMMA;
    }
    return refuse_field(ret, "a comma is missing after the quotes");
}

static enum field_end read_quoted(const struct data *data, size_t *at,
                                  struct field *ret)
{
    const size_t begin = *at + 1;
    size_t end = begin;

    for (;;) {
        const char *quote = memchr(data->bytes + end, '"', data->len - end);
        if (!quote) {
            return refuse_field(ret, "the quotes are not closed");
        }
        end = (size_t)(quote - data->bytes);
        if (end + 1 == data->len || quote[1] != '"') {
            break;
        }
        end += 2;
    }
    *ret = (struct field){
        .bytes = data->bytes + begin, .len = end - begin, .is_quoted = true};
    *at = end + 1;
    return end_field(data, at, ret);
}

static enum field_end read_field(const struct data *data, size_t *at,
                                 struct field *ret)
{
    const size_t begin = *at;
    size_t end = begin;
    size_t size = 0;

    if (begin < data->len && data->bytes[begin] == '"') {
        return read_quoted(data, at, ret);
    }
    while (end < data->len && data->bytes[end] != ',' &&
           data->bytes[end] != '"' && data->bytes[end] != '\n') {
        end++;
    }
    if (end < data->len && data->bytes[end] == '"') {
        return refuse_field(ret,
                            "a quote within a field; write \"...\"\"...\"");
    }
    const bool has_return = end > begin && data->bytes[end - 1] == '\r';
    if (has_return && ends_line(data, end - 1, &size)) {
        end--;
    }
    *ret = (struct field){.bytes = data->bytes + begin, .len = end - begin};
    *at = end;
    return end_field(data, at, ret);
}

static size_t write_field(const struct field *field, char *out)
{
    size_t len = 0;

    if (!field->is_quoted) {
        memcpy(out, field->bytes, field->len);
        return field->len;
    }
    for (size_t i = 0; i < field->len; i++) {
        out[len++] = field->bytes[i];
        i += field->bytes[i] == '"';
    }
    return len;
}

static uint64_t count_lines(const struct data *data, size_t from, size_t to)
{
    uint64_t count = 0;

    while (from < to) {
        const char *newline = memchr(data->bytes + from, '\n', to - from);
        if (!newline) {
            break;
        }
        count++;
        from = (size_t)(newline - data->bytes) + 1;
    }
    return count;
}

static int add_name(struct data *data, const struct field *field, uint64_t line,
                    char *why)
{
    char *name = malloc(field->len + 1);

    if (!name) {
        return why_no_memory(why);
    }
    name[write_field(field, name)] = '\0';
    if (data_find(data, name) >= 0) {
        snprintf(why, WHY_SIZE, "line %llu: two columns '%.60s'", LLU(line),
                 name);
        free(name);
        return -EINVAL;
    }
    if (data->column_count == DATA_COLUMNS_MAX) {
        free(name);
        return why_refuse(why, -E2BIG, "more than %u columns",
                          DATA_COLUMNS_MAX);
    }
    data->columns[data->column_count++] = (struct data_column){.name = name};
    return 0;
}

static void measure(struct data_column *column, const struct field *field,
                    uint64_t line)
{
    size_t quotes = 0;
    bool has_control = false;

    for (size_t i = 0; i < field->len; i++) {
        const unsigned char byte = (unsigned char)field->bytes[i];
        quotes += byte == '"';
        has_control |= (byte < 0x20 && byte != '\t') || byte == 0x7f;
    }
    const size_t len = field->len - quotes / 2;
    column->size_max = len > column->size_max ? len : column->size_max;
    if (has_control && column->control_line == 0) {
        column->control_line = line;
    }
}

static int add_row(struct data *data, size_t begin, char *why)
{
    uint32_t *row = request_append(&data->rows, &data->row_count, sizeof(*row));

    if (!row) {
        return why_no_memory(why);
    }
    *row = (uint32_t)begin;
    return 0;
}

static int read_line(struct data *data, bool is_first, size_t *at,
                     uint64_t line, char *why)
{
    enum field_end end = FIELD_COMMA;
    size_t count = 0;
    int err = 0;

    while (end == FIELD_COMMA && err == 0) {
        struct field field;
        end = read_field(data, at, &field);
        if (end == FIELD_BAD) {
            return why_refuse(why, -EINVAL, "line %llu: %s", LLU(line),
                              field.why);
        }
        if (is_first) {
            err = add_name(data, &field, line, why);
        } else if (count < data->column_count) {
            measure(&data->columns[count], &field, line);
        }
        count++;
    }
    if (err == 0 && count != data->column_count) {
        err = why_refuse(why, -EINVAL, "line %llu: %zu fields, and not %zu",
                         LLU(line), count, data->column_count);
    }
    return err;
}

static int read_lines(struct data *data, char *why)
{
    static const char mark[] = "\xef\xbb\xbf"; /* byte order mark of UTF-8 */
    size_t at = data->len >= 3 && memcmp(data->bytes, mark, 3) == 0 ? 3 : 0;
    uint64_t line = 1;
    int err = 0;

    while (at < data->len && err == 0) {
        const size_t begin = at;
        size_t blank = 0;
        if (ends_line(data, at, &blank)) {
            at += blank;
        } else if (data->column_count == 0) {
            err = read_line(data, true, &at, line, why);
        } else {
            err = read_line(data, false, &at, line, why);
            err = err < 0 ? err : add_row(data, begin, why);
        }
        line += err < 0 ? 0 : count_lines(data, begin, at);
    }
    if (err == 0 && data->row_count == 0) {
        err = why_refuse(
            why, -EINVAL,
            "there is no row in it; the first line names the columns (a "
            "body is sent by -b @FILE)");
    }
    return err;
}

int data_parse(char *bytes, size_t len, struct data *ret, char *why)
{
    *ret = (struct data){.bytes = bytes, .len = len};
    const int err = read_lines(ret, why);
    if (err < 0) {
        data_fini(ret);
    }
    return err;
}

int data_find(const struct data *data, const char *name)
{
    for (size_t i = 0; i < data->column_count; i++) {
        if (strcmp(data->columns[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

char *data_list(const struct data *data, char *ret, size_t size)
{
    size_t len = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < data->column_count; i++) {
        const char *name = data->columns[i].name;
        if (len + strlen(name) + 3 > size) {
            break;
        }
        len += (size_t)snprintf(ret + len, size - len, "%s%s",
                                i > 0 ? ", " : "", name);
    }
    return ret;
}

size_t data_write(const struct data *data, size_t column, uint64_t number,
                  char *out)
{
    struct field field = {.len = 0};

    assert(column < data->column_count);
    if (data->order == DATA_RANDOM) {
        number = payload_mix(payload_mix(data->seed) ^ payload_mix(number));
    }
    size_t at = data->rows[number % data->row_count];
    for (size_t i = 0; i <= column; i++) {
        const enum field_end end = read_field(data, &at, &field);
        assert(end != FIELD_BAD);
        (void)end;
    }
    return write_field(&field, out);
}

uint64_t data_hash(const struct data *data)
{
    uint64_t hash = data->len;
    uint64_t word = 0;

    for (size_t at = 0; at < data->len; at += sizeof(word)) {
        const size_t left = data->len - at;
        word = 0;
        memcpy(&word, data->bytes + at,
               left < sizeof(word) ? left : sizeof(word));
        hash = payload_mix(hash ^ word);
    }
    return hash;
}

void data_fini(struct data *data)
{
    for (size_t i = 0; i < data->column_count; i++) {
        free(data->columns[i].name);
    }
    free(data->bytes);
    free(data->rows);
    *data = (struct data){.len = 0};
}
