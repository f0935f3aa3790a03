/*
 * A template is parsed once into literal bytes and placeholders; rendering does
 * not allocate. Random values are hashes of the seed, the number of the request
 * and the index of the placeholder. So runs with the same seed send the same
 * bytes with any number of threads.
 */
#include "request.h"

#include "tools/load/payload.h"
#include "tools/weir-load/base/base.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_SIZE 20U

#define ARGUMENT_SIZE 4096U

/* Names of captured values, for all templates. */
static struct {
    size_t count;
    char texts[TEMPLATE_NAMES_MAX][TEMPLATE_NAME_SIZE];
    bool is_used[TEMPLATE_NAMES_MAX];
} value_names;

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_name(const char *name, size_t len)
{
    static const char *const taken[] = {"seq", "conn", "rand", "letters",
                                        "re",  "file", "csv"};
    bool is_good = len > 0 && len < TEMPLATE_NAME_SIZE && is_letter(name[0]);

    for (size_t i = 1; is_good && i < len; i++) {
        is_good = is_letter(name[i]) || (name[i] >= '0' && name[i] <= '9') ||
                  name[i] == '_' || name[i] == '-';
    }
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        is_good = is_good && !is_text(name, len, taken[i]);
    }
    return is_good;
}

static int find_name(const char *name, size_t len)
{
    for (size_t i = 0; i < value_names.count; i++) {
        if (is_text(name, len, value_names.texts[i])) {
            return (int)i;
        }
    }
    return -ENOENT;
}

int template_add_name(const char *name, size_t len)
{
    const int number = find_name(name, len);

    if (number >= 0) {
        return number;
    }
    if (!is_name(name, len)) {
        return -EINVAL;
    }
    if (value_names.count == TEMPLATE_NAMES_MAX) {
        return -E2BIG;
    }
    memcpy(value_names.texts[value_names.count], name, len);
    value_names.texts[value_names.count][len] = '\0';
    return (int)value_names.count++;
}

size_t template_count_names(void)
{
    return value_names.count;
}

bool template_name_is_used(size_t number)
{
    return value_names.is_used[number];
}

const char *template_name(size_t number)
{
    return value_names.texts[number];
}

static int add_part(struct template *self, const struct template_part *part,
                    size_t size)
{
    if (self->size_max + size > TEMPLATE_SIZE_MAX) {
        return -EINVAL;
    }
    struct template_part *added =
        request_append(&self->parts, &self->part_count, sizeof(*added));
    if (!added) {
        return -ENOMEM;
    }
    *added = *part;
    self->size_max += size;
    return 0;
}

static int add_bytes(struct template *self, const char *bytes, size_t len)
{
    struct template_part *last =
        self->part_count > 0 ? &self->parts[self->part_count - 1] : NULL;

    if (len == 0) {
        return 0;
    }
    if (self->size_max + len > TEMPLATE_SIZE_MAX) {
        return -EINVAL;
    }
    char *grown = realloc(self->bytes, self->len + len);
    if (!grown) {
        return -ENOMEM;
    }
    self->bytes = grown;
    memcpy(self->bytes + self->len, bytes, len);
    self->len += len;
    if (last && last->kind == TEMPLATE_TEXT) {
        last->len += len;
        self->size_max += len;
        return 0;
    }
    const struct template_part part = {
        .kind = TEMPLATE_TEXT, .begin = self->len - len, .len = len};
    return add_part(self, &part, len);
}

