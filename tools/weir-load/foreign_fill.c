/*
 * Lua is read only as far as scripts go that assign texts to fields of wrk, one
 * a line: everything else makes a script one that has to be run.
 *
 * Files that are long, or are not as the tools have them, add nothing.
 */
#include "foreign_fill.h"

#include "request_kind.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILE_MAX 16384U

/* Reads a whole file; false: it is too long, empty, or none. */
static bool read_file(const char *path, char text[FILE_MAX])
{
    FILE *file = fopen(path, "r");

    if (!file) {
        return false;
    }
    const size_t len = fread(text, 1, FILE_MAX, file);
    fclose(file);
    if (len == 0 || len == FILE_MAX || memchr(text, '\0', len)) {
        return false;
    }
    text[len] = '\0';
    return true;
}

/* ---- scripts of wrk ---- */

struct script {
    char *at;
    const char *method;
    const char *body;
    /* "NAME: VALUE" */
    char fields[16][256];
    size_t field_count;
};

static void skip_blanks(struct script *self)
{
    for (;;) {
        self->at += strspn(self->at, " \t\r\n;");
        if (strncmp(self->at, "--", 2) != 0 ||
            strncmp(self->at, "--[[", 4) == 0) {
            return;
        }
        self->at += strcspn(self->at, "\n");
    }
}

static bool take(struct script *self, const char *word)
{
    const size_t len = strlen(word);

    if (strncmp(self->at, word, len) != 0) {
        return false;
    }
    self->at += len;
    return true;
}

/* A text in quotes, which is cut out of the file where it stands; NULL: it is
 * none, or has more of Lua in it. */
static const char *take_text(struct script *self)
{
    const char quote = *self->at;
    char *text = self->at + 1;
    char *to = text;

    if (quote != '"' && quote != '\'') {
        return NULL;
    }
    for (self->at++; *self->at && *self->at != quote; self->at++) {
        if (*self->at == '\n' ||
            (*self->at == '\\' && !strchr("\\\"'", self->at[1]))) {
            return NULL;
        }
        self->at += *self->at == '\\';
        *to++ = *self->at;
    }
    if (*self->at != quote) {
        return NULL;
    }
    self->at++;
    *to = '\0';
    return text;
}

/* "= TEXT" up to the end of its line. */
static const char *take_value(struct script *self)
{
    self->at += strspn(self->at, " \t");
    if (!take(self, "=")) {
        return NULL;
    }
    self->at += strspn(self->at, " \t");
    const char *text = take_text(self);
    self->at += strspn(self->at, " \t\r;");
    return *self->at == '\n' || *self->at == '\0' ||
                   strncmp(self->at, "--", 2) == 0
               ? text
               : NULL;
}

/* ["NAME"] = TEXT */
static bool take_field(struct script *self)
{
    const char *name = NULL;

    if (self->field_count == sizeof(self->fields) / sizeof(self->fields[0]) ||
        !take(self, "[") || !(name = take_text(self)) || !take(self, "]")) {
        return false;
    }
    const char *value = take_value(self);
    return value &&
           snprintf(self->fields[self->field_count++], sizeof(self->fields[0]),
                    "%s: %s", name, value) < (int)sizeof(self->fields[0]);
}

static bool take_assignment(struct script *self)
{
    if (take(self, "wrk.headers")) {
        return take_field(self);
    }
    if (take(self, "wrk.method")) {
        self->method = take_value(self);
        return self->method;
    }
    if (take(self, "wrk.body")) {
        self->body = take_value(self);
        return self->body && self->body[0] != '@';
    }
    return false;
}

bool foreign_fill_script(struct reword *line, const char *value,
                         char *const *words)
{
    static char text[FILE_MAX];
    struct script script = {.at = text};

    (void)words;
    if (!read_file(value, text)) {
        return false;
    }
    for (skip_blanks(&script); *script.at; skip_blanks(&script)) {
        if (!take_assignment(&script)) {
            return false;
        }
    }
    if (script.method || script.body) {
        reword_keep(line, "-X");
        reword_keep(line, script.method ? script.method : "GET");
    }
    for (size_t i = 0; i < script.field_count; i++) {
        reword_keep(line, "-H");
        reword_keep(line, script.fields[i]);
    }
    if (script.body) {
        reword_keep(line, "-b");
        reword_keep(line, script.body);
    }
    return true;
}

