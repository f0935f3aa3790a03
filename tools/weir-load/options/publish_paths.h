/*
 * The options of run, ab and compare that say which files for a pipeline are
 * written (publish.h).
 *
 * They stand apart, since findings are made of a result, and that has options.
 */
#ifndef WEIR_LOAD_PUBLISH_PATHS_H
#define WEIR_LOAD_PUBLISH_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#define PUBLISH_FORMATS 3U

/* As given; "-" is standard output, NULL: it is not written. */
struct publish_paths {
    const char *markdown;
    const char *junit;
    const char *prometheus;
};

/* The rows of these; MEMBER names the member of the options. */
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

/* Does at most one of them go to standard output, if it is not taken? @taken is
 * the flag that has it, or NULL. False after a line. */
bool publish_check(const struct publish_paths *paths, const char *taken);

/* The flag of a format, and its path; false behind the last. */
bool publish_list(const struct publish_paths *paths, size_t index,
                  const char **ret_flag, const char **ret_path);

#endif
