/*
 * The requests that each connection sends before all others, from options and
 * from files. A capture belongs to the last request before it. A file is read
 * only once, because it may be a pipe. Captures from files own copies of their
 * texts.
 */
#include "request.h"

#include "tools/weir-load/base/base.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char capture_word[] = "capture";

/* Files of the command line. The paths are in argv. */
static struct file {
    const char *path;
    char *text;
    size_t len;
    int err;
} files[PREAMBLE_WORDS_MAX];

static size_t file_count;

/* Returns a file, read at its first use. Returns NULL if there are too many
 * files. */
static const struct file *find_file(const char *path)
{
    for (size_t i = 0; i < file_count; i++) {
        if (strcmp(files[i].path, path) == 0) {
            return &files[i];
        }
    }
    if (file_count == PREAMBLE_WORDS_MAX) {
        return NULL;
    }
    struct file *file = &files[file_count++];
    *file = (struct file){.path = path};
    file->err =
        template_read_file(path, TEMPLATE_SIZE_MAX, &file->text, &file->len);
    return file;
}

/* Returns the value of option @name in argv[at] or argv[at + 1]. Returns NULL
 * if argv[at] is another argument. */
static const char *find_value(int argc, char **argv, int at, const char *name)
{
    const char *word = argv[at];
    const size_t len = strlen(name);

    if (word[0] != '-') {
        return NULL;
    }
    word += word[1] == '-' ? 2 : 1;
    if (strncmp(word, name, len) != 0) {
        return NULL;
    }
    if (word[len] == '=') {
        return word + len + 1;
    }
    return word[len] == '\0' && at + 1 < argc ? argv[at + 1] : NULL;
}

static const char *find_capture(const char *line, size_t len, size_t *ret_len)
{
    size_t at = sizeof(capture_word) - 1;

    while (at < len && is_blank(line[at])) {
        at++;
    }
    while (len > at && (is_blank(line[len - 1]) || line[len - 1] == '\r')) {
        len--;
    }
    *ret_len = len - at;
    return line + at;
}

static void note_capture(const char *text, size_t len)
{
    const char *equals = memchr(text, '=', len);

    if (equals) {
        (void)template_add_name(text, (size_t)(equals - text));
    }
}

static void note_captures_of_file(const char *path)
{
    const struct file *file = find_file(path);
    struct request_lines lines = {.text = file ? file->text : NULL,
                                  .len = file ? file->len : 0};
    const char *line = NULL;
    size_t len = 0;

    while ((line = request_lines_next(&lines, &len))) {
        if (request_lines_is(line, len, capture_word)) {
            size_t capture_len = 0;
            const char *capture = find_capture(line, len, &capture_len);
            note_capture(capture, capture_len);
        }
    }
}

void preamble_find_names(int argc, char **argv, int first)
{
    for (int i = first; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *capture = find_value(argc, argv, i, "capture");
        const char *preamble = find_value(argc, argv, i, "preamble");
        if (capture) {
            note_capture(capture, strlen(capture));
        }
        if (preamble && preamble[0] == '@') {
            note_captures_of_file(preamble + 1);
        }
    }
}

const char *preamble_find_text(char **argv, int at)
{
    const char *text = find_value(at + 1, argv, at, "preamble");

    if (text || at == 0) {
        return text;
    }
    text = find_value(at + 1, argv, at - 1, "preamble");
    return text == argv[at] ? text : NULL;
}

const char *preamble_find_secret(char **argv, int at)
{
    const char *text = preamble_find_text(argv, at);

    return text && text[0] != '@' ? text : NULL;
}

static int add_capture(struct preamble *self, const char *text, bool is_http,
                       char *why)
{
    if (self->line_count == 0) {
        return why_refuse(
            why, -EINVAL,
            "'%.100s': there is no --preamble before it whose answer has "
            "the value",
            text);
    }
    if (self->capture_count == PREAMBLE_CAPTURES_MAX) {
        return why_refuse(why, -E2BIG, "more than %u captures",
                          PREAMBLE_CAPTURES_MAX);
    }
    const int err =
        capture_parse(text, &self->captures[self->capture_count], why);
    if (err == 0 && !is_http &&
        self->captures[self->capture_count].kind != CAPTURE_JSON) {
        return why_refuse(
            why, -EINVAL,
            "'%.100s': headers and cookies are HTTP's; other answers have "
            "json:PATH",
            text);
    }
    if (err == 0) {
        self->capture_count++;
        self->lines[self->line_count - 1].capture_count++;
    }
    return err;
}

