/*
 * Reads the list of requests of --urls. A request is looked up by its text, and
 * parsed only if it is new, so that a long list of few requests is small and
 * quick to read.
 */
#include "request.h"

#include "tools/weir-load/base/base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* First size of the hash table. Sizes are powers of 2. */
#define TABLE_SIZE 64U

static const char length_field[] = "Content-Length:";

struct reader {
    struct urls *urls;
    enum request_form form;
    const char *target;
    /* Hash table of texts. An entry is 1 + index of the kind, or 0. At most
     * half of the entries are in use. */
    uint32_t *table;
    size_t table_size;
    char *why;
};

static int add_kind(const struct reader *reader, const char *text, size_t len)
{
    struct urls *urls = reader->urls;

    if (urls->kind_count == URLS_KINDS_MAX) {
        return why_refuse(reader->why, -E2BIG,
                          "more than %u different requests", URLS_KINDS_MAX);
    }
    struct request_kind *kind =
        request_append(&urls->kinds, &urls->kind_count, sizeof(*kind));
    char *words = kind ? request_kind_keep(kind, text, len) : NULL;
    if (!words) {
        return why_no_memory(reader->why);
    }
    return request_kind_read(kind, words, reader->form, reader->why);
}

/* Returns the table entry of a text's kind, or a free entry for it. */
static uint32_t *find_place(const struct reader *reader, const char *text)
{
    const size_t mask = reader->table_size - 1;
    size_t at = hash_bytes(HASH_BEGIN, text, strlen(text)) & mask;

    while (reader->table[at] > 0 &&
           strcmp(reader->urls->kinds[reader->table[at] - 1].line, text) != 0) {
        at = (at + 1) & mask;
    }
    return &reader->table[at];
}

static int grow_table(struct reader *reader)
{
    const struct urls *urls = reader->urls;
    const size_t size =
        reader->table_size > 0 ? 2 * reader->table_size : TABLE_SIZE;
    uint32_t *table = calloc(size, sizeof(*table));

    if (!table) {
        return why_no_memory(reader->why);
    }
    free(reader->table);
    reader->table = table;
    reader->table_size = size;
    for (uint32_t i = 0; i < urls->kind_count; i++) {
        *find_place(reader, urls->kinds[i].line) = i + 1;
    }
    return 0;
}

static int find_kind(struct reader *reader, const char *text, uint32_t *ret)
{
    const struct urls *urls = reader->urls;

    if (2 * urls->kind_count >= reader->table_size) {
        const int err = grow_table(reader);
        if (err < 0) {
            return err;
        }
    }
    uint32_t *place = find_place(reader, text);
    if (*place == 0) {
        const int err = add_kind(reader, text, strlen(text));
        if (err < 0) {
            return err;
        }
        *place = (uint32_t)urls->kind_count;
    }
    *ret = *place - 1;
    return 0;
}

struct place {
    bool is_tls;
    const char *host;
    size_t host_len;
    unsigned long port; /* 0 if invalid */
    /* Length of the URL without path and query. */
    size_t size;
};

static bool is_url(const char *text)
{
    return strncasecmp(text, "http://", 7) == 0 ||
           strncasecmp(text, "https://", 8) == 0;
}

static bool read_place(const char *url, struct place *ret)
{
    if (!is_url(url)) {
        return false;
    }
    const bool is_tls = url[4] != ':';
    const char *host = url + (is_tls ? 8 : 7);
    size_t len = strcspn(host, "/? \t\n");
    const char *colon = memrchr(host, ':', len);

    *ret = (struct place){.is_tls = is_tls,
                          .host = host,
                          .host_len = len,
                          .port = is_tls ? 443 : 80,
                          .size = (size_t)(host - url) + len};
    if (colon && !memchr(colon, ']', len - (size_t)(colon - host))) {
        const size_t digits = strspn(colon + 1, "0123456789");
        ret->host_len = (size_t)(colon - host);
        ret->port = digits <= 5 && colon + 1 + digits == host + len
                        ? strtoul(colon + 1, NULL, 10)
                        : 0;
    }
    return true;
}

/* Replaces the target's URL in an HTTP request by its path. Modifies the
 * line. */
