/*
 * Each metric has its two lines of comment and then all of its samples, as the
 * format wants them. Each sample has the command, the target of its side and
 * what --label gave, as "label_NAME": so no label of a user is one of these.
 */
#include "prometheus.h"

#include "markup.h"

#include <string.h>

#define NS_PER_SECOND 1e9

/* Where a sample belongs. */
struct place {
    const struct findings *findings;
    FILE *out;
};

/* Bytes that are no characters become "?". */
static void write_quoted(const char *text, FILE *out)
{
    size_t len = strlen(text);

    fputc('"', out);
    while (len > 0) {
        const size_t size = markup_length(text, len);
        if (*text == '\n') {
            fputs("\\n", out);
        } else if (*text == '\\' || *text == '"') {
            fprintf(out, "\\%c", *text);
        } else {
            fprintf(out, "%.*s", size > 0 ? (int)size : 1,
                    size > 0 ? text : "?");
        }
        text += size > 0 ? size : 1;
        len -= size > 0 ? size : 1;
    }
    fputc('"', out);
}

/* A letter of a label's name. */
static char to_letter(char letter)
{
    return (letter >= 'a' && letter <= 'z') ||
                   (letter >= 'A' && letter <= 'Z') ||
                   (letter >= '0' && letter <= '9')
               ? letter
               : '_';
}

static bool is_same_name(const char *one, const char *other)
{
    while (*one != '=' && *other != '=' &&
           to_letter(*one) == to_letter(*other)) {
        one++;
        other++;
    }
    return *one == '=' && *other == '=';
}

/* Of labels with one name the last counts, as in the result. */
static void write_labels(const struct findings *findings, FILE *out)
{
    for (size_t i = 0; i < findings->label_count; i++) {
        const char *label = findings->labels[i];
        bool is_last = true;
        for (size_t j = i + 1; j < findings->label_count; j++) {
            is_last = is_last && !is_same_name(label, findings->labels[j]);
        }
        if (!is_last) {
            continue;
        }
        fputs(",label_", out);
        for (; *label != '='; label++) {
            fputc(to_letter(*label), out);
        }
        fputc('=', out);
        write_quoted(label + 1, out);
    }
}

static void begin(const struct place *place, const char *name, const char *help)
{
    fprintf(place->out,
            "# HELP weir_load_%s %s\n"
            "# TYPE weir_load_%s gauge\n",
            name, help, name);
}

/* A sample with one label more, unless it is NULL. */
static void write_sample(const struct place *place, const char *name,
                         const char *label, const char *label_value,
                         double value)
{
    fprintf(place->out, "weir_load_%s{command=\"%s\"", name,
            place->findings->command);
    if (label) {
        fprintf(place->out, ",%s=", label);
        write_quoted(label_value, place->out);
    }
    write_labels(place->findings, place->out);
    fprintf(place->out, "} %.9g\n", value);
}

/* A sample of a side. */
static void write_side(const struct place *place, const char *name, size_t side,
                       double value)
{
    const struct findings *findings = place->findings;

    fprintf(place->out, "weir_load_%s{command=\"%s\"", name, findings->command);
    if (findings->side_count == 2) {
        fprintf(place->out, ",side=\"%c\"", "AB"[side]);
    }
    fputs(",target=", place->out);
    write_quoted(findings->sides[side], place->out);
    write_labels(findings, place->out);
    fprintf(place->out, "} %.9g\n", value);
}

/* "latency_p99_seconds", "rate" and "error_ratio". */
static void name_figure(const struct finding *figure, char *ret, size_t size)
{
    if (figure->unit == FINDING_TIME) {
        snprintf(ret, size, "latency_%s_seconds", figure->name);
    } else if (figure->unit == FINDING_SHARE) {
        const size_t len = strcspn(figure->name, "_");
        snprintf(ret, size, "%.*s_ratio", (int)len, figure->name);
    } else {
        snprintf(ret, size, "%s", figure->name);
    }
}

static const char *help_of(const struct finding *figure)
{
    switch (figure->unit) {
    case FINDING_TIME:
        return "Latency of answers.";
    case FINDING_RATE:
        return "Answers a second.";
    case FINDING_SHARE:
        return "Errors among attempts, from 0 to 1.";
    default:
        return "A number of requests, with connections that carried none.";
    }
}

