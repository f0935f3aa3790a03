/*
 * Configuration file: INI, with the directives of words.h as keys.
 *
 *     threads = 2
 *     include = more.ini
 *     [defaults]
 *     check = 2s
 *     [targets replicas]
 *     to = tcp://10.0.0.1:5432
 *     to = tcp://10.0.0.2:5432
 *     weight = 2
 *     [database]
 *     listen = tcp://:5432
 *     to = @replicas
 *
 * Lines before the first section apply to the program. A section other than
 * [defaults] and [targets NAME] is a service with the section's name
 * (sections.h). The order of lines matters, like the order of flags.
 */
#ifndef WEIR_PROXY_FILE_H
#define WEIR_PROXY_FILE_H

#include "config.h"

enum line_kind {
    LINE_FILE,     /* start of a file, or its rest after an include */
    LINE_SERVICE,  /* start of a section */
    LINE_DEFAULTS, /* [defaults] */
    LINE_TARGETS,  /* [targets NAME] */
    LINE_WORD,
};

struct line {
    enum line_kind kind;
    unsigned number; /* for config_place() */
    char *name;      /* key, or the text of a section between its brackets */
    char *value;     /* also the name of a service, or of a group of targets */
};

struct lines {
    struct line *all;
    size_t count;
};

/* Reads a file, and those that it includes, into @config. Returns false with
 * the file's name, the line and the reason in @why. */
bool file_read(struct config *config, const char *path, char *why);

/* Like file_read(), for all files that match a pattern. */
bool file_read_all(struct config *config, const char *pattern, char *why);

#endif