static int take_request(const struct reader *reader, char *line)
{
    struct place target;
    struct place place;

    line = request_kind_skip_name(line);
    const size_t method_len = strcspn(line, " \t\n:/");
    char *url = line + method_len + strspn(line + method_len, " \t");

    url = is_url(line) ? line : url;
    if (reader->form == REQUEST_HTTP && line[0] == '{') {
        return why_refuse(
            reader->why, -EINVAL,
            "targets of vegeta in JSON are not read; write METHOD URL, as "
            "jq -r '.method + \" \" + .url' does, with headers and "
            "@FILE for a body below");
    }
    if (reader->form != REQUEST_HTTP || !read_place(url, &place)) {
        return 0;
    }
    if (!reader->target || !read_place(reader->target, &target) ||
        place.is_tls != target.is_tls || place.port != target.port ||
        place.port == 0 || place.host_len != target.host_len ||
        strncasecmp(place.host, target.host, place.host_len) != 0) {
        return why_refuse(reader->why, -EINVAL,
                          "'%.60s' is not of the target; write its path alone",
                          url);
    }
    /* The text gets no longer, even if a '/' is added: a URL has a scheme
     * before its path. */
    char *rest = url + place.size;
    const bool has_path = rest[0] == '/';
    url[0] = '/';
    memmove(url + !has_path, rest, strlen(rest) + 1);
    return 0;
}

/* Returns a copy of a request without the blanks and line ends around its lines
 * and without Content-Length, which lists of other tools have: it is computed
 * from the body instead. */
static char *copy_request(const char *line, size_t len)
{
    char *copy = strndup(line, len);
    char *rest = copy;
    char *to = copy;

    while (rest) {
        char *one = strsep(&rest, "\n");
        one += strspn(one, " \t");
        size_t size = strlen(one);
        size -= size > 0 && one[size - 1] == '\r';
        if (to == copy ||
            strncasecmp(one, length_field, sizeof(length_field) - 1) != 0) {
            memmove(to, one, size);
            to += size;
            *to++ = '\n';
        }
    }
    if (copy) {
        to[-1] = '\0';
    }
    return copy;
}

static int add_line(void *to, const char *line, size_t len, char *why)
{
    struct reader *reader = to;
    struct urls *urls = reader->urls;
    uint32_t kind = 0;

    reader->why = why;
    if (memchr(line, '\0', len)) {
        return why_refuse(why, -EINVAL, "it has a byte of zero; write \\0");
    }
    if (urls->count == URLS_LINES_MAX) {
        return why_refuse(why, -E2BIG, "more than %u requests", URLS_LINES_MAX);
    }
    char *copy = copy_request(line, len);
    int err = copy ? take_request(reader, copy) : why_no_memory(why);
    if (err == 0) {
        err = find_kind(reader, copy, &kind);
    }
    free(copy);
    if (err < 0) {
        return err;
    }
    uint32_t *index =
        request_append(&urls->kind_indices, &urls->count, sizeof(*index));
    if (!index) {
        return why_no_memory(why);
    }
    *index = kind;
    return 0;
}

int urls_parse(const char *text, size_t len, enum request_form form,
               const char *target, struct urls *ret, char *why)
{
    struct request_lines lines = {
        .text = text, .len = len, .is_http = form == REQUEST_HTTP};
    struct reader reader = {.urls = ret, .form = form, .target = target};

    *ret = (struct urls){.count = 0};
    int err = request_lines_each(&lines, add_line, &reader, why);
    free(reader.table);
    if (err == 0 && ret->count == 0) {
        err = why_refuse(why, -EINVAL, "there is no request in it");
    }
    if (err < 0) {
        urls_fini(ret);
    }
    return err;
}

int urls_read(const char *path, enum request_form form, const char *target,
              struct urls *ret, char *why)
{
    char *text = NULL;
    size_t len = 0;

    int err = template_read_file(path, SIZE_MAX, &text, &len);
    if (err < 0) {
        return why_refuse(why, err, "%s", strerror(-err));
    }
    err = urls_parse(text, len, form, target, ret, why);
    free(text);
    return err;
}

uint64_t urls_hash(const struct urls *urls)
{
    uint64_t hash = hash_bytes(HASH_BEGIN, urls->kind_indices,
                               urls->count * sizeof(*urls->kind_indices));

    for (size_t i = 0; i < urls->kind_count; i++) {
        const char *line = urls->kinds[i].line;
        hash = hash_bytes(hash, line, strlen(line) + 1);
    }
    return hash;
}

void urls_fini(struct urls *urls)
{
    for (size_t i = 0; i < urls->kind_count; i++) {
        request_kind_fini(&urls->kinds[i]);
    }
    free(urls->kinds);
    free(urls->kind_indices);
    *urls = (struct urls){.count = 0};
}
