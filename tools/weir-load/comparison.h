/*
 * Two sets of runs, A and B, side by side: each figure with its change, the
 * interval of that, and a verdict; one figure decides.
 *
 * It gets results and gives text or JSON; it makes no run.
 */
#ifndef WEIR_LOAD_COMPARISON_H
#define WEIR_LOAD_COMPARISON_H

#include "command.h"
#include "exits.h"
#include "publish.h"
#include "saved.h"
#include "statistics.h"

#include <stdio.h>

#define COMPARISON_FIGURES 7U

/* The options of ab and compare begin with these. */
struct comparison_options {
    struct command command;
    /* Changes up to this share are none. */
    double margin;
    /* The figure that decides, an index of comparison_metrics. */
    int metric;
    bool force;
    /* --undecided: runs from which nothing can be told pass; and until when,
     * from the begin, more of them are made, 0: none are. */
    bool undecided_passes;
    uint64_t until_ns;
    struct publish_paths publish;
};

struct comparison {
    /* Run i of A was made beside run i of B. */
    bool is_paired;
    /* How often the runs are looked at, at most, to decide whether more are
     * needed; at least 1. Intervals are wider by that, so that all looks
     * together err as one would. */
    unsigned looks;
    const char *command; /* "ab" or "compare" */
    /* Why not all runs were made, for the files of a pipeline; NULL: they
     * were. */
    const char *cut;
    const char *names[2];
    size_t counts[2];
    /* By figure, side and run; 0 is not known. */
    double values[COMPARISON_FIGURES][2][STATISTICS_RUNS_MAX];
    struct publish publish;
};

/* The figures; ends with NULL. */
extern const char *const comparison_metrics[COMPARISON_FIGURES + 1];

/* The rows that both have; the texts are the command's. */
#define COMPARISON_ROWS(force_text, undecided_value, undecided_text)           \
    {"margin",                                                                 \
     0,                                                                        \
     "P%",                                                                     \
     "changes up to this are none",                                            \
     .kind = OPTION_SHARE,                                                     \
     .least = 1,                                                               \
     .most = 1000000,                                                          \
     .initial = "5%",                                                          \
     .offset = offsetof(struct comparison_options, margin)},                   \
        {"metric",                                                             \
         0,                                                                    \
         "NAME",                                                               \
         "what decides: rate, p50, p90, p99, p99.9, mean or cpu-rate, the "    \
         "rate for a second of client CPU",                                    \
         .kind = OPTION_CHOICE,                                                \
         .choices = comparison_metrics,                                        \
         .initial = "p50",                                                     \
         .offset = offsetof(struct comparison_options, metric)},               \
        {"force",                                                              \
         0,                                                                    \
         NULL,                                                                 \
         force_text,                                                           \
         .kind = OPTION_SWITCH,                                                \
         .offset = offsetof(struct comparison_options, force)},                \
        {"undecided", 0, undecided_value, undecided_text,                      \
         .read = comparison_read_undecided},                                   \
        PUBLISH_ROWS(comparison_options, publish)

option_read_fn comparison_read_undecided;

/* Do the options go together? False after a line. */
bool comparison_check(const struct comparison_options *options);

/* Open the files for a pipeline; false after a line. */
bool comparison_open(struct comparison *comparison,
                     const struct comparison_options *options);

/* A run of a side (0 or 1), of which there are fewer than STATISTICS_RUNS_MAX.
 */
void comparison_add(struct comparison *comparison, size_t side,
                    const struct saved *saved);

/* Can nothing be told from the runs until now? This is a look at them. */
bool comparison_is_undecided(const struct comparison *comparison,
                             const struct comparison_options *options);

/* Print, as text or as the options say, and write the files for a pipeline.
 * LOAD_OK when B is as good as A or better, LOAD_SLO when it is worse,
 * LOAD_INVALID when that cannot be told. */
enum load_exit comparison_finish(struct comparison *comparison,
                                 const struct comparison_options *options);

/* There is nothing to print, as a run failed: the files for a pipeline say so,
 * with the exit code and the reason. False after a line. */
bool comparison_give_up(struct comparison *comparison, enum load_exit exit,
                        const char *why);

/* Ends what was opened and not written. */
void comparison_drop(struct comparison *comparison);

#endif
