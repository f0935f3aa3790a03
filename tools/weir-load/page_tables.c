/*
 * A table is a row of the list below: its headings, and the function that
 * writes the rows of one run.
 *
 * An objective was judged when its run ended; here its text is parsed again for
 * the unit of its value alone.
 */
#include "page_tables.h"

#include "markup.h"
#include "plots.h"
#include "tools/common/units.h"

#include <string.h>

#define COLUMNS_MAX 8U

/* Where rows of a table go. The table begins with its first row. */
struct table {
    const char *title;
    const char *remark;
    const char *headings[COLUMNS_MAX]; /* behind #: of a column of numbers */
    FILE *out;
    bool is_begun;
};

static void begin_row(struct table *table, const char *run)
{
    FILE *out = table->out;

    if (!table->is_begun) {
        fprintf(out,
                "<section>\n<h2>%s</h2>\n<p class=\"remark\">%s</p>\n"
                "<div class=\"frame\"><table class=\"text\"><tr><th>Run</th>",
                table->title, table->remark);
        for (size_t i = 0; table->headings[i]; i++) {
            const char *heading = table->headings[i];
            fprintf(out, "<th%s>%s</th>",
                    heading[0] == '#' ? " class=\"number\"" : "",
                    heading + (heading[0] == '#'));
        }
        fputs("</tr>\n", out);
        table->is_begun = true;
    }
    fputs("<tr><td>", out);
    markup_write(run, out);
    fputs("</td>", out);
}

static void write_text(const char *style, const char *text, FILE *out)
{
    fprintf(out, "<td%s>", style);
    markup_write(text ? text : "", out);
    fputs("</td>", out);
}

void page_write_value(const json_t *value, FILE *out)
{
    if (json_is_string(value)) {
        markup_write(json_string_value(value), out);
    } else if (json_is_integer(value)) {
        fprintf(out, "%lld", (long long)json_integer_value(value));
    } else if (json_is_boolean(value)) {
        fputs(json_is_true(value) ? "yes" : "no", out);
    }
}

/* ---- objectives ---- */

/* Its value with its unit, or as little as is known. */
static void write_measured(const char *expr, const json_t *value, FILE *out)
{
    struct slo slo;
    struct slo_error error;
    struct slo_outcome outcome = {
        .known = json_is_number(value),
        .value = json_number_value(value),
    };
    char text[SLO_TEXT_SIZE] = "?";

    if (expr && slo_parse(expr, &slo, &error) == 0 && slo.count == 1) {
        slo_format(&slo.terms[0], &outcome, text);
    }
    write_text("", outcome.known ? text : "not known", out);
}

static void add_objectives(struct table *table, const struct saved *run)
{
    const json_t *list = json_object_get(run->object, "slo");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *term = json_array_get(list, i);
        const char *expr = json_string_value(json_object_get(term, "expr"));
        const json_t *pass = json_object_get(term, "pass");
        begin_row(table, plots_name_of(run));
        write_text(" class=\"name\"", expr, table->out);
        write_measured(expr, json_object_get(term, "value"), table->out);
        fputs(json_is_true(pass) ? "<td class=\"good\">holds</td>"
              : json_is_false(pass)
                  ? "<td class=\"bad name\">does not hold</td>"
                  : "<td>of all parts together</td>",
              table->out);
        fputs("</tr>\n", table->out);
    }
}

/* ---- reasons and warnings ---- */

static void add_remarks(struct table *table, const struct saved *run,
                        const char *member, const char *kind)
{
    const json_t *list = json_object_get(run->object, member);

    for (size_t i = 0; i < json_array_size(list); i++) {
        begin_row(table, plots_name_of(run));
        fputs(kind, table->out);
        write_text("", json_string_value(json_array_get(list, i)), table->out);
        fputs("</tr>\n", table->out);
    }
}

static void add_doubts(struct table *table, const struct saved *run)
{
    add_remarks(table, run, "invalid_reasons",
                "<td class=\"bad name\">invalid</td>");
    add_remarks(table, run, "warnings",
                "<td class=\"doubt name\">warning</td>");
}

/* ---- what was asked, and answered ---- */

static void add_kinds(struct table *table, const struct saved *run)
{
    const json_t *config = json_object_get(run->object, "config");
    const json_t *mix = json_object_get(config, "mix");

    for (size_t i = 0; i < json_array_size(mix); i++) {
        const char *text = json_string_value(json_array_get(mix, i));
        const char *line = text ? text : "";
        const int digits = (int)strspn(line, "0123456789");
        begin_row(table, plots_name_of(run));
        fprintf(table->out, "<td class=\"number\">%.*s</td>", digits, line);
        fputs("<td><code>", table->out);
        markup_write(line + digits + (line[digits] == ' '), table->out);
        fputs("</code></td></tr>\n", table->out);
    }
}

