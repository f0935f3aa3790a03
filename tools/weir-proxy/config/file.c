/*
 * An INI file: lines of 'WORD = VALUE', and '[NAME]' before the lines of a
 * service. ${NAME} in a value is replaced by an environment variable, and
 * ${NAME:-TEXT} by TEXT if the variable is unset or empty.
 *
 * All lines, including those of included files, are read before the first one
 * is applied, because a section may be used before it is defined.
 *
 * Surrounding space and a carriage return at the end are ignored. A line that
 * begins with ';' or '#' is a comment, and so is the rest of a line after a
 * space and ';', unless the value is in quotes.
 *
 * libinih is not used: it passes its handler no line numbers and no start of a
 * section, continues after an error, cuts section names at 49 bytes, and
 * refuses lines above 200 bytes without a reason.
 */
#include "file.h"

#include "sections.h"
#include "tools/common/console.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLANK " \t\r\n"

/* Maximum depth of includes, and maximum number of files. */
#define DEPTH_MAX 8
#define FILES_MAX 1000

struct reading {
    struct config *config;
    struct arena arena; /* of @lines */
    struct lines lines;
    char *why;
    unsigned depth;
    unsigned file_count;
    bool in_section;
};

static bool refuse_memory(const struct reading *reading)
{
    return config_refuse(reading->config, reading->why, "no memory");
}

static bool add_line(struct reading *reading, enum line_kind kind,
                     const char *name, const char *value)
{
    struct arena *arena = &reading->arena;
    const struct line line = {.kind = kind,
                              .number = reading->config->line,
                              .name = arena_copy_text(arena, name),
                              .value = arena_copy_text(arena, value)};

    return (line.name && line.value &&
            arena_add(arena, &reading->lines.all, &reading->lines.count, &line,
                      sizeof(line))) ||
           refuse_memory(reading);
}

static char *trim(char *text)
{
    text += strspn(text, BLANK);
    for (size_t len = strlen(text); len > 0 && strchr(BLANK, text[len - 1]);
         len--) {
        text[len - 1] = '\0';
    }
    return text;
}

/* Removes the quotes and the comment. Returns NULL if a quote is not closed or
 * other text follows it. */
static char *read_value(char *text)
{
    text = trim(text);
    if (text[0] == '"') {
        char *end = strchr(text + 1, '"');
        if (!end || (end[1] && (!strchr(BLANK, end[1]) ||
                                end[1 + strspn(end + 1, BLANK)] != ';'))) {
            return NULL;
        }
        *end = '\0';
        return text + 1;
    }
    for (char *at = strchr(text, ';'); at; at = strchr(at + 1, ';')) {
        if (at == text || strchr(BLANK, at[-1])) {
            *at = '\0';
            return trim(text);
        }
    }
    return text;
}

/* ---- environment variables ---- */

/* Returns the replacement for the text between the braces, or NULL if the
 * variable is unset. Cuts the default off the text. */
static const char *find_variable(char *text)
{
    char *other = strstr(text, ":-");

    if (other) {
        *other = '\0';
        other += 2;
    }
    const char *value = getenv(text);
    return other && (!value || value[0] == '\0') ? other : value;
}

static bool expand(const struct reading *reading, char *value, FILE *out)
{
    while (*value) {
        char *end =
            value[0] == '$' && value[1] == '{' ? strchr(value, '}') : NULL;
        if (!end) {
            fputc(*value++, out);
            continue;
        }
        *end = '\0';
        const char *piece = find_variable(value + 2);
        if (!piece) {
            return config_refuse(reading->config, reading->why,
                                 "the environment has no variable '%.60s'; "
                                 "${%.60s:-TEXT} is TEXT then",
                                 value + 2, value + 2);
        }
        fputs(piece, out);
        value = end + 1;
    }
    return true;
}