static bool read_number(const char *text, uint64_t *ret)
{
    uint64_t number = 0;

    if (text[0] == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        const uint64_t digit = (uint64_t)(*text - '0');
        if (*text < '0' || *text > '9' || number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *ret = number;
    return true;
}

static int add_plain(struct template *self, const char *argument,
                     enum template_kind kind)
{
    const struct template_part part = {.kind = kind};

    return argument ? -EINVAL : add_part(self, &part, NUMBER_SIZE);
}

static int add_rand(struct template *self, char *argument)
{
    struct template_part part = {.kind = TEMPLATE_RAND};
    char *colon = argument ? strchr(argument, ':') : NULL;

    if (!colon) {
        return -EINVAL;
    }
    *colon = '\0';
    if (!read_number(argument, &part.low) ||
        !read_number(colon + 1, &part.high) || part.low > part.high) {
        return -EINVAL;
    }
    return add_part(self, &part, NUMBER_SIZE);
}

int template_read_file(const char *path, size_t size_max, char **ret_bytes,
                       size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    size_t len = 0;
    size_t part = 0;
    int err = file ? 0 : -errno;

    while (err == 0) {
        char *grown = realloc(bytes, len + BUFSIZ);
        if (!grown) {
            err = -ENOMEM;
            break;
        }
        bytes = grown;
        part = fread(bytes + len, 1, BUFSIZ, file);
        len += part;
        err = len > size_max ? -EFBIG : ferror(file) ? -errno : 0;
        if (part < BUFSIZ) {
            break;
        }
    }
    if (file) {
        fclose(file);
    }
    if (err < 0) {
        free(bytes);
        return err;
    }
    *ret_bytes = bytes;
    *ret_len = len;
    return 0;
}

static int add_file(struct template *self, const char *path, char *why)
{
    char *bytes = NULL;
    size_t len = 0;

    if (!path || path[0] == '\0') {
        return -EINVAL;
    }
    int err = template_read_file(path, TEMPLATE_SIZE_MAX, &bytes, &len);
    if (err == -ENOMEM) {
        return err;
    }
    if (err < 0) {
        return why_refuse(why, -EINVAL, "%.200s: %s", path, strerror(-err));
    }
    err = add_bytes(self, bytes, len);
    free(bytes);
    return err;
}

static int add_csv(struct template *self, const char *argument)
{
    struct template_part part = {.kind = TEMPLATE_CSV};

    if (!argument || argument[0] == '\0') {
        return -EINVAL;
    }
    part.name = strdup(argument);
    if (!part.name) {
        return -ENOMEM;
    }
    const int err = add_part(self, &part, 0);
    if (err < 0) {
        free(part.name);
    }
    return err;
}

static int add_place(struct template *self, const char *name, char *argument,
                     char *why)
{
    if (strcmp(name, "seq") == 0) {
        return add_plain(self, argument, TEMPLATE_SEQ);
    }
    if (strcmp(name, "conn") == 0) {
        return add_plain(self, argument, TEMPLATE_CONN);
    }
    if (strcmp(name, "rand") == 0) {
        return add_rand(self, argument);
    }
    if (strcmp(name, "letters") == 0) {
        struct template_part part = {.kind = TEMPLATE_LETTERS};
        return argument && read_number(argument, &part.low) && part.low > 0 &&
                       part.low <= TEMPLATE_LETTERS_MAX
                   ? add_part(self, &part, (size_t)part.low)
                   : -EINVAL;
    }
    if (strcmp(name, "csv") == 0) {
        return add_csv(self, argument);
    }
    if (strcmp(name, "file") == 0) {
        return add_file(self, argument, why);
    }
    const int number = find_name(name, strlen(name));
    if (argument || number < 0) {
        return -EINVAL;
    }
    value_names.is_used[number] = true;
    const struct template_part part = {.kind = TEMPLATE_VALUE,
                                       .low = (uint64_t)number};
    return add_part(self, &part, TEMPLATE_VALUE_MAX);
}

/* Returns the length of a placeholder's name after a brace, or 0 if the brace
 * is a plain character. */
static size_t measure_name(const char *text, size_t len)
{
    const size_t most = len < TEMPLATE_NAME_SIZE ? len : TEMPLATE_NAME_SIZE;
    const char *end = value_names.count > 0 ? memchr(text, '}', most) : NULL;
    size_t at = 0;

    if (end && end > text && find_name(text, (size_t)(end - text)) >= 0) {
        return (size_t)(end - text);
    }
    while (at < len && text[at] >= 'a' && text[at] <= 'z') {
        at++;
    }
    return at < len && (text[at] == ':' || text[at] == '}') ? at : 0;
}

/* Parses a placeholder, whose '{' is at @text. Returns its size, or a negative
 * error with a reason in @why. */
static int read_place(struct template *self, const char *text, size_t len,
                      size_t name_len, char *why)
{
    char inside[ARGUMENT_SIZE];
    const char *end = memchr(text, '}', len);
    const size_t inside_len = end ? (size_t)(end - text) - 1 : 0;

    const char *instead = gone_find(text, name_len + 1);

    why[0] = '\0';
    if (instead) {
        return why_refuse(why, -EINVAL, "it was removed; use %s", instead);
    }
    if (!end || inside_len >= sizeof(inside) ||
        memchr(text, '\0', inside_len + 1)) {
        return -EINVAL;
    }
    memcpy(inside, text + 1, inside_len);
    inside[inside_len] = '\0';
    char *argument = NULL;
    if (inside[name_len] == ':') {
        argument = inside + name_len + 1;
        inside[name_len] = '\0';
    }
    const int err = add_place(self, inside, argument, why);
    return err < 0 ? err : (int)inside_len + 2;
}

static int parse(struct template *self, const char *text, size_t len, char *why)
{
    static const char forms[] =
        "write {seq}, {conn}, {rand:LOW:HIGH}, {letters:COUNT}, {file:PATH} or "
        "{csv:COLUMN}";
    size_t at = 0;

    while (at < len) {
        const char *brace = memchr(text + at, '{', len - at);
        const size_t plain = brace ? (size_t)(brace - text) - at : len - at;
        const size_t name_len =
            brace ? measure_name(brace + 1, len - at - plain - 1) : 0;
        const size_t itself = brace && name_len == 0 ? 1 : 0;
        int err = add_bytes(self, text + at, plain + itself);
        if (err < 0) {
            return err;
        }
        at += plain + itself;
        if (name_len == 0) {
            continue;
        }
        err = read_place(self, text + at, len - at, name_len, why);
        if (err < 0) {
            char reason[WHY_SIZE];
            snprintf(reason, sizeof(reason), "%s", why[0] ? why : forms);
            snprintf(why, WHY_SIZE, "at byte %zu, '%.*s': %.180s", at + 1,
                     (int)(len - at < 24 ? len - at : 24), text + at, reason);
            return err;
        }
        at += (size_t)err;
    }
    return 0;
}

#define ENCODED_SIZE 3U

/* Returns true for bytes that a path and its query must not have (RFC 3986).
 * '%' is allowed, so that encoded text is not encoded again. */
static bool is_strange(unsigned char byte)
{
    return byte <= ' ' || byte >= 0x7f ||
           memchr("\"#<>\\^`{|}", byte, 11) != NULL;
}

static int bind_part(struct template *self, struct template_part *part,
                     char *why)
{
    char names[WHY_SIZE / 2];
    const int column = self->data ? data_find(self->data, part->name) : -1;

    if (!self->data) {
        return why_refuse(why, -EINVAL, "{csv:%.60s} needs --data FILE",
                          part->name);
    }
    if (column < 0) {
        return why_refuse(
            why, -EINVAL, "{csv:%.60s} is not a column; the columns are %s",
            part->name, data_list(self->data, names, sizeof(names)));
    }
    const struct data_column *known = &self->data->columns[column];
    const size_t size = known->size_max * (part->is_encoded ? ENCODED_SIZE : 1);
    if (self->size_max + size > TEMPLATE_SIZE_MAX) {
        return why_refuse(why, -EINVAL, "with {csv:%.60s} it is too long",
                          part->name);
    }
    part->column = (size_t)column;
    self->size_max += size;
    return 0;
}

static int bind_value(struct template *self, struct template_part *part,
                      char *why)
{
    const size_t more = (ENCODED_SIZE - 1) * TEMPLATE_VALUE_MAX;

    if (self->size_max + more > TEMPLATE_SIZE_MAX) {
        return why_refuse(why, -EINVAL, "with {%s} it is too long",
                          template_name((size_t)part->low));
    }
    part->is_encoded = true;
    self->size_max += more;
    return 0;
}

/* Refuses data that could end the line of its header. */
static int check_in_header(const struct template *self,
                           const struct template_part *part, char *why)
{
    const uint64_t line = self->data->columns[part->column].control_line;

    if (line == 0 || part->is_encoded) {
        return 0;
    }
    return why_refuse(why, -EINVAL,
                      "{csv:%.60s}: line %llu of the data has a control "
                      "character there, which a header cannot have",
                      part->name, LLU(line));
}

int template_bind(struct template *self, const struct data *data,
                  enum template_place place, char *why)
{
    bool is_first_line = place == TEMPLATE_IN_HEAD;
    int err = 0;

    self->data = data;
    for (size_t i = 0; i < self->part_count && err == 0; i++) {
        struct template_part *part = &self->parts[i];
        if (part->kind == TEMPLATE_VALUE && is_first_line) {
            err = bind_value(self, part, why);
        }
        if (part->kind == TEMPLATE_CSV) {
            part->is_encoded = is_first_line;
            err = bind_part(self, part, why);
        }
        if (part->kind == TEMPLATE_CSV && err == 0 &&
            place != TEMPLATE_IN_BODY) {
            err = check_in_header(self, part, why);
        }
        if (part->kind == TEMPLATE_TEXT &&
            memchr(self->bytes + part->begin, '\n', part->len)) {
            is_first_line = false;
        }
    }
    return err;
}

size_t template_count(const struct template *self, enum template_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < self->part_count; i++) {
        count += self->parts[i].kind == kind;
    }
    return count;
}

/* Encodes @len bytes in place. @out has space for ENCODED_SIZE times as
 * many. */
static size_t encode(char *out, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t grown = len;

    for (size_t i = 0; i < len; i++) {
        grown += is_strange((unsigned char)out[i]) ? ENCODED_SIZE - 1 : 0;
    }
    for (size_t from = len, to = grown; from < to;) {
        const unsigned char byte = (unsigned char)out[--from];
        if (!is_strange(byte)) {
            out[--to] = (char)byte;
            continue;
        }
        to -= ENCODED_SIZE;
        out[to] = '%';
        out[to + 1] = digits[byte >> 4];
        out[to + 2] = digits[byte & 15];
    }
    return grown;
}

static size_t write_number(uint64_t number, char *out)
{
    char digits[NUMBER_SIZE];
    size_t len = 0;

    do {
        len++;
        digits[NUMBER_SIZE - len] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(out, digits + NUMBER_SIZE - len, len);
    return len;
}

static size_t write_part(const struct template *self, size_t index,
                         const struct template_values *values, char *out)
{
    const struct template_part *part = &self->parts[index];
    const uint64_t random =
        payload_mix(payload_mix(values->seed ^ payload_mix(values->seq)) ^
                    payload_mix(index));
    const uint64_t span = part->high - part->low;
    const struct template_value *value = NULL;
    size_t len = 0;

    switch (part->kind) {
    case TEMPLATE_SEQ:
        return write_number(values->seq, out);
    case TEMPLATE_CONN:
        return write_number(values->conn, out);
    case TEMPLATE_RAND:
        return write_number(
            span == UINT64_MAX ? random : part->low + random % (span + 1), out);
    case TEMPLATE_LETTERS:
        for (uint64_t i = 0; i < part->low; i++) {
            out[i] = (char)('a' + payload_mix(random + i) % 26);
        }
        return (size_t)part->low;
    case TEMPLATE_CSV:
        len = data_write(self->data, part->column, values->seq, out);
        return part->is_encoded ? encode(out, len) : len;
    case TEMPLATE_VALUE:
        value = values->named ? &values->named[part->low] : NULL;
        if (!value || !value->bytes) {
            return 0;
        }
        memcpy(out, value->bytes, value->len);
        return part->is_encoded ? encode(out, value->len) : value->len;
    default:
        memcpy(out, self->bytes + part->begin, part->len);
        return part->len;
    }
}

int template_parse(const char *text, size_t len, struct template *ret,
                   char *why)
{
    struct template self = {.len = 0};

    why[0] = '\0';
    const int err = parse(&self, text, len, why);
    if (err < 0) {
        if (err == -ENOMEM) {
            snprintf(why, WHY_SIZE, "no memory");
        } else if (why[0] == '\0') {
            snprintf(why, WHY_SIZE, "it is too long");
        }
        template_fini(&self);
        return err;
    }
    *ret = self;
    return 0;
}

int template_take(const char *bytes, size_t len, struct template *ret)
{
    struct template self = {.len = 0};

    const int err = add_bytes(&self, bytes, len);
    if (err < 0) {
        template_fini(&self);
        return err;
    }
    *ret = self;
    return 0;
}

size_t template_render(const struct template *self,
                       const struct template_values *values, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < self->part_count; i++) {
        len += write_part(self, i, values, out + len);
    }
    return len;
}

void template_fini(struct template *self)
{
    for (size_t i = 0; i < self->part_count; i++) {
        free(self->parts[i].name);
    }
    free(self->bytes);
    free(self->parts);
    *self = (struct template){.len = 0};
}
