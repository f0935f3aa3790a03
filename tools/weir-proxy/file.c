/*
 * libinih splits the lines. It tells a handler neither the number of the line
 * nor where a section begins, so lines are counted where it reads them, and a
 * section begins with the first key that has its name.
 */
#include "file.h"

#include "words.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct config *config;
    const char *path;
    FILE *file;
    unsigned line;
    char *section; /* NULL: before the first one */
    char *why;
    bool has_failed;
};

static bool fail(struct reading *reading, const char *reason)
{
    snprintf(reading->why, CONFIG_WHY_SIZE, "%.200s:%u: %.280s", reading->path,
             reading->line, reason);
    reading->has_failed = true;
    return false;
}

/* Called by libinih for each line. */
static char *read_line(char *text, int size, void *arg)
{
    struct reading *reading = arg;
    char *line = reading->has_failed ? NULL : fgets(text, size, reading->file);

    if (line) {
        reading->line++;
        if (!strchr(line, '\n') && !feof(reading->file)) {
            char reason[64];
            snprintf(reason, sizeof(reason), "a line has more than %d bytes",
                     size - 2);
            fail(reading, reason);
            return NULL;
        }
    }
    return line;
}

static bool begin_section(struct reading *reading, const char *name)
{
    struct config *config = reading->config;

    for (size_t i = 0; i < config->service_count; i++) {
        if (config->services[i].name &&
            strcmp(config->services[i].name, name) == 0) {
            return fail(reading, "there is a section of that name already");
        }
    }
    free(reading->section);
    reading->section = strdup(name);
    if (!reading->section || !config_begin_service(config, name)) {
        return fail(reading, "no memory");
    }
    return true;
}

/* Called by libinih for each key; 0 is its error. */
static int read_key(void *arg, const char *section, const char *name,
                    const char *value)
{
    struct reading *reading = arg;
    char reason[CONFIG_WHY_SIZE];

    if (reading->has_failed) {
        return 0;
    }
    if (section[0] &&
        (!reading->section || strcmp(reading->section, section) != 0)) {
        if (!begin_section(reading, section)) {
            return 0;
        }
    }
    const struct word *word = words_find(name);
    if (word && word->scope != SCOPE_PROGRAM && !reading->section) {
        return fail(reading, "this word belongs into a section: [NAME]");
    }
    if (word && word->scope == SCOPE_PROGRAM && reading->section) {
        return fail(reading, "this word belongs before the first section");
    }
    if (!words_say(reading->config, name, value, reason)) {
        return fail(reading, reason);
    }
    return 1;
}

bool file_read(struct config *config, const char *path, char *why)
{
    struct reading reading = {.config = config, .path = path, .why = why};

    ini_allow_multiline = false;
    reading.file = fopen(path, "re");
    if (!reading.file) {
        snprintf(why, CONFIG_WHY_SIZE, "%.300s: %s", path, strerror(errno));
        return false;
    }
    const int bad_line =
        ini_parse_stream(read_line, &reading, read_key, &reading);
    if (!reading.has_failed && ferror(reading.file)) {
        reading.has_failed = true;
        snprintf(why, CONFIG_WHY_SIZE, "%.300s: %s", path, strerror(errno));
    }
    if (!reading.has_failed && bad_line > 0) {
        reading.line = (unsigned)bad_line;
        fail(&reading, "neither 'WORD = VALUE' nor '[NAME]'");
    }
    fclose(reading.file);
    free(reading.section);
    return !reading.has_failed;
}
