/*
 * Takes values from answers, for later requests. Strings are taken unchanged,
 * numbers in their shortest form, true and false as words. Objects, arrays and
 * null are refused.
 *
 * jansson parses bodies. It refuses a whole body for one integer beyond 63
 * bits. The body is then parsed again with all integers as doubles, and a
 * double that may have lost digits is refused.
 */
#include "request.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define STEP_MAX 255U

#define INDEX_DIGITS_MAX 6U

#define NUMBER_SIZE 40U

/* Doubles below this represent all integers exactly. */
#define EXACT_END 9007199254740992.0

/* Returns the length of the next step of a path, NAME or [INDEX], with its dot.
 * Returns 0 if it is invalid. */
static size_t measure_step(const char *path, bool is_first)
{
    if (path[0] == '[') {
        const size_t digits = strspn(path + 1, "0123456789");
        return digits > 0 && digits <= INDEX_DIGITS_MAX &&
                       path[1 + digits] == ']'
                   ? digits + 2
                   : 0;
    }
    const size_t dot = !is_first && path[0] == '.';
    const size_t len = strcspn(path + dot, ".[]");
    return (dot || is_first) && len > 0 && len <= STEP_MAX ? dot + len : 0;
}

static bool is_path(const char *path)
{
    const char *at = path;
    size_t len = 1;

    while (*at && len > 0) {
        len = measure_step(at, at == path);
        at += len;
    }
    return len > 0;
}

static int refuse(char *why, const char *text, const char *want)
{
    return why_refuse(why, -EINVAL, "'%.100s': %s", text, want);
}

static int add_name(const char *text, size_t len, struct capture *ret,
                    char *why)
{
    const int number = template_add_name(text, len);

    if (number == -E2BIG) {
        return why_refuse(why, -EINVAL, "more than %u names",
                          TEMPLATE_NAMES_MAX);
    }
    if (number < 0) {
        return refuse(why, text,
                      "a name is a letter and letters, digits, _ or -, 32 at "
                      "most, and none of {seq}, {conn} and the others");
    }
    ret->number = (size_t)number;
    return 0;
}

int capture_parse(const char *text, struct capture *ret, char *why)
{
    static const char *const words[] = {[CAPTURE_JSON] = "json:",
                                        [CAPTURE_HEADER] = "header:",
                                        [CAPTURE_COOKIE] = "cookie:"};
    const char *equals = strchr(text, '=');
    struct capture self = {.text = text};

    for (size_t i = 0; equals && i < sizeof(words) / sizeof(words[0]); i++) {
        if (strncmp(equals + 1, words[i], strlen(words[i])) == 0) {
            self.kind = (enum capture_kind)i;
            self.where = equals + 1 + strlen(words[i]);
        }
    }
    if (!self.where) {
        return refuse(why, text,
                      "write NAME=json:PATH, NAME=header:NAME or "
                      "NAME=cookie:NAME");
    }
    if (self.kind == CAPTURE_JSON) {
        const char *path = self.where;
        if (path[0] == '$' && strchr(".[", path[1])) {
            path += path[1] == '.' && path[2] != '\0' ? 2 : 1;
        }
        if (!is_path(path) || self.where[0] == '\0') {
            return refuse(why, self.where,
                          "a path is names and indexes, as "
                          "data.tokens[0].id");
        }
        self.where = path;
    }
    if (self.kind != CAPTURE_JSON &&
        (self.where[0] == '\0' || strpbrk(self.where, " \t:;,=\""))) {
        return refuse(why, self.where, "this is not a name");
    }
    const int err = add_name(text, (size_t)(equals - text), &self, why);
    if (err == 0) {
        *ret = self;
    }
    return err;
}

static int miss(const struct capture *self, char *why, const char *reason)
{
    return why_refuse(why, -EINVAL, "%.100s: %.150s", self->text, reason);
}

static int keep(const struct capture *self, const char *bytes, size_t len,
                struct template_value *value, char *why)
{
    if (len == 0) {
        return miss(self, why, "it is empty");
    }
    if (len > TEMPLATE_VALUE_MAX) {
        return miss(self, why, "it has more than 8192 bytes");
    }
    for (size_t i = 0; i < len; i++) {
        const unsigned char byte = (unsigned char)bytes[i];
        if (byte < 0x20 || byte == 0x7f) {
            return miss(self, why, "it has a control character");
        }
    }
    char *copy = malloc(len);
    if (!copy) {
        return why_no_memory(why);
    }
    memcpy(copy, bytes, len);
    free(value->bytes);
    *value = (struct template_value){copy, len};
    return 0;
}

static const json_t *follow(const json_t *from, const char *path)
{
    const char *at = path;
    char name[STEP_MAX + 1];

    while (from && *at) {
        const size_t len = measure_step(at, at == path);
        const size_t dot = at[0] == '.';
        if (at[0] == '[') {
            from = json_array_get(from, (size_t)strtoul(at + 1, NULL, 10));
        } else {
            memcpy(name, at + dot, len - dot);
            name[len - dot] = '\0';
            from = json_object_get(from, name);
        }
        at += len;
    }
    return from;
}