static bool read_section(struct reading *reading, char *text)
{
    static const char targets[] = "targets";
    char *end = strchr(text, ']');
    const char *behind = end ? trim(end + 1) : "";

    if (end) {
        *end = '\0';
    }
    char *name = trim(text + 1);
    if (!end || (behind[0] && behind[0] != ';') || name[0] == '\0') {
        return config_refuse(reading->config, reading->why,
                             "write a section as '[NAME]'");
    }
    reading->in_section = true;
    const bool is_group = strncmp(name, targets, strlen(targets)) == 0 &&
                          strchr(BLANK, name[strlen(targets)]);
    return add_line(reading,
                    is_group                        ? LINE_TARGETS
                    : strcmp(name, "defaults") == 0 ? LINE_DEFAULTS
                                                    : LINE_SERVICE,
                    name, is_group ? trim(name + strlen(targets)) : name);
}

static bool include(struct reading *reading, const char *value);

static bool read_word(struct reading *reading, const char *name, char *value)
{
    char *expanded = NULL;
    size_t size = 0;
    FILE *out = value ? open_memstream(&expanded, &size) : NULL;

    if (!out) {
        return config_refuse(reading->config, reading->why, "%s",
                             value ? "no memory"
                                   : "a quote lacks its other end");
    }
    bool is_good = expand(reading, value, out);
    if (fclose(out) != 0 && is_good) {
        is_good = refuse_memory(reading);
    }
    if (is_good && strcmp(name, "include") == 0) {
        is_good = include(reading, expanded);
    } else if (is_good) {
        is_good = add_line(reading, LINE_WORD, name, expanded);
    }
    free(expanded);
    return is_good;
}

static bool read_line(struct reading *reading, char *line, bool is_first)
{
    static const char mark[] = "\xef\xbb\xbf"; /* UTF-8 byte order mark */
    const bool is_marked = is_first && strncmp(line, mark, strlen(mark)) == 0;
    char *text = trim(is_marked ? line + strlen(mark) : line);
    char *equals = strchr(text, '=');

    if (text[0] == '\0' || text[0] == ';' || text[0] == '#') {
        return true;
    }
    if (text[0] == '[') {
        return read_section(reading, text);
    }
    if (!equals || equals == text) {
        return config_refuse(reading->config, reading->why,
                             "write 'KEY = VALUE' or '[NAME]'");
    }
    *equals = '\0';
    char *value = read_value(equals + 1);
    return read_word(reading, trim(text), value);
}

static bool begin_part(struct reading *reading, const char *path, unsigned line)
{
    reading->in_section = false;
    return (config_begin_part(reading->config, path, line) ||
            refuse_memory(reading)) &&
           add_line(reading, LINE_FILE, "", "");
}

static bool read_lines(struct reading *reading, const char *path, FILE *file)
{
    struct config *config = reading->config;
    bool is_good = begin_part(reading, path, 1);
    char *text = NULL;
    size_t room = 0;
    ssize_t len;

    for (unsigned i = 1; is_good && (len = getline(&text, &room, file)) >= 0;
         i++) {
        const size_t part_count = config->part_count;
        config->line = ++config->line_count;
        is_good = strlen(text) == (size_t)len
                      ? read_line(reading, text, i == 1)
                      : config_refuse(reading->config, reading->why,
                                      "the line has a zero byte");
        if (is_good && config->part_count > part_count) {
            is_good = begin_part(reading, path, i + 1);
        }
    }
    if (is_good && !feof(file)) { /* getline() also fails if out of memory */
        is_good = config_refuse(reading->config, reading->why, "%.180s: %.60s",
                                path, strerror(errno));
    }
    free(text);
    return is_good;
}

/* An error of opening the file names the line that includes it. */
static bool read_file(struct reading *reading, const char *path)
{
    if (reading->depth == DEPTH_MAX || reading->file_count == FILES_MAX) {
        return config_refuse(
            reading->config, reading->why, "more than %d files%s",
            reading->depth == DEPTH_MAX ? DEPTH_MAX : FILES_MAX,
            reading->depth == DEPTH_MAX ? " include each other" : "");
    }
    FILE *file = fopen(path, "re");
    if (!file) {
        return config_refuse(reading->config, reading->why, "%.180s: %.60s",
                             path, strerror(errno));
    }
    reading->depth++;
    reading->file_count++;
    const bool is_good = read_lines(reading, path, file);
    reading->depth--;
    fclose(file);
    return is_good;
}

