/*
 * The options of run, ab and compare for files of a CI pipeline (publish.h).
 * They are not in publish.h because it needs results, which need the
 * options.
 */
#ifndef WEIR_LOAD_PUBLISH_PATHS_H
#define WEIR_LOAD_PUBLISH_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#define PUBLISH_FORMATS 3U

/* Paths as given; "-" is standard output, NULL means no file. */
struct publish_paths {
    const char *markdown;
    const char *junit;
    const char *prometheus;
};

#define PUBLISH_ROWS(type, member)                                             \
    {"markdown",                                                               \
     0,                                                                        \
     "FILE",                                                                   \
     "write a page for a pull request or a job's summary; -: standard output", \
     .kind = OPTION_TEXT,                                                      \
     .offset = offsetof(struct type, member.markdown)},                        \
        {"junit",                                                              \
         0,                                                                    \
         "FILE",                                                               \
         "write the checks as the tests of a pipeline",                        \
         .kind = OPTION_TEXT,                                                  \
         .offset = offsetof(struct type, member.junit)},                       \
    {                                                                          \
        "prometheus", 0, "FILE", "write figures as Prometheus reads them",     \
            .kind = OPTION_TEXT,                                               \
            .offset = offsetof(struct type, member.prometheus)                 \
    }

/* Checks that at most one file is standard output, and none if option @taken
 * uses it. @taken may be NULL. Returns false after printing an error. */
bool publish_check(const struct publish_paths *paths, const char *taken);

/* Gets the option and the path of a format. Returns false after the last. */
bool publish_list(const struct publish_paths *paths, size_t index,
                  const char **ret_flag, const char **ret_path);

#endif
