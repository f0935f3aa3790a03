/*
 * A run passes if its exit code is 0, and then all of its checks have passed:
 * the first check is the run itself, the others are its objectives.
 *
 * What is invalid is not a failure of the server, and is told apart.
 */
#include "findings.h"

#include "verdict.h"

#include <stdio.h>

static void add(struct findings *findings, const char *name,
                enum finding_unit unit, bool is_known, double value)
{
    *findings_add_figure(findings) = (struct finding){
        .name = name, .unit = unit, .is_known = is_known, .values = {value}};
}

static void add_figures(struct findings *findings,
                        const struct summary *summary)
{
    double value = 0;

    add(findings, "rate", FINDING_RATE, true, summary->rate);
    for (const struct summary_figure *figure = summary_figures; figure->name;
         figure++) {
        const bool is_known = summary_find(summary, figure, &value);
        add(findings, figure->name, FINDING_TIME, is_known, value);
    }
    add(findings, "attempts", FINDING_COUNT, true, (double)summary->attempts);
    add(findings, "errors", FINDING_COUNT, true, (double)summary->errors);
    const bool has_share = summary_find_error_share(summary, &value);
    add(findings, "error_share", FINDING_SHARE, has_share, value);
}

/* What an exit code says of the run itself. */
static enum finding_state state_of(enum load_exit exit)
{
    switch (exit) {
    case LOAD_OK:
    case LOAD_SLO:
        return FINDING_PASSED;
    case LOAD_NOTHING:
    case LOAD_ERRORS:
        return FINDING_FAILED;
    default:
        return FINDING_BROKEN;
    }
}

static void explain(const struct result *result, struct finding_check *check)
{
    const size_t size = sizeof(check->text);

    switch (result->exit) {
    case LOAD_NOTHING:
        snprintf(check->text, size, "not one request succeeded");
        break;
    case LOAD_ERRORS:
        snprintf(check->text, size,
                 "%llu errors, which is more than --max-errors allows",
                 (unsigned long long)verdict_error_count(result));
        break;
    case LOAD_INTERRUPTED:
        snprintf(check->text, size, "interrupted");
        break;
    case LOAD_INVALID:
        snprintf(check->text, size, "%s", result->invalid.lines[0]);
        break;
    default:
        break;
    }
}

static void add_objectives(struct findings *findings,
                           const struct result *result)
{
    const struct slo *slo = &result->options->slo;
    char text[SLO_TEXT_SIZE];

    for (size_t i = 0; i < slo->count; i++) {
        const struct slo_outcome *outcome = &result->slo[i];
        struct finding_check *check = findings_add_check(
            findings, slo->terms[i].text,
            outcome->passed ? FINDING_PASSED : FINDING_FAILED);
        snprintf(check->text, sizeof(check->text), "%s",
                 slo_format(&slo->terms[i], outcome, text));
    }
}

void findings_of_result(const struct result *result, struct findings *ret)
{
    const struct run_options *options = result->options;
    struct summary summary;

    verdict_summarize(result, &summary);
    *ret = (struct findings){
        .command = "run",
        .verdict = summary.verdict,
        .exit = result->exit,
        .side_count = 1,
        .sides = {options->targets[0].text},
        .run_counts = {1},
        .seconds = (double)result->window_ns / 1e9,
        .label_count = options->label_count,
        .labels = options->labels,
    };
    if (result->kinds && options->groups->count > 1) {
        ret->groups = options->groups;
        ret->kinds = result->kinds;
    }
    add_figures(ret, &summary);
    explain(result, findings_add_check(ret, "valid", state_of(result->exit)));
    add_objectives(ret, result);
    for (size_t i = 0; i < result->invalid.count; i++) {
        ret->notes[ret->note_count++] = result->invalid.lines[i];
    }
    for (size_t i = 0; i < result->warnings.count; i++) {
        ret->notes[ret->note_count++] = result->warnings.lines[i];
    }
}