#define PATTERN_SIZE 1024

/* Writes a pattern for glob(), with the folder's special characters escaped. */
static void escape(const char *folder, size_t folder_len, const char *names,
                   char *ret)
{
    for (size_t i = 0; i < folder_len; i++) {
        if (strchr("*?[\\", folder[i])) {
            *ret++ = '\\';
        }
        *ret++ = folder[i];
    }
    strcpy(ret, names);
}

/* Records the folder for the sandbox: matching files may be created later. */
static bool note_folder(const struct reading *reading, const char *path,
                        const char *names)
{
    char folder[PATTERN_SIZE];
    const size_t len = strlen(path) - strlen(names) + strcspn(names, "*?[");
    const char *slash = memrchr(path, '/', len);

    snprintf(folder, sizeof(folder), "%.*s",
             slash ? (int)(slash - path) + (slash == path) : 1,
             slash ? path : ".");
    return access(folder, F_OK) < 0 ||
           config_add_text(&reading->config->arena, &reading->config->folders,
                           folder) ||
           refuse_memory(reading);
}

/* Reads the files that match a pattern. @folder ends with a slash, or has no
 * bytes. A pattern without special characters must match a file. */
static bool read_all(struct reading *reading, const char *folder,
                     size_t folder_len, const char *names)
{
    char path[PATTERN_SIZE];
    char escaped[2 * PATTERN_SIZE];
    glob_t found = {.gl_pathc = 0};
    const int len =
        snprintf(path, sizeof(path), "%.*s%s", (int)folder_len, folder, names);

    if ((size_t)len >= sizeof(path)) {
        return config_refuse(reading->config, reading->why,
                             "include: too long");
    }
    if (!strpbrk(names, "*?[")) {
        return read_file(reading, path);
    }
    escape(folder, folder_len, names, escaped);
    const int err = glob(escaped, GLOB_ERR, NULL, &found);
    bool is_good = err == 0 || err == GLOB_NOMATCH;
    if (!is_good) {
        config_refuse(reading->config, reading->why, "%.180s: %s", path,
                      err == GLOB_NOSPACE ? "no memory"
                                          : "the folder cannot be read");
    } else if (err == GLOB_NOMATCH) {
        say("warning: there is no file '%.200s'", path);
    }
    is_good = is_good && note_folder(reading, path, names);
    for (size_t i = 0; is_good && i < found.gl_pathc; i++) {
        is_good = read_file(reading, found.gl_pathv[i]);
    }
    globfree(&found);
    return is_good;
}

/* Includes files; a relative pattern is relative to the including file. */
static bool include(struct reading *reading, const char *value)
{
    const struct config *config = reading->config;
    const char *own = config->parts[config->part_count - 1].path;
    const char *slash = value[0] == '/' ? NULL : strrchr(own, '/');

    if (reading->in_section) {
        return config_refuse(
            reading->config, reading->why,
            "include: this directive must precede the first section");
    }
    if (value[0] == '\0') {
        return config_refuse(reading->config, reading->why,
                             "include: it needs a value");
    }
    return read_all(reading, own, slash ? (size_t)(slash - own) + 1 : 0, value);
}

static bool read_and_say(struct config *config, const char *path,
                         bool is_pattern, char *why)
{
    struct reading reading = {.config = config, .why = why};

    config->line = 0;
    config->file = NULL; /* errors of opening the file contain its path */
    bool is_good = is_pattern ? read_all(&reading, "", 0, path)
                              : read_file(&reading, path);
    config->file = path;
    is_good = is_good && sections_say(config, &reading.lines, why);
    config->line = 0;
    arena_free(&reading.arena);
    return is_good;
}

bool file_read(struct config *config, const char *path, char *why)
{
    return read_and_say(config, path, false, why);
}

bool file_read_all(struct config *config, const char *pattern, char *why)
{
    return read_and_say(config, pattern, true, why);
}
