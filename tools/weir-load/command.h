/*
 * A command that makes several runs or reads their results (ab, compare,
 * report, search, sweep): the options that more than one of them has, and the
 * way from the command line to the exit code.
 *
 * What is an option of `weir-load run` is passed on to the runs, with the
 * targets behind it.
 */
#ifndef WEIR_LOAD_COMMAND_H
#define WEIR_LOAD_COMMAND_H

#include "slo.h"
#include "tools/common/option.h"

#include <stdint.h>

#define WORDS_MAX 512U

/* Words of a command line. */
struct words {
    size_t count;
    const char *list[WORDS_MAX];
};

/* False after a line that there are too many. */
bool words_append(struct words *words, const char *word);

/* The first member of each command's options. An option that the command does
 * not have leaves its field as it is. */
struct command {
    bool json;
    const char *json_path; /* NULL: standard output */
    const char *save;      /* the directory of the runs' results, or NULL */
    uint64_t seed;
    struct slo slo; /* the objectives and their text; NULL: none */
    const char *slo_text;
    struct words words;        /* options of runs, then targets; or files */
    struct option_list passed; /* options of runs */
};

/* The rows of these. */
#define COMMAND_JSON(text)                                                     \
    {                                                                          \
        "json", 'j', "[=FILE]", text, .read = command_read_json                \
    }
#define COMMAND_SAVE                                                           \
    {                                                                          \
        "save", 0, "DIR", "write each run's result into this directory",       \
            .kind = OPTION_TEXT, .offset = offsetof(struct command, save)      \
    }
#define COMMAND_SEED(text)                                                     \
    {                                                                          \
        "seed", 0, "N", text, .kind = OPTION_COUNT,                            \
                              .offset = offsetof(struct command, seed)         \
    }
#define COMMAND_SLO(text)                                                      \
    {                                                                          \
        "slo", 0, "EXPR", text, .read = command_read_slo                       \
    }

option_read_fn command_read_json;
option_read_fn command_read_slo;

/* Do the words for runs say --data-order once? Each run would begin with the
 * first row again. A line says so, by the name of the command. */
bool command_refuses_once(const struct words *words, const char *name);

/* For the sets of options: takes a word, and what is passed on to runs. */
bool command_take_word(void *options, const char *text, char *why);
bool command_pass(void *options, const struct option *option, const char *word,
                  char *why);

/* Is the text for people printed? Not where JSON takes standard output. */
bool command_prints(const struct command *command);

struct command_kind {
    const struct option_set *set;
    /* Of the options; all of them are 0 before the initial values. */
    size_t size;
    /* Sets what depends on more than rows can say; NULL: nothing. */
    void (*start)(void *options);
    /* Returns the program's exit code. */
    int (*run)(void *options);
};

/* Read the options, argv from first on, and run; returns the exit code. */
int command_main(const struct command_kind *kind, int argc, char **argv,
                 int first);

#endif
