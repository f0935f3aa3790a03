/*
 * The head is printed as text and parsed as one template. No value can end a
 * line of it: the text of fields is checked for control characters,
 * template_bind() checks the data, and captured values have none.
 *
 * -H replaces the default fields (Host, User-Agent, Accept). Content-Length and
 * Transfer-Encoding are written only here, so that they match the body.
 */
#include "request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COPIES_BYTES (64U << 10)

#define CHUNK_BYTES (16U << 10)

/* Space for a Content-Length field, or for the framing of one chunk. */
#define FRAMING_BYTES 64U

static int refuse(char *why, const char *text)
{
    return why_refuse(why, -EINVAL, "%s", text);
}

static bool is_token(const char *text, size_t len)
{
    static const char chars[] =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t at = 0;

    while (at < len && text[at] != '\0' && strchr(chars, text[at])) {
        at++;
    }
    return len > 0 && at == len;
}

static int check_line(const char *text, bool blanks_too, char *why)
{
    struct template line;

    const int err = template_parse(text, strlen(text), &line, why);
    if (err < 0) {
        return err;
    }
    bool is_bad = false;
    for (size_t i = 0; i < line.len; i++) {
        const unsigned char byte = (unsigned char)line.bytes[i];
        is_bad |= (byte < 0x20 && byte != '\t') || byte == 0x7f ||
                  (blanks_too && byte <= 0x20);
    }
    template_fini(&line);
    if (!is_bad) {
        return 0;
    }
    return refuse(why, blanks_too ? "it has a blank or a control character"
                                  : "it has a control character");
}

int http_check_method(const char *method, char *why)
{
    return is_token(method, strlen(method))
               ? 0
               : refuse(why, "a method is one word such as GET");
}

int http_check_path(const char *path, char *why)
{
    if (path[0] != '/' && strcmp(path, "*") != 0) {
        return refuse(why, "a path begins with /");
    }
    return check_line(path, true, why);
}

static size_t measure_name(const char *field)
{
    const char *colon = strchr(field, ':');

    return colon ? (size_t)(colon - field) : 0;
}

static bool is_named(const char *field, const char *name)
{
    const size_t len = measure_name(field);

    return len == strlen(name) && strncasecmp(field, name, len) == 0;
}

int http_check_field(const char *field, char *why)
{
    if (!is_token(field, measure_name(field))) {
        return refuse(why, "a header is written 'Name: value'");
    }
    if (is_named(field, "Content-Length") ||
        is_named(field, "Transfer-Encoding")) {
        return refuse(why, "the body decides about it; see -b and --chunked");
    }
    return check_line(field, false, why);
}

int http_check_body(const char *body, char *why)
{
    struct template text;

    if (body[0] == '@') {
        char *bytes = NULL;
        size_t len = 0;
        const int err =
            template_read_file(body + 1, TEMPLATE_SIZE_MAX, &bytes, &len);
        if (err < 0) {
            return why_refuse(why, err, "%.200s: %s", body + 1, strerror(-err));
        }
        free(bytes);
        return 0;
    }
    const int err = template_parse(body, strlen(body), &text, why);
    if (err == 0) {
        template_fini(&text);
    }
    return err;
}

/* Parses three digits, or one digit and "xx". 5xx includes 600 and above (RFC
 * 9110, section 15). */
static bool take_status(const char *text, struct http_options *options)
{
    if (text[0] < '1' || text[0] > '9') {
        return false;
    }
    const size_t hundreds = (size_t)(text[0] - '0') * 100;
    if (text[1] == 'x' && text[2] == 'x') {
        const size_t end = text[0] == '5' ? HTTP_STATUS_END : hundreds + 100;
        memset(options->expected + hundreds, true, end - hundreds);
        return true;
    }
    if (text[1] < '0' || text[1] > '9' || text[2] < '0' || text[2] > '9') {
        return false;
    }
    options->expected[hundreds + (size_t)(text[1] - '0') * 10 +
                      (size_t)(text[2] - '0')] = true;
    return true;
}

int http_parse_expected(const char *text, struct http_options *options,
                        size_t *ret_at)
{
    size_t at = 0;

    options->has_expected = true;
    for (;;) {
        if (!take_status(text + at, options)) {
            break;
        }
        at += 3;
        if (text[at] == '\0') {
            return 0;
        }
        if (text[at] != ',') {
            break;
        }
        at++;
    }
    *ret_at = at;
    return -EINVAL;
}

bool http_is_given(const struct http_options *options, size_t count,
                   const char *name, size_t len)
{
    for (size_t i = 0; i < count; i++) {
        if (measure_name(options->fields[i]) == len &&
            strncasecmp(options->fields[i], name, len) == 0) {
            return true;
        }
    }
    return false;
}

bool http_has_connection(const struct http_options *options, bool *ret_closes)
{
    bool is_there = false;

    *ret_closes = false;
    for (size_t i = 0; i < options->field_count; i++) {
        const char *field = options->fields[i];
        if (is_named(field, "Connection")) {
            is_there = true;
            *ret_closes |=
                strcasestr(field + measure_name(field), "close") != NULL;
        }
    }
    return is_there;
}

