/*
 * Parses the lines of a request in a file. A kind owns its text and a copy,
 * which is divided into words in place. Every word is checked like the option
 * with the same meaning.
 */
#include "request.h"

#include "tools/weir-load/base/base.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char begin_word[] = "begin:";

/* Bytes that no header name has (RFC 9110, section 5.6.2), and NUL. */
static const char stops[] = " \t\r\n:/\"[]{}()<>@,;=?\\";

/* Returns the end of a request whose first line ends at @end. */
static size_t find_end(struct request_lines *self, size_t end)
{
    while (end < self->len && self->len - end > 1) {
        size_t at = end + 1;
        const char *newline = memchr(self->text + at, '\n', self->len - at);
        while (at < self->len && is_blank(self->text[at])) {
            at++;
        }
        if (!request_kind_goes_on(self->text + at, self->len - at)) {
            break;
        }
        end = newline ? (size_t)(newline - self->text) : self->len;
        self->below++;
    }
    return end;
}

bool request_lines_is(const char *line, size_t len, const char *word)
{
    const size_t size = strlen(word);

    return len > size && memcmp(line, word, size) == 0 && is_blank(line[size]);
}

const char *request_lines_next(struct request_lines *self, size_t *ret_len)
{
    while (self->at < self->len) {
        const char *line = self->text + self->at;
        const char *newline = memchr(line, '\n', self->len - self->at);
        size_t end = newline ? (size_t)(newline - self->text) : self->len;
        while (line < self->text + end && is_blank(*line)) {
            line++;
        }
        const size_t begin = (size_t)(line - self->text);
        const bool is_request = end > begin && *line != '\r' && *line != '#';
        self->number += 1 + self->below;
        self->below = 0;
        if (is_request && self->is_http &&
            !(self->single &&
              request_lines_is(line, end - begin, self->single))) {
            end = find_end(self, end);
        }
        self->at = end + 1;
        if (is_request) {
            *ret_len = end - begin - (self->text[end - 1] == '\r');
            return line;
        }
    }
    return NULL;
}

int request_lines_each(struct request_lines *self,
                       int (*add)(void *to, const char *line, size_t len,
                                  char *why),
                       void *to, char *why)
{
    char line_why[WHY_SIZE] = "";
    const char *line = NULL;
    size_t len = 0;
    int err = 0;

    while (err == 0 && (line = request_lines_next(self, &len))) {
        err = add(to, line, len, line_why);
    }
    return err < 0 ? why_refuse(why, err, "line %u: %s", self->number, line_why)
                   : 0;
}

char *request_kind_keep(struct request_kind *kind, const char *line, size_t len)
{
    char *copies = malloc(2 * (len + 1));

    *kind = (struct request_kind){.line = copies};
    if (!copies) {
        return NULL;
    }
    char *words = copies + len + 1;
    memcpy(copies, line, len);
    copies[len] = '\0';
    memcpy(words, copies, len + 1);
    return words;
}

char *request_kind_take_word(char **text)
{
    char *word = *text;

    *text += strcspn(word, " \t");
    if (**text) {
        *(*text)++ = '\0';
        *text += strspn(*text, " \t");
    }
    return word;
}

/* Returns the length of a header name that ':' follows, or 0. */
static size_t find_colon(const char *line, size_t len)
{
    size_t at = 0;

    while (at < len && !memchr(stops, line[at], sizeof(stops))) {
        at++;
    }
    return at < len && line[at] == ':' ? at : 0;
}

/* Returns true if a line begins with HOST:PORT. Such a line is a URL without a
 * scheme, and so a request. Header names in use have no dot. */
static bool is_place(const char *line, size_t len)
{
    static const char local[] = "localhost";
    const size_t at = find_colon(line, len);

    return at > 0 && len - at > 1 && line[at + 1] >= '0' &&
           line[at + 1] <= '9' &&
           (memchr(line, '.', at) ||
            (at == sizeof(local) - 1 && memcmp(line, local, at) == 0));
}

bool request_kind_goes_on(const char *line, size_t len)
{
    const size_t at = find_colon(line, len);

    if (len > 0 && (line[0] == '@' || line[0] == '#')) {
        return line[0] == '@';
    }
    /* a URL such as http://... is a request */
    return at > 0 && !is_place(line, len) &&
           (len - at < 3 || memcmp(line + at, "://", 3) != 0);
}

