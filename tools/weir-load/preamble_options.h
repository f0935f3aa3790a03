/*
 * The options of a run that are of its preamble: their rows, and what they mean
 * beside the others.
 *
 * They stand apart from the rest of the rows, as the preamble does.
 */
#ifndef WEIR_LOAD_PREAMBLE_OPTIONS_H
#define WEIR_LOAD_PREAMBLE_OPTIONS_H

#include "options.h"

bool preamble_read_request(void *options, const struct option *option,
                           const char *value, char *why);
bool preamble_read_capture(void *options, const struct option *option,
                           const char *value, char *why);

/* With all options read, and the mode known. False: a line has said why. */
bool preamble_settle(struct run_options *options);

#define PREAMBLE_ROWS(type, member)                                            \
    {"preamble",                                                               \
     0,                                                                        \
     "TEXT",                                                                   \
     "once on each connection, before the rest: METHOD /PATH BODY, other "     \
     "protocols: RULE begin:TEXT REQUEST, or @FILE with such lines; may be "   \
     "repeated",                                                               \
     .read = preamble_read_request,                                            \
     .repeats = true,                                                          \
     .mark = offsetof(struct type, member.preamble) + 1},                      \
    {                                                                          \
        "capture", 0, "NAME=WHAT",                                             \
            "out of the answer to the --preamble before it, for {NAME} in "    \
            "requests behind: json:a.b[0].c, header:NAME or cookie:NAME; may " \
            "be repeated",                                                     \
            .read = preamble_read_capture, .repeats = true,                    \
            .mark = offsetof(struct type, member.capture) + 1                  \
    }

#endif