static void write_latency(const struct histogram *h, uint32_t share, FILE *out)
{
    char text[UNITS_TEXT_SIZE];
    const uint64_t ns =
        share == HISTOGRAM_WHOLE ? h->max : histogram_quantile(h, share);
    const bool is_known =
        share == HISTOGRAM_WHOLE ? h->count > 0 : histogram_can_tell(h, share);

    fprintf(out, "<td class=\"number\">%s</td>",
            is_known ? units_format_time(ns, text) : "-");
}

static void add_counts(struct table *table, const struct saved *run)
{
    for (size_t i = 0; i < run->kind_count; i++) {
        const struct saved_kind *kind = &run->kinds[i];
        begin_row(table, plots_name_of(run));
        write_text("", kind->name, table->out);
        fprintf(
            table->out,
            "<td class=\"number\">%llu</td><td class=\"number\">%llu</td>",
            (unsigned long long)kind->counts.ok,
            (unsigned long long)(kind->counts.failed + kind->counts.timeout));
        write_latency(&kind->latency, 50000, table->out);
        write_latency(&kind->latency, 95000, table->out);
        write_latency(&kind->latency, 99000, table->out);
        write_latency(&kind->latency, HISTOGRAM_WHOLE, table->out);
        fputs("</tr>\n", table->out);
    }
}

static void add_statuses(struct table *table, const struct saved *run)
{
    json_t *list = json_object_get(run->object, "status");
    const char *status = NULL;
    const json_t *number = NULL;
    json_int_t sum = 0;

    json_object_foreach(list, status, number)
    {
        sum += json_integer_value(number);
    }
    json_object_foreach(list, status, number)
    {
        begin_row(table, plots_name_of(run));
        write_text("", status, table->out);
        fprintf(table->out, "<td class=\"number\">%lld</td>",
                (long long)json_integer_value(number));
        fprintf(table->out, "<td class=\"number\">%.2f %%</td></tr>\n",
                sum > 0 ? (double)json_integer_value(number) * 100 / (double)sum
                        : 0);
    }
}

static void add_errors(struct table *table, const struct saved *run)
{
    static const struct {
        const char *name;
        const char *begin;
    } members[] = {
        {"phase", "<td>"},
        {"code", "<td>"},
        {"count", "<td class=\"number\">"},
        {"requests", "<td class=\"number\">"},
        {"text", "<td>"},
        {"first", "<td>"},
    };
    const json_t *errors = json_object_get(run->object, "errors");

    for (size_t i = 0; i < json_array_size(errors); i++) {
        begin_row(table, plots_name_of(run));
        for (size_t k = 0; k < sizeof(members) / sizeof(members[0]); k++) {
            fputs(members[k].begin, table->out);
            page_write_value(
                json_object_get(json_array_get(errors, i), members[k].name),
                table->out);
            fputs("</td>", table->out);
        }
        fputs("</tr>\n", table->out);
    }
}

/* ---- the tables ---- */

struct kind {
    struct table table;
    void (*add)(struct table *table, const struct saved *run);
};

static void write_tables(const struct kind *kinds, size_t kind_count,
                         const struct saved *runs, size_t count, FILE *out)
{
    for (size_t k = 0; k < kind_count; k++) {
        struct table table = kinds[k].table;
        table.out = out;
        for (size_t i = 0; i < count; i++) {
            kinds[k].add(&table, &runs[i]);
        }
        if (table.is_begun) {
            fputs("</table></div>\n</section>\n", out);
        }
    }
}

void page_write_judgements(const struct saved *runs, size_t count, FILE *out)
{
    static const struct kind kinds[] = {
        {{.title = "Objectives",
          .remark = "What the runs were to keep (--slo).",
          .headings = {"Objective", "Measured", "Outcome"}},
         add_objectives},
        {{.title = "Doubts and warnings",
          .remark = "An invalid run is not what it seems to be; its figures "
                    "are not to be compared.",
          .headings = {"Kind", "Reason"}},
         add_doubts},
    };

    write_tables(kinds, sizeof(kinds) / sizeof(kinds[0]), runs, count, out);
}

void page_write_answers(const struct saved *runs, size_t count, FILE *out)
{
    static const struct kind kinds[] = {
        {{.title = "Kinds of requests",
          .remark = "How often each of a mix was asked for, beside the others.",
          .headings = {"#Weight", "Request"}},
         add_kinds},
        {{.title = "Answers to each kind",
          .remark = "Response times, in a closed loop service times; those of "
                    "requests that timed out are among them.",
          .headings = {"Request", "#OK", "#Not OK", "#p50", "#p95", "#p99",
                       "#max"}},
         add_counts},
        {{.title = "Statuses",
          .remark = "Of the answers in the measured window.",
          .headings = {"Status", "#Answers", "#Share"}},
         add_statuses},
        {{.title = "Errors",
          .remark = "Of the whole run, with the first one of each kind.",
          .headings = {"Phase", "Code", "#Count", "#Requests lost", "Text",
                       "First"}},
         add_errors},
    };

    write_tables(kinds, sizeof(kinds) / sizeof(kinds[0]), runs, count, out);
}