/* Handles a line below a request. Moves a header to *to. */
static int take_below(struct request_kind *kind, char *line, char **to,
                      char *why)
{
    const size_t size = strlen(line) + 1;

    if (line[0] != '@') {
        const int err = http_check_field(line, why);
        memmove(*to, line, size);
        *to += size;
        kind->header_count++;
        return err;
    }
    if (kind->body) {
        return why_refuse(why, -EINVAL, "%.100s: there is a body before it",
                          line);
    }
    kind->body = line;
    return http_check_body(line, why);
}

static int read_below(struct request_kind *kind, char *text, char *why)
{
    char *to = text;
    int err = 0;

    kind->headers = text;
    while (text && err == 0) {
        char *line = text + strspn(text, " \t");
        char *end = line + strcspn(line, "\n");
        text = *end ? end + 1 : NULL;
        while (end > line && strchr(" \t\r\n", end[-1])) {
            end--;
        }
        *end = '\0';
        err = kind->header_count < HTTP_FIELDS_MAX
                  ? take_below(kind, line, &to, why)
                  : -E2BIG;
        if (err == -E2BIG) {
            snprintf(why, WHY_SIZE, "more than %u headers", HTTP_FIELDS_MAX);
        }
    }
    return err;
}

static int read_http(struct request_kind *kind, char *text, char *why)
{
    char *end = strchr(text, '\n');

    if (request_kind_goes_on(text, strlen(text))) {
        return why_refuse(
            why, -EINVAL,
            "'%.*s' is a header or a body: it stands directly below its "
            "request",
            (int)(strcspn(text, "\n") < 60 ? strcspn(text, "\n") : 60), text);
    }
    if (is_place(text, strlen(text))) {
        const int shown = (int)(strcspn(text, " \t\r\n"));
        return why_refuse(
            why, -EINVAL,
            "'%.*s' is not a path: write its path, or http://%.*s",
            shown < 60 ? shown : 60, text, shown < 60 ? shown : 60, text);
    }
    if (end) {
        *end = '\0';
        end[end > text && end[-1] == '\r' ? -1 : 0] = '\0';
    }
    kind->method = text[0] == '/' ? "GET" : request_kind_take_word(&text);
    kind->path = request_kind_take_word(&text);
    kind->body = *text ? text : NULL;
    int err = http_check_method(kind->method, why);
    if (err == 0) {
        err = http_check_path(kind->path, why);
    }
    if (err == 0 && kind->body) {
        err = http_check_body(kind->body, why);
    }
    return err < 0 ? err : read_below(kind, end ? end + 1 : NULL, why);
}

static int read_script(struct request_kind *kind, char *text, char *why)
{
    const char *rule = request_kind_take_word(&text);
    const bool has_begin =
        strncmp(text, begin_word, sizeof(begin_word) - 1) == 0;
    const char *begin =
        has_begin ? request_kind_take_word(&text) + sizeof(begin_word) - 1
                  : NULL;

    kind->request = text;
    kind->rule = malloc(sizeof(*kind->rule));
    if (!kind->rule) {
        return why_no_memory(why);
    }
    int err = script_parse_rule(rule, kind->rule, why);
    if (err == 0 && begin) {
        err = script_parse_begin(begin, kind->rule, why);
    }
    if (err == 0) {
        err = script_request_check(text, why);
    }
    return err;
}

char *request_kind_skip_name(char *line)
{
    char *end = line[0] == '[' ? strpbrk(line, "]\n") : NULL;

    return end && *end == ']' ? end + 1 + strspn(end + 1, " \t") : line;
}

int request_kind_read(struct request_kind *kind, char *words,
                      enum request_form form, char *why)
{
    if (words[0] == '[') {
        char *end = strpbrk(words, "]\n");
        if (!end || *end == '\n' || end == words + 1) {
            return why_refuse(why, -EINVAL, "a name is written [NAME]");
        }
        kind->name = words + 1;
        const size_t len = (size_t)(end - kind->name);
        if (kind_name_span(kind->name, len) < len) {
            return why_refuse(why, -EINVAL, KIND_NAME_RULE);
        }
        words = request_kind_skip_name(words);
        *end = '\0';
    }
    switch (form) {
    case REQUEST_HTTP:
        return read_http(kind, words, why);
    case REQUEST_REDIS:
        kind->request = words;
        return redis_command_check(words, why);
    default:
        return read_script(kind, words, why);
    }
}

void request_kind_fini(struct request_kind *kind)
{
    free(kind->line);
    free(kind->rule);
}