static bool is_idempotent(const char *method)
{
    static const char *const methods[] = {"GET",    "HEAD",    "PUT",
                                          "DELETE", "OPTIONS", "TRACE"};

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(method, methods[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void print_own_field(FILE *file, const struct http_options *options,
                            const char *name, const char *value)
{
    if (!http_is_given(options, options->field_count, name, strlen(name))) {
        fprintf(file, "%s: %s\r\n", name, value);
    }
}

static const char *choose_method(const struct http_options *options)
{
    if (options->method) {
        return options->method;
    }
    return options->body ? "POST" : "GET";
}

/* Prints the first line and all fields except Content-Length, without the empty
 * line. */
static void print_head(FILE *file, const struct http_request *self,
                       const struct http_options *options, const char *host,
                       const char *path)
{
    const char *method = choose_method(options);

    fprintf(file, "%s %s HTTP/1.1\r\n", method, path);
    print_own_field(file, options, "Host", host);
    print_own_field(file, options, "User-Agent", "weir-load");
    print_own_field(file, options, "Accept", "*/*");
    if (options->is_last) {
        print_own_field(file, options, "Connection", "close");
    }
    for (size_t i = 0; i < options->field_count; i++) {
        const char *field = options->fields[i];
        const char *value = field + measure_name(field) + 1;
        if (value[strspn(value, " \t")] != '\0') {
            fprintf(file, "%s\r\n", field);
        }
    }
    if (self->is_chunked) {
        fprintf(file, "Transfer-Encoding: chunked\r\n");
    }
}

static int make_head(struct http_request *self,
                     const struct http_options *options, const char *host,
                     const char *path, char *why)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    if (!file) {
        return -ENOMEM;
    }
    print_head(file, self, options, host, path);
    const bool failed = ferror(file) != 0;
    if (fclose(file) != 0 || failed) {
        free(text);
        return -ENOMEM;
    }
    const int err = template_parse(text, len, &self->head, why);
    free(text);
    return err;
}

static int make_body(struct http_request *self, const char *body, char *why)
{
    char *bytes = NULL;
    size_t len = 0;

    if (!body) {
        return 0;
    }
    if (body[0] != '@') {
        return template_parse(body, strlen(body), &self->body, why);
    }
    int err = template_read_file(body + 1, TEMPLATE_SIZE_MAX, &bytes, &len);
    if (err == 0) {
        err = template_take(bytes, len, &self->body);
        free(bytes);
    }
    return err;
}

static size_t write_chunks(char *out, size_t len, size_t step)
{
    /* The body is at the end of the buffer. Space for the framing precedes
     * it. */
    const char *body = out + FRAMING_BYTES * (1 + len / step);
    size_t at = 0;

    for (size_t done = 0; done < len; done += step) {
        const size_t part = len - done < step ? len - done : step;
        at += (size_t)sprintf(out + at, "%zx\r\n", part);
        memmove(out + at, body + done, part);
        at += part;
        memcpy(out + at, "\r\n", 2);
        at += 2;
    }
    memcpy(out + at, "0\r\n\r\n", 5);
    return at + 5;
}

size_t http_request_render(const struct http_request *self,
                           const struct template_values *values, char *out)
{
    size_t len = template_render(&self->head, values, out);

    if (self->is_chunked) {
        memcpy(out + len, "\r\n", 2);
        len += 2;
        /* Renders the body so far from the start that the chunks never
         * overwrite bytes that are still to be read. */
        const size_t size = self->body.size_max;
        char *room = out + len + FRAMING_BYTES * (1 + size / CHUNK_BYTES);
        const size_t body_len = template_render(&self->body, values, room);
        memmove(out + len + FRAMING_BYTES * (1 + body_len / CHUNK_BYTES), room,
                body_len);
        return len + write_chunks(out + len, body_len, CHUNK_BYTES);
    }
    if (!self->has_body) {
        memcpy(out + len, "\r\n", 2);
        return len + 2;
    }
    char *room = out + len + FRAMING_BYTES;
    const size_t body_len = template_render(&self->body, values, room);
    len += (size_t)sprintf(out + len, "Content-Length: %zu\r\n\r\n", body_len);
    memmove(out + len, room, body_len);
    return len + body_len;
}

static int make_copies(struct http_request *self, size_t copies)
{
    const struct template_values values = {0};
    char *one = malloc(self->size_max);

    if (!one) {
        return -ENOMEM;
    }
    self->len = http_request_render(self, &values, one);
    const size_t fitting = COPIES_BYTES / self->len;
    self->copies = copies < fitting ? copies : fitting > 0 ? fitting : 1;
    self->bytes = malloc(self->len * self->copies);
    for (size_t i = 0; self->bytes && i < self->copies; i++) {
        memcpy(self->bytes + i * self->len, one, self->len);
    }
    free(one);
    return self->bytes ? 0 : -ENOMEM;
}

int http_request_init(struct http_request *self,
                      const struct http_options *options, const char *host,
                      const char *path, size_t copies, char *why)
{
    const char *method = choose_method(options);

    *self = (struct http_request){
        .is_head = strcmp(method, "HEAD") == 0,
        .is_idempotent = is_idempotent(method),
        .is_chunked = options->body && options->is_chunked,
        .has_body = options->body || strcmp(method, "POST") == 0 ||
                    strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0,
    };
    why[0] = '\0';
    int err = make_body(self, options->body, why);
    if (err == 0) {
        err = make_head(self, options, host, path, why);
    }
    if (err == 0) {
        err = template_bind(&self->head, options->data, TEMPLATE_IN_HEAD, why);
    }
    if (err == 0) {
        err = template_bind(&self->body, options->data, TEMPLATE_IN_BODY, why);
    }
    self->size_max = self->head.size_max + self->body.size_max +
                     FRAMING_BYTES * (2 + self->body.size_max / CHUNK_BYTES);
    if (err == 0 && template_is_fixed(&self->head) &&
        template_is_fixed(&self->body)) {
        err = make_copies(self, copies);
    }
    if (err < 0) {
        if (why[0] == '\0') {
            snprintf(why, WHY_SIZE, "%s", strerror(-err));
        }
        http_request_fini(self);
    }
    return err;
}

void http_request_fini(struct http_request *self)
{
    template_fini(&self->head);
    template_fini(&self->body);
    free(self->bytes);
    self->bytes = NULL;
}
