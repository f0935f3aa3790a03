/*
 * What a run, or a comparison of runs, has found out, for people and programs
 * that look at one page of it: figures of one or of two sides, the checks that
 * they had to pass, and what is worth a line.
 *
 * The formats (markdown.h, junit.h, prometheus.h) walk this and know neither a
 * result nor a comparison.
 */
#ifndef WEIR_LOAD_FINDINGS_H
#define WEIR_LOAD_FINDINGS_H

#include "exits.h"
#include "kinds.h"
#include "result.h"
#include "slo.h"

#define FINDINGS_FIGURES_MAX 16U
#define FINDINGS_CHECKS_MAX  (SLO_TERMS_MAX + 1U)
#define FINDINGS_NOTES_MAX   (2U * RESULT_REMARKS_MAX)
#define FINDINGS_TEXT_SIZE   RESULT_REMARK_SIZE

enum finding_unit {
    FINDING_RATE,  /* a second */
    FINDING_TIME,  /* nanoseconds */
    FINDING_SHARE, /* of 1 */
    FINDING_COUNT,
};

struct finding {
    const char *name; /* of letters, digits and underscores */
    enum finding_unit unit;
    /* Is it known of all sides? */
    bool is_known;
    double values[2];
    /* Of two sides: B over A, minus 1, and its interval. */
    double change;
    bool has_interval;
    double low;
    double high;
    const char *verdict;
};

enum finding_state {
    FINDING_PASSED,
    FINDING_FAILED,
    /* It could not be found out, which does not pass. */
    FINDING_BROKEN,
    /* Likewise, but that was allowed. */
    FINDING_SKIPPED,
};

struct finding_check {
    const char *name;
    enum finding_state state;
    char text[FINDINGS_TEXT_SIZE];
};

/* All texts are borrowed. */
struct findings {
    const char *command; /* "run", "ab" or "compare" */
    const char *verdict;
    enum load_exit exit;
    size_t side_count;    /* 1 or 2 */
    const char *sides[2]; /* the targets, or the files */
    size_t run_counts[2];
    double seconds; /* that were measured; of a comparison 0 */
    /* Of intervals, and changes up to which there is no difference; of a
     * comparison. */
    double level;
    double margin;
    size_t figure_count;
    struct finding figures[FINDINGS_FIGURES_MAX];
    size_t check_count;
    struct finding_check checks[FINDINGS_CHECKS_MAX];
    /* Of a run whose requests are of several kinds; else NULL. */
    const struct kinds *groups;
    const struct kind_record *kinds;
    size_t note_count;
    const char *notes[FINDINGS_NOTES_MAX];
    /* "NAME=VALUE" */
    size_t label_count;
    const char *const *labels;
};

/* Those of a run that was judged; borrowed from the result. */
void findings_of_result(const struct result *result, struct findings *ret);

/* Room for another one; there is some. */
struct finding *findings_add_figure(struct findings *findings);
struct finding_check *findings_add_check(struct findings *findings,
                                         const char *name,
                                         enum finding_state state);

/* A value as people write it; returns buf, which has UNITS_TEXT_SIZE bytes. */
const char *finding_format(const struct finding *figure, size_t side,
                           char *buf);

#endif
