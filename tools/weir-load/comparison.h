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
};

struct comparison {
    /* Run i of A was made beside run i of B. */
    bool is_paired;
    const char *names[2];
    size_t counts[2];
    /* By figure, side and run; 0 is not known. */
    double values[COMPARISON_FIGURES][2][STATISTICS_RUNS_MAX];
};

/* The figures; ends with NULL. */
extern const char *const comparison_metrics[COMPARISON_FIGURES + 1];

/* The rows of --margin, --metric and --force, whose text is the command's. */
#define COMPARISON_ROWS(force_text)                                            \
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
    {                                                                          \
        "force", 0, NULL, force_text,                                          \
            .kind = OPTION_SWITCH,                                             \
            .offset = offsetof(struct comparison_options, force)               \
    }

/* A run of a side (0 or 1), of which there are fewer than STATISTICS_RUNS_MAX.
 */
void comparison_add(struct comparison *comparison, size_t side,
                    const struct saved *saved);

/* Print, as text or as the options say. LOAD_OK when B is as good as A or
 * better, LOAD_SLO when it is worse, LOAD_INVALID when that cannot be told. */
enum load_exit comparison_finish(const struct comparison *comparison,
                                 const struct comparison_options *options);

#endif
