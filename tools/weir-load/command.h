/*
 * A command that makes several runs or reads their results (ab, compare,
 * report, search, sweep): the flags that more than one of them has, and the way
 * from the command line to the exit code.
 */
#ifndef WEIR_LOAD_COMMAND_H
#define WEIR_LOAD_COMMAND_H

#include "slo.h"
#include "words.h"

#include <stdint.h>

/* The first member of each command's options. A flag that the command does not
 * have leaves its field as it is. */
struct command {
    bool wants_help;
    bool json;
    /* NULL: standard output. */
    const char *json_path;
    /* The directory of the runs' results, or NULL. */
    const char *save;
    uint64_t seed;
    /* The objectives and their text; NULL: none. */
    struct slo slo;
    const char *slo_text;
    /* What is no flag of the command's own: flags of runs, targets, files. */
    struct words words;
};

words_read_fn command_read_help;
words_read_fn command_read_json;
words_read_fn command_read_save;
words_read_fn command_read_seed;
words_read_fn command_read_slo;

/* Is the text for people printed? Not where JSON takes standard output. */
bool command_prints(const struct command *command);

struct command_kind {
    const char *help;
    const struct words_flag *flags;
    /* Of the options; all of them are 0 before start. */
    size_t size;
    /* Sets what is not 0 unless a flag says so; NULL: nothing. */
    void (*start)(void *options);
    /* Returns the program's exit code. */
    int (*run)(void *options);
};

/* Read the flags, argv from first on, and run; returns the exit code. */
int command_main(const struct command_kind *kind, int argc, char **argv,
                 int first);

#endif
