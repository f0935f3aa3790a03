/*
 * Runs at different loads, one line each: the steps of search and the points of
 * sweep.
 *
 * A step is a run of its own (child.h) with a flag for the load behind the
 * words of all; objectives are judged from its result.
 */
#ifndef WEIR_LOAD_STEPS_H
#define WEIR_LOAD_STEPS_H

#include "child.h"
#include "command.h"

#include "weir/loop.h"

#define STEPS_MAX      200U
#define STEPS_WHY_SIZE 192U

struct step {
    /* Requests a second, or connections. */
    uint64_t load;
    uint64_t duration_ns;
    double achieved_rate;
    /* 0: too few values. */
    uint64_t p50_ns;
    uint64_t p99_ns;
    uint64_t max_ns;
    uint64_t offered;
    uint64_t ok;
    bool passed;
    /* Why not; or, without objectives, why its figures are to be doubted. */
    char why[STEPS_WHY_SIZE];
};

struct steps {
    weir_loop *loop;
    /* "-R" or "-c". */
    const char *flag;
    /* Whose words each run has; without objectives a valid run passes. */
    const struct command *command;
    size_t count;
    struct step list[STEPS_MAX];
};

/* The line above the steps. */
void steps_print_header(const struct steps *steps);

/* Make a step and print it: it, or NULL with *ret_err, after a line unless that
 * is -ECANCELED. A duration of 0 is that of the words. */
const struct step *steps_measure(struct steps *steps, uint64_t load,
                                 uint64_t duration_ns, int *ret_err);

/* How many requests of a run failed, and of which kind the most are. */
void steps_tell_failure(const struct saved *saved, char *why);

/* Say that no request of the run with these words succeeded, and why. */
void steps_say_none(const struct words *words, const char *failure);

/* Has any request of any of them succeeded? */
bool steps_have_answers(const struct steps *steps);

/* All of them as JSON. */
json_t *steps_json(const struct steps *steps);

#endif
