/*
 * The options of run, ab and compare that say which files for a pipeline are
 * written (publish.h).
 *
 * They stand apart, since findings are made of a result, and that has options.
 */
#ifndef WEIR_LOAD_PUBLISH_PATHS_H
#define WEIR_LOAD_PUBLISH_PATHS_H

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

#endif