static void write_figures(const struct place *place)
{
    const struct findings *findings = place->findings;
    char name[64];

    for (size_t i = 0; i < findings->figure_count; i++) {
        const struct finding *figure = &findings->figures[i];
        const bool is_time = figure->unit == FINDING_TIME;
        if (!figure->is_known) {
            continue;
        }
        name_figure(figure, name, sizeof(name));
        begin(place, name, help_of(figure));
        for (size_t side = 0; side < findings->side_count; side++) {
            write_side(place, name, side,
                       figure->values[side] / (is_time ? NS_PER_SECOND : 1));
        }
    }
}

/* Of a comparison: B over A, minus 1, and the ends of the interval. */
static void write_changes(const struct place *place)
{
    static const struct {
        const char *name;
        const char *help;
    } ends[] = {
        {"change_ratio", "B over A, minus 1."},
        {"change_low_ratio", "Lower end of the interval of the change."},
        {"change_high_ratio", "Upper end of the interval of the change."},
    };
    const struct findings *findings = place->findings;

    for (size_t end = 0; end < 3; end++) {
        bool has_begun = false;
        for (size_t i = 0; i < findings->figure_count; i++) {
            const struct finding *figure = &findings->figures[i];
            const double values[] = {figure->change, figure->low, figure->high};
            if (!figure->is_known || (end > 0 && !figure->has_interval)) {
                continue;
            }
            if (!has_begun) {
                begin(place, ends[end].name, ends[end].help);
                has_begun = true;
            }
            write_sample(place, ends[end].name, "figure", figure->name,
                         values[end]);
        }
    }
}

/* Of each kind of requests. */
static void write_kinds(const struct place *place)
{
    static const struct {
        const char *name;
        const char *help;
        uint32_t share; /* 0: it is a count */
    } metrics[] = {
        {"kind_ok_requests", "Requests of a kind, answered as expected.", 0},
        {"kind_error_requests", "Failed and unanswered ones of a kind.", 0},
        {"kind_p50_seconds", "Median latency of a kind.", 50000},
        {"kind_p95_seconds", "95th percentile of a kind.", 95000},
        {"kind_p99_seconds", "99th percentile of a kind.", 99000},
    };
    const struct findings *findings = place->findings;
    bool is_shown[KINDS_MAX];

    if (findings->kinds) {
        kinds_choose(findings->groups, findings->kinds, is_shown);
    }
    for (size_t i = 0; findings->kinds && i < 5; i++) {
        begin(place, metrics[i].name, metrics[i].help);
        for (size_t k = 0; k < findings->groups->count; k++) {
            const struct kind_record *kind = &findings->kinds[k];
            const struct kind_counts *counts = &kind->counts;
            const uint32_t share = metrics[i].share;
            if (!is_shown[k] && !findings->groups->has_name[k]) {
                continue; /* each would be a series of its own */
            }
            const uint64_t count =
                i == 0 ? counts->ok : counts->failed + counts->timeout;
            if (share == 0 || histogram_can_tell(&kind->latency, share)) {
                write_sample(
                    place, metrics[i].name, "kind", findings->groups->names[k],
                    share == 0
                        ? (double)count
                        : (double)histogram_quantile(&kind->latency, share) /
                              NS_PER_SECOND);
            }
        }
    }
}

static bool is_first(const struct findings *findings, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (strcmp(findings->checks[i].name, findings->checks[index].name) ==
            0) {
            return false;
        }
    }
    return true;
}

void prometheus_write(const struct findings *findings, FILE *out)
{
    const struct place place = {findings, out};

    write_figures(&place);
    write_kinds(&place);
    if (findings->side_count == 2) {
        write_changes(&place);
    }
    begin(&place, "check_passed", "1: the check has passed, 0: it has not.");
    for (size_t i = 0; i < findings->check_count; i++) {
        /* An objective that stands twice is one. */
        if (is_first(findings, i)) {
            write_sample(&place, "check_passed", "check",
                         findings->checks[i].name,
                         findings->checks[i].state == FINDING_PASSED);
        }
    }
    begin(&place, "exit_code", "As weir-load has ended.");
    write_sample(&place, "exit_code", "verdict", findings->verdict,
                 (double)findings->exit);
}