/* Prints an integer in full, and another number as the shortest text that
 * strtod() reads as this number. */
static void print_real(double number, char text[NUMBER_SIZE])
{
    int digits = 15;

    if (number > -EXACT_END && number < EXACT_END &&
        number == (double)(long long)number) {
        snprintf(text, NUMBER_SIZE, "%lld", (long long)number);
        return;
    }
    do {
        snprintf(text, NUMBER_SIZE, "%.*g", digits++, number);
    } while (digits <= 17 && strtod(text, NULL) != number);
}

static int keep_json(const struct capture *self, const json_t *found,
                     bool has_reals_alone, struct template_value *value,
                     char *why)
{
    char text[NUMBER_SIZE];

    if (!found || json_is_null(found)) {
        return miss(self, why, found ? "it is null" : "the body has none");
    }
    switch (json_typeof(found)) {
    case JSON_STRING:
        return keep(self, json_string_value(found), json_string_length(found),
                    value, why);
    case JSON_INTEGER:
        snprintf(text, sizeof(text), "%lld",
                 (long long)json_integer_value(found));
        break;
    case JSON_REAL:
        if (has_reals_alone && (json_real_value(found) <= -EXACT_END ||
                                json_real_value(found) >= EXACT_END)) {
            return miss(self, why,
                        "it may be an integer that is not known to its last "
                        "digit");
        }
        print_real(json_real_value(found), text);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        snprintf(text, sizeof(text), "%s",
                 json_is_true(found) ? "true" : "false");
        break;
    default:
        return miss(self, why,
                    json_is_array(found) ? "it is an array"
                                         : "it is an object");
    }
    return keep(self, text, strlen(text), value, why);
}

static int take_json(const struct capture *self,
                     const struct capture_answer *answer,
                     struct template_value *value, char *why)
{
    const char *bytes = answer->body ? answer->body : "";
    /* A path needs an object or array. Without one, the body may be any
     * value. */
    const size_t flags =
        JSON_DISABLE_EOF_CHECK | (*self->where ? 0 : JSON_DECODE_ANY);
    json_error_t error;
    char reason[WHY_SIZE];
    bool has_reals_alone = false;

    json_t *body = json_loadb(bytes, answer->body_len, flags, &error);
    if (!body && json_error_code(&error) == json_error_numeric_overflow) {
        has_reals_alone = true;
        body = json_loadb(bytes, answer->body_len,
                          flags | JSON_DECODE_INT_AS_REAL, &error);
    }
    if (!body) {
        snprintf(reason, sizeof(reason), "the body is not JSON: %.100s",
                 error.text);
        return miss(self, why, reason);
    }
    const int err =
        keep_json(self, follow(body, self->where), has_reals_alone, value, why);
    json_decref(body);
    return err;
}

/* Returns the value if this Set-Cookie line (RFC 6265, section 5.2) sets the
 * cookie @name, else NULL. */
static const char *find_cookie(const char *text, size_t len, const char *name,
                               size_t *ret_len)
{
    const size_t name_len = strlen(name);
    const char *end = memchr(text, ';', len);

    if (end) {
        len = (size_t)(end - text);
    }
    if (len <= name_len || memcmp(text, name, name_len) != 0 ||
        text[name_len] != '=') {
        return NULL;
    }
    *ret_len = len - name_len - 1;
    while (*ret_len > 0 && text[name_len + *ret_len] == ' ') {
        (*ret_len)--;
    }
    return text + name_len + 1;
}

static const char *look_at_line(const struct capture *self, const char *line,
                                size_t len, size_t *ret_len)
{
    const bool is_cookie = self->kind == CAPTURE_COOKIE;
    const char *field = is_cookie ? "Set-Cookie" : self->where;
    const size_t field_len = strlen(field);

    if (len <= field_len || strncasecmp(line, field, field_len) != 0 ||
        line[field_len] != ':') {
        return NULL;
    }
    line += field_len + 1;
    len -= field_len + 1;
    while (len > 0 && (line[0] == ' ' || line[0] == '\t')) {
        line++;
        len--;
    }
    while (len > 0 && strchr(" \t\r", line[len - 1])) {
        len--;
    }
    if (is_cookie) {
        return find_cookie(line, len, self->where, ret_len);
    }
    *ret_len = len;
    return line;
}

static int take_field(const struct capture *self,
                      const struct capture_answer *answer,
                      struct template_value *value, char *why)
{
    const char *at = answer->head;
    const char *end = at + answer->head_len;
    const char *last = NULL;
    size_t last_len = 0;

    while (at && at < end && (!last || self->kind == CAPTURE_COOKIE)) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = newline ? newline : end;
        size_t len = 0;
        const char *found =
            look_at_line(self, at, (size_t)(line_end - at), &len);
        if (found) {
            last = found;
            last_len = len;
        }
        at = line_end + 1;
    }
    return last ? keep(self, last, last_len, value, why)
                : miss(self, why, "the answer has none");
}

int capture_take(const struct capture *self,
                 const struct capture_answer *answer,
                 struct template_value *value, char *why)
{
    return self->kind == CAPTURE_JSON ? take_json(self, answer, value, why)
                                      : take_field(self, answer, value, why);
}
