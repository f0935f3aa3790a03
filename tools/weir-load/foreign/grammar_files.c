/*
 * Files that other tools' command lines name: wrk scripts and vegeta targets.
 * Scripts are not run, so only two forms of Lua are read: assignments of texts
 * to fields of wrk, and pipelined requests as in wrk's example and
 * TechEmpower's.
 */
#include "foreign.h"

#include "tools/weir-load/request/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Reads a whole file as text into the line's buffer. "-" is standard input. */
static char *read_text(struct grammar_line *line, const char *path)
{
    const bool is_input = strcmp(path, "-") == 0;
    char *bytes = NULL;
    size_t len = 0;

    if (is_input && isatty(STDIN_FILENO)) {
        grammar_refuse(line,
                       "targets are read from standard input: echo "
                       "\"GET URL\" | weir-load as %s ...",
                       line->tool->name);
        return NULL;
    }
    if (template_read_file(is_input ? "/dev/stdin" : path, TEMPLATE_SIZE_MAX,
                           &bytes, &len) < 0) {
        grammar_refuse(line, "%s: there is no such file", path);
        return NULL;
    }
    const char *text = grammar_text(line, "%.*s", (int)len, bytes);
    free(bytes);
    return line->refused > 0 ? NULL : (char *)text;
}

struct script {
    struct grammar_line *line;
    char *at;
    bool has_paths; /* its requests are a list of paths without bodies */
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

/* Skips @code if it is next. A blank in @code matches any blanks and
 * comments. */
static bool take_code(struct script *self, const char *code)
{
    char *const begin = self->at;

    for (; *code; code++) {
        if (*code == ' ') {
            skip_blanks(self);
        } else if (*self->at == *code) {
            self->at++;
        } else {
            self->at = begin;
            return false;
        }
    }
    return true;
}

/* Parses a quoted text and decodes it in place. Returns NULL if the text has
 * other Lua syntax. */
static const char *take_text(struct script *self)
{
    static const char escapes[] = "\\\"'nrt";
    static const char bytes[] = "\\\"'\n\r\t";
    const char quote = *self->at;
    char *text = self->at + 1;
    char *to = text;
    char *end = strncmp(self->at, "[[", 2) == 0 ? strstr(self->at, "]]") : NULL;

    if (end) { /* [[...]]: a first line feed is skipped */
        text += 1 + (self->at[2] == '\n');
        self->at = end + 2;
        *end = '\0';
        return text;
    }
    if (quote != '"' && quote != '\'') {
        return NULL;
    }
    for (self->at++; *self->at && *self->at != quote; self->at++) {
        const char *escape =
            *self->at == '\\' ? strchr(escapes, self->at[1]) : NULL;
        if (*self->at == '\n' || (*self->at == '\\' && !(escape && *escape))) {
            return NULL;
        }
        *to++ = escape ? bytes[escape - escapes] : *self->at;
        self->at += escape != NULL;
    }
    if (*self->at != quote) {
        return NULL;
    }
    self->at++;
    *to = '\0';
    return text;
}

/* Parses "= TEXT". Returns NULL unless the statement ends there. */
static const char *take_value(struct script *self)
{
    const char *text = NULL;

    self->at += strspn(self->at, " \t");
    if (*self->at == '=') {
        self->at += 1 + strspn(self->at + 1, " \t");
        text = take_text(self);
        self->at += strspn(self->at, " \t\r");
    }
    return *self->at == '\0' || strchr("\n;", *self->at) ||
                   strncmp(self->at, "--", 2) == 0
               ? text
               : NULL;
}

static bool take_assignment(struct script *self)
{
    struct grammar_line *line = self->line;
    const char *name = NULL;

    if (take_code(self, "wrk.headers [ ")) {
        name = take_text(self);
        const char *value =
            name && take_code(self, " ]") ? take_value(self) : NULL;
        if (value) {
            grammar_say_header(line, name, value);
        }
        return value;
    }
    const bool is_method = take_code(self, "wrk.method");
    if (!is_method && !take_code(self, "wrk.body")) {
        return false;
    }
    const char *value = take_value(self);
    line->kept[is_method ? GRAMMAR_METHOD : GRAMMAR_BODY] = value;
    return value;
}

/* Parses pipelined requests: a list of paths, or a number of requests that is
 * the first argument after the URL. */
static bool take_pipeline(struct script *self)
{
    struct grammar_line *line = self->line;
    const char *paths = "";
    unsigned count = 0;

    if (!take_code(self, "init = function ( args )")) {
        return false;
    }
    take_code(self, " wrk.init ( args )");
    bool has_depth =
        take_code(self, " local depth = tonumber ( args [ 1 ] ) or 1");
    if (!take_code(self, " local r = { }")) {
        return false;
    }
    has_depth |= take_code(self, " local depth = tonumber ( args [ 1 ] ) or 1");
    while (!has_depth && take_code(self, " r [ ")) {
        self->at += strspn(self->at, "0123456789");
        const char *path = take_code(self, " ] = wrk.format ( nil , ")
                               ? take_text(self)
                               : NULL;
        if (!path || strchr(path, '{') || !take_code(self, " )")) {
            return false;
        }
        paths = grammar_text(line, "%s%s\n", paths, path);
        count++;
    }
    if (has_depth &&
        !take_code(self,
                   " for i = 1 , depth do r [ i ] = wrk.format ( ) end")) {
        return false;
    }
    if (has_depth) {
        line->kept[GRAMMAR_DEPTH] = line->word_count > 1 ? line->words[1] : "1";
    } else {
        const char *path = grammar_keep_file(line, paths, strlen(paths));
        self->has_paths = true;
        grammar_say(line, "--urls|%", path ? path : "");
        line->kept[GRAMMAR_DEPTH] = grammar_text(line, "%u", count);
    }
    return (has_depth || count > 0) &&
           take_code(self, " req = table.concat ( r ) end request = function "
                           "( ) return req end");
}

bool grammar_take_script(struct grammar_line *line, const char *path)
{
    struct script script = {.line = line, .at = read_text(line, path)};

    if (!script.at) {
        return false;
    }
    for (skip_blanks(&script); *script.at; skip_blanks(&script)) {
        if (!take_assignment(&script) && !take_pipeline(&script)) {
            return grammar_refuse(
                line,
                "-s %s: of a script wrk.method, wrk.headers and wrk.body are "
                "read, and '%.*s' is more: in a native line requests are -X, "
                "-H and -b, several --mix FILE, what changes {seq} and "
                "{rand:1:100}, and what must hold --expect and --slo",
                path, (int)strcspn(script.at, "\r\n"), script.at);
        }
    }
    if (script.has_paths &&
        (line->kept[GRAMMAR_METHOD] || line->kept[GRAMMAR_BODY])) {
        return grammar_refuse(line,
                              "-s %s: requests that are pipelined are GET "
                              "here; in a native line they are --urls FILE",
                              path);
    }
    return line->refused == 0;
}

static char *find_request(char *at)
{
    for (; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        const size_t len = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-");
        if (len > 0 && strncasecmp(at + len, " http", 5) == 0) {
            return at;
        }
    }
    return NULL;
}

bool grammar_take_targets(struct grammar_line *line, const char *path)
{
    const bool is_input = strcmp(path, "-") == 0;

    line->word_count = 1;
    line->words[0] = "http://127.0.0.1/";
    if (line->is_silent && is_input) {
        return true; /* a suggestion must not consume standard input */
    }
    char *text = read_text(line, path);
    char *request = find_request(text);
    if (!request) {
        return text &&
               grammar_refuse(line, "%s: there is no line GET URL", path);
    }
    const char *url = strchr(request, ' ') + 1;
    const int url_len = (int)strcspn(url, " \t\r\n");
    if (!url[url_len + (int)strspn(url + url_len, "\r\n\t ")]) {
        line->kept[GRAMMAR_METHOD] =
            grammar_text(line, "%.*s", (int)(url - 1 - request), request);
        line->words[0] = grammar_text(line, "%.*s", url_len, url);
        return true;
    }
    if (line->kept[GRAMMAR_BODY_FILE]) {
        return grammar_refuse(line, "-body: write @FILE below each target");
    }
    if (strchr(request, '{')) {
        return grammar_refuse(line, "%s: a native line fills places in braces",
                              path);
    }
    const size_t scheme = strcspn(url, "/") + 2;
    const size_t origin = scheme + strcspn(url + scheme, "/?# \t\r\n");
    line->words[0] = grammar_text(line, "%.*s", (int)origin, url);
    path = is_input ? grammar_keep_file(line, text, strlen(text)) : path;
    grammar_say(line, "--urls|%", path ? path : "");
    return line->refused == 0;
}
