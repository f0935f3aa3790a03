/*
 * An INI file: lines of 'WORD = VALUE', with '[NAME]' before those of a
 * service.
 *
 * ${NAME} in a value stands for a variable of the environment, and
 * ${NAME:-TEXT} for TEXT where there is none, or an empty one.
 *
 * Space around all of these does not count, nor does the carriage return of
 * other systems. A line that begins with ';' or '#' is a comment, and so is the
 * rest of a line behind a space and ';', unless the value stands in quotes.
 *
 * libinih does not read it, because an error here names its line and what was
 * expected. libinih tells its handler neither a line's number nor the begin of
 * a section, and goes on after an error. It cuts names of sections at 49 bytes,
 * refuses lines above the 200 bytes of its build without telling why, takes a
 * line that begins with space for more of the value before, and ends a value in
 * quotes at ' ;'. A function that passes it line after line could refuse all of
 * this, but would have to know sections, quotes and comments: most of this
 * file.
 */
#include "file.h"

#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANK " \t\r\n"

struct reading {
    struct config *config;
    const char *path;
    unsigned line;
    bool has_section;
    char *why;
    unsigned *lines; /* of each word, about what is begun; 0: not said */
};

static bool fail(const struct reading *reading, const char *reason)
{
    snprintf(reading->why, OPTION_WHY_SIZE, "%.200s:%u: %.280s", reading->path,
             reading->line, reason);
    return false;
}

/* The text without the space around it; its end is written. */
static char *trim(char *text)
{
    text += strspn(text, BLANK);
    for (size_t len = strlen(text); len > 0 && strchr(BLANK, text[len - 1]);
         len--) {
        text[len - 1] = '\0';
    }
    return text;
}

/* The value that a line ends with, without quotes or the comment behind it;
 * NULL: a quote lacks its other end. */
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

/* ---- variables of the environment ---- */

/* What stands for the variable between the braces; NULL: it is not set. The
 * name is cut off the text. */
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

/* Writes a value with its variables replaced. */
static bool expand(const struct reading *reading, char *value, FILE *out)
{
    char reason[OPTION_WHY_SIZE];

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
            snprintf(reason, sizeof(reason),
                     "the environment has no variable '%.100s'; "
                     "${%.100s:-TEXT} is TEXT then",
                     value + 2, value + 2);
            return fail(reading, reason);
        }
        fputs(piece, out);
        value = end + 1;
    }
    return true;
}

/* ---- words that are said twice ---- */

/* Where the line of a word is kept. 'check' says two things, a kind and an
 * interval, which has the last place. */
static unsigned *line_of(const struct reading *reading,
                         const struct option *word, const char *value)
{
    const bool is_interval =
        strcmp(word->name, "check") == 0 && value[0] >= '0' && value[0] <= '9';

    return &reading->lines[is_interval ? words.count
                                       : (size_t)(word - words.rows)];
}

/* Something has begun that words of these scopes are about. */
static void forget(struct reading *reading, enum word_scope first)
{
    for (size_t i = 0; i < words.count; i++) {
        if (words.rows[i].scope >= (int)first) {
            reading->lines[i] = 0;
        }
    }
    if (first <= SCOPE_ROUTE) {
        reading->lines[words.count] = 0;
    }
}

static void note_line(struct reading *reading, const struct option *word,
                      const char *value, size_t service_count)
{
    if (reading->config->service_count > service_count) {
        forget(reading, SCOPE_SERVICE);
    } else if (strcmp(word->name, "route") == 0) {
        forget(reading, SCOPE_ROUTE);
    } else if (strcmp(word->name, "to") == 0) {
        forget(reading, SCOPE_TARGET);
    } else if (strcmp(word->name, "cert") == 0) {
        *line_of(reading, words_find("key"), "") = 0;
    }
    *line_of(reading, word, value) = reading->line;
}