static int add_request(struct preamble *self, const char *text, size_t len,
                       bool is_http, char *why)
{
    if (self->line_count == PREAMBLE_LINES_MAX) {
        return why_refuse(why, -E2BIG, "more than %u requests",
                          PREAMBLE_LINES_MAX);
    }
    struct preamble_line *line = &self->lines[self->line_count];
    *line = (struct preamble_line){.first_capture = self->capture_count};
    char *words = request_kind_keep(&line->kind, text, len);
    if (!words) {
        return why_no_memory(why);
    }
    self->line_count++;
    return request_kind_read(&line->kind, words,
                             is_http ? REQUEST_HTTP : REQUEST_SCRIPT, why);
}

struct reader {
    struct preamble *preamble;
    bool is_http;
};

static int add_file_line(void *to, const char *line, size_t len, char *why)
{
    const struct reader *reader = to;

    if (!request_lines_is(line, len, capture_word)) {
        return add_request(reader->preamble, line, len, reader->is_http, why);
    }
    size_t capture_len = 0;
    const char *capture = find_capture(line, len, &capture_len);
    char *copy = strndup(capture, capture_len); /* the capture owns it */
    if (!copy) {
        return why_no_memory(why);
    }
    const int err = add_capture(reader->preamble, copy, reader->is_http, why);
    if (err < 0) {
        free(copy);
    }
    return err;
}

static int add_file(struct preamble *self, const char *path, bool is_http,
                    char *why)
{
    char line_why[WHY_SIZE] = "";
    const struct file *file = find_file(path);
    struct reader reader = {.preamble = self, .is_http = is_http};
    int err = file ? file->err : -E2BIG;

    if (err < 0) {
        return why_refuse(why, err, "%.200s: %s", path, strerror(-err));
    }
    if (file->len > 0 && memchr(file->text, '\0', file->len)) {
        return why_refuse(why, -EINVAL, "%.200s: it has a byte of zero", path);
    }
    struct request_lines lines = {.text = file->text,
                                  .len = file->len,
                                  .is_http = is_http,
                                  .single = capture_word};
    err = request_lines_each(&lines, add_file_line, &reader, line_why);
    return err < 0 ? why_refuse(why, err, "%.200s: %s", path, line_why) : 0;
}

int preamble_read(const struct preamble_words *words, bool is_http,
                  struct preamble *ret, char *why)
{
    int err = 0;

    *ret = (struct preamble){.line_count = 0};
    for (size_t i = 0; i < words->count && err == 0; i++) {
        const char *text = words->list[i].text;
        char word_why[WHY_SIZE] = "";
        if (words->list[i].is_capture) {
            err = add_capture(ret, text, is_http, word_why);
        } else if (text[0] == '@') {
            err = add_file(ret, text + 1, is_http, word_why);
        } else {
            err = add_request(ret, text, strlen(text), is_http, word_why);
        }
        if (err < 0) {
            why_refuse(why, err, "--%s: %s",
                       words->list[i].is_capture ? "capture" : "preamble",
                       word_why);
        }
    }
    if (err == 0 && ret->line_count == 0) {
        err = why_refuse(why, -EINVAL, "--preamble: there is no request");
    }
    return err;
}

const char *preamble_find_early(const struct preamble *preamble, size_t line,
                                const char *text)
{
    for (size_t i = 0; i < template_count_names(); i++) {
        char place[TEMPLATE_NAME_SIZE + 2];
        bool is_known = false;
        snprintf(place, sizeof(place), "{%s}", template_name(i));
        for (size_t k = 0; k < preamble->lines[line].first_capture; k++) {
            is_known |= preamble->captures[k].number == i;
        }
        if (!is_known && text && strstr(text, place)) {
            return template_name(i);
        }
    }
    return NULL;
}

static uint64_t hash_line(uint64_t hash, const char *text)
{
    return hash_bytes(hash_bytes(hash, text, strlen(text)), "\n", 1);
}

uint64_t preamble_hash(const struct preamble *preamble)
{
    uint64_t hash = HASH_BEGIN;

    for (size_t i = 0; i < preamble->line_count; i++) {
        hash = hash_line(hash, preamble->lines[i].kind.line);
    }
    for (size_t i = 0; i < preamble->capture_count; i++) {
        hash = hash_line(hash, preamble->captures[i].text);
    }
    return hash;
}