/* ---- lists of URLs ---- */

/* The length of the scheme and the authority of a URL; 0: it is none. */
static size_t origin_size(const char *url)
{
    const size_t scheme = strncasecmp(url, "http://", 7) == 0    ? 7
                          : strncasecmp(url, "https://", 8) == 0 ? 8
                                                                 : 0;

    return scheme > 0 ? scheme + strcspn(url + scheme, "/?# \t\r\n") : 0;
}

/* The URL of "http://h/p" or "GET http://h/p", or NULL. */
static const char *find_url(const char *line)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ-";

    line += strspn(line, " \t");
    const size_t method_len = strspn(line, letters);
    line += method_len + strspn(line + method_len, " \t");
    return origin_size(line) > 0 ? line : NULL;
}

bool foreign_fill_list(struct reword *line, const char *value,
                       char *const *words)
{
    static char text[FILE_MAX];
    const char *first = NULL;
    char origin[512];

    (void)words;
    if (!read_file(value, text)) {
        return false;
    }
    for (char *at = strtok(text, "\r\n"); at; at = strtok(NULL, "\r\n")) {
        if (at[0] == '#' || request_kind_goes_on(at, strlen(at))) {
            continue;
        }
        const char *url = find_url(at);
        const size_t len = url ? origin_size(url) : 0;
        if (!url || len >= sizeof(origin) || (url[len] && url[len] != '/') ||
            strpbrk(url + len, " \t#")) {
            return false;
        }
        if (first &&
            (origin_size(first) != len || strncmp(first, url, len) != 0)) {
            return false; /* several hosts */
        }
        first = first ? first : url;
    }
    if (!first) {
        return false;
    }
    reword_write(line, "--urls|%s", value);
    snprintf(origin, sizeof(origin), "%.*s", (int)origin_size(first), first);
    reword_keep(line, origin);
    return true;
}

/* ---- siege ---- */

/* The number of users: -cN, -c N, --concurrent=N. 0: it is not there. */
static unsigned long long find_users(char *const *words)
{
    static const char *const flags[] = {"--concurrent=", "-c"};

    for (; *words; words++) {
        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
            const size_t len = strlen(flags[i]);
            if (strncmp(*words, flags[i], len) == 0) {
                const char *number =
                    (*words)[len] == '\0' ? words[1] : *words + len;
                return number ? strtoull(number, NULL, 10) : 0;
            }
        }
    }
    return 0;
}

bool foreign_fill_repetitions(struct reword *line, const char *value,
                              char *const *words)
{
    const unsigned long long users = find_users(words);
    const unsigned long long times = strtoull(value, NULL, 10);
    char count[32];

    if (users == 0 || users > 1000000 || times == 0 || times > 1000000000) {
        return false;
    }
    snprintf(count, sizeof(count), "%llu", users * times);
    reword_keep(line, "-n");
    reword_keep(line, count);
    return true;
}

bool foreign_fill_target(struct reword *line, const char *value,
                         char *const *words)
{
    const size_t url_len = strcspn(value, " ");
    const char *method = value + url_len + strspn(value + url_len, " ");
    const size_t method_len = strcspn(method, " ");
    const char *body = method + method_len + strspn(method + method_len, " ");
    char url[1024];
    char word[16];

    (void)words;
    if (url_len >= sizeof(url) || method_len == 0 ||
        method_len >= sizeof(word)) {
        return false;
    }
    snprintf(url, sizeof(url), "%.*s", (int)url_len, value);
    snprintf(word, sizeof(word), "%.*s", (int)method_len, method);
    reword_keep(line, "-X");
    reword_keep(line, word);
    if (*body == '<') { /* a file */
        reword_write(line, "-b|@%s", body + 1 + strspn(body + 1, " "));
    } else if (*body) {
        reword_keep(line, "-b");
        reword_keep(line, body);
    }
    reword_keep(line, url);
    return true;
}