static bool begin_section(struct reading *reading, char *text)
{
    struct config *config = reading->config;
    char *end = strchr(text, ']');
    char *behind = end ? trim(end + 1) : NULL;

    if (!behind || (behind[0] && behind[0] != ';')) {
        return fail(reading, "a section is '[NAME]'");
    }
    *end = '\0';
    const char *name = trim(text + 1);
    if (name[0] == '\0') {
        return fail(reading, "a section is '[NAME]'");
    }
    for (size_t i = 0; i < config->service_count; i++) {
        if (config->services[i].name &&
            strcmp(config->services[i].name, name) == 0) {
            return fail(reading, "there is a section of that name already");
        }
    }
    reading->has_section = true;
    forget(reading, SCOPE_SERVICE);
    return config_begin_service(config, name) || fail(reading, "no memory");
}

static bool say_word(struct reading *reading, const char *name,
                     const char *value)
{
    const struct option *word = words_find(name);
    const size_t service_count = reading->config->service_count;
    char reason[OPTION_WHY_SIZE];

    if (word && word->scope != SCOPE_PROGRAM && !reading->has_section) {
        return fail(reading, "this word belongs into a section: [NAME]");
    }
    if (word && word->scope == SCOPE_PROGRAM && reading->has_section) {
        return fail(reading, "this word belongs before the first section");
    }
    if (word && !word->repeats && *line_of(reading, word, value) > 0) {
        snprintf(reason, sizeof(reason), "'%s' was said already, in line %u",
                 word->name, *line_of(reading, word, value));
        return fail(reading, reason);
    }
    if (!words_say(reading->config, name, value, reason)) {
        return fail(reading, reason);
    }
    note_line(reading, word, value, service_count);
    return true;
}

static bool read_line(struct reading *reading, char *line)
{
    static const char mark[] = "\xef\xbb\xbf"; /* with which editors begin */
    const bool is_marked =
        reading->line == 1 && strncmp(line, mark, strlen(mark)) == 0;
    char *text = trim(is_marked ? line + strlen(mark) : line);
    char *equals = strchr(text, '=');

    if (text[0] == '\0' || text[0] == ';' || text[0] == '#') {
        return true;
    }
    if (text[0] == '[') {
        return begin_section(reading, text);
    }
    if (!equals || equals == text) {
        return fail(reading, "neither 'WORD = VALUE' nor '[NAME]'");
    }
    *equals = '\0';
    char *value = read_value(equals + 1);
    char *expanded = NULL;
    size_t size = 0;
    FILE *out = value ? open_memstream(&expanded, &size) : NULL;
    if (!out) {
        return fail(reading,
                    value ? "no memory" : "a quote lacks its other end");
    }
    bool is_good = expand(reading, value, out);
    if (fclose(out) != 0 && is_good) {
        is_good = fail(reading, "no memory");
    }
    is_good = is_good && say_word(reading, trim(text), expanded);
    free(expanded);
    return is_good;
}

bool file_read(struct config *config, const char *path, char *why)
{
    struct reading reading = {
        .config = config,
        .path = path,
        .why = why,
        .lines = calloc(words.count + 1, sizeof(*reading.lines))};
    FILE *file = reading.lines ? fopen(path, "re") : NULL;
    char *line = NULL;
    size_t room = 0;
    bool is_good = file != NULL;
    ssize_t len;

    errno = file ? 0 : errno;
    config->file = path;
    while (is_good && (len = getline(&line, &room, file)) >= 0) {
        reading.line++;
        config->line = reading.line;
        is_good = strlen(line) == (size_t)len
                      ? read_line(&reading, line)
                      : fail(&reading, "a byte of the line is 0");
    }
    if (is_good && ferror(file)) {
        is_good = false;
    }
    if (!file || (!is_good && ferror(file))) {
        snprintf(why, OPTION_WHY_SIZE, "%.300s: %s", path, strerror(errno));
    }
    config->line = 0;
    free(reading.lines);
    free(line);
    if (file) {
        fclose(file);
    }
    return is_good;
}
