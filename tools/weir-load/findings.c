/*
 * The lists of findings, which have an end that no caller reaches, and the
 * texts of their values.
 *
 * Those of a run are made in findings_run.c, those of a comparison in
 * comparison.c.
 */
#include "findings.h"

#include "tools/common/units.h"

#include <assert.h>
#include <stdio.h>

struct finding *findings_add_figure(struct findings *findings)
{
    assert(findings->figure_count < FINDINGS_FIGURES_MAX);
    return &findings->figures[findings->figure_count++];
}

struct finding_check *findings_add_check(struct findings *findings,
                                         const char *name,
                                         enum finding_state state)
{
    assert(findings->check_count < FINDINGS_CHECKS_MAX);
    struct finding_check *check = &findings->checks[findings->check_count++];
    *check = (struct finding_check){.name = name, .state = state};
    return check;
}

const char *finding_format(const struct finding *figure, size_t side, char *buf)
{
    const double value = figure->values[side];

    if (!figure->is_known) {
        snprintf(buf, UNITS_TEXT_SIZE, "-");
        return buf;
    }
    switch (figure->unit) {
    case FINDING_TIME:
        return units_format_time((uint64_t)value, buf);
    case FINDING_SHARE:
        snprintf(buf, UNITS_TEXT_SIZE, "%.4g%%", value * 100);
        return buf;
    case FINDING_COUNT:
        snprintf(buf, UNITS_TEXT_SIZE, "%.0f", value);
        return buf;
    default:
        snprintf(buf, UNITS_TEXT_SIZE, "%.*f/s", value < 100 ? 1 : 0, value);
        return buf;
    }
}
