/*
 * Texts of a result are written as text and never as HTML, wherever the result
 * came from.
 *
 * Of many runs the first ones are drawn over time, the others only as points of
 * rate against latency: more lines than colors tell nothing.
 */
#include "page.h"

#include "fields.h"
#include "markup.h"
#include "plots.h"
#include "tools/common/units.h"

#include "weir/base.h"

#include <errno.h>
#include <string.h>

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;color:#1f2933;background:#f5f7fa;"
    "margin:0}"
    "main{max-width:1200px;margin:0 auto;padding:24px 16px 64px}"
    "h1{font-size:26px;margin:0 0 2px}h2{font-size:18px;margin:0 0 4px}"
    "section{background:#fff;border:1px solid #d9e2ec;border-radius:8px;"
    "padding:16px 20px;margin:16px 0}"
    ".remark,.sub{color:#52606d;margin:0 0 6px}"
    ".frame{overflow-x:auto}"
    "svg{display:block}"
    "table{border-collapse:collapse;white-space:nowrap}"
    "th,td{padding:4px 14px 4px 0;text-align:right;border-bottom:1px solid "
    "#e4e7eb}th{font-weight:600}"
    "th:first-child,td:first-child{text-align:left}"
    "table.text td,table.text th{text-align:left;white-space:normal;"
    "vertical-align:top}table.text td:first-child{white-space:nowrap}"
    ".good{color:#05734d;font-weight:600}.bad{color:#b42318;font-weight:600}"
    "code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}";

static void write_begin(const char *title, FILE *out)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
          "<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
          out);
    markup_write(title, out);
    fprintf(out, "</title>\n<style>\n%s\n", style);
    plot_write_style(out);
    fputs("</style>\n</head>\n<body>\n<main>\n<h1>", out);
    markup_write(title, out);
    fprintf(out, "</h1>\n<p class=\"sub\">weir-load %s</p>\n", weir_version());
}

static void write_quantile(const struct histogram *h, uint32_t share, FILE *out)
{
    char text[UNITS_TEXT_SIZE];

    fprintf(out, "<td>%s</td>",
            histogram_can_tell(h, share)
                ? units_format_time(histogram_quantile(h, share), text)
                : "&#8211;");
}

/* Does the row of a field go into the cell of the one before it? */
static bool shares_cell(const struct field *field)
{
    return field > fields_ledger && field[-1].cell && field->cell &&
           strcmp(field[-1].cell, field->cell) == 0;
}

static void write_headings(FILE *out)
{
    for (const struct field *field = fields_ledger; field->name; field++) {
        if (field->cell && !shares_cell(field)) {
            fprintf(out, "<th>%s</th>", field->cell);
        }
    }
}

static void write_cells(const struct ledger *requests, FILE *out)
{
    uint64_t sum = 0;

    for (const struct field *field = fields_ledger; field->name; field++) {
        if (field->cell) {
            sum += fields_get(field, requests);
        }
        if (field->cell && !shares_cell(field + 1)) {
            fprintf(out, "<td>%llu</td>", (unsigned long long)sum);
            sum = 0;
        }
    }
}

static void write_summary_row(const struct saved *run, FILE *out)
{
    const struct histogram *h = saved_latency(run);
    bool is_good = strcmp(run->verdict, "VALID") == 0;
    const char *arrival = json_string_value(
        json_object_get(json_object_get(run->object, "model"), "arrival"));
    char text[UNITS_TEXT_SIZE];

    fputs("<tr><td>", out);
    markup_write(run->name, out);
    fprintf(out, "</td><td>%s ", run->is_open ? "open" : "closed");
    markup_write(arrival ? arrival : "", out);
    fputs("</td>", out);
    if (run->is_open) {
        fprintf(out, "<td>%.1f</td>", run->offered_rate);
    } else {
        fputs("<td>&#8211;</td>", out);
    }
    fprintf(out, "<td>%.1f</td>", run->achieved_rate);
    write_cells(&run->requests, out);
    write_quantile(h, 50000, out);
    write_quantile(h, 90000, out);
    write_quantile(h, 99000, out);
    write_quantile(h, 99900, out);
    fprintf(out, "<td>%s</td><td class=\"%s\">",
            h->count ? units_format_time(h->max, text) : "&#8211;",
            is_good ? "good" : "bad");
    markup_write(run->verdict, out);
    fputs("</td></tr>\n", out);
}

static void write_summary(const struct saved *runs, size_t count, FILE *out)
{
    fputs("<section>\n<h2>Runs</h2>\n<p class=\"remark\">Rates are requests a "
          "second. Latencies are from the time that a request was meant to be "
          "sent (open loop), or from its actual send (closed loop, which hides "
          "the waiting that a stalled server causes).</p>\n"
          "<div class=\"frame\"><table><tr><th>Run</th><th>Loop</th>"
          "<th>Offered</th><th>Achieved</th>",
          out);
    write_headings(out);
    fputs("<th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th>"
          "<th>Verdict</th></tr>\n",
          out);
    for (size_t i = 0; i < count; i++) {
        write_summary_row(&runs[i], out);
    }
    fputs("</table></div>\n", out);
    for (size_t i = 0; i < count; i++) {
        const json_t *reasons =
            json_object_get(runs[i].object, "invalid_reasons");
        for (size_t k = 0; k < json_array_size(reasons); k++) {
            fputs("<p class=\"bad\">", out);
            markup_write(runs[i].name, out);
            fputs(": ", out);
            const char *text = json_string_value(json_array_get(reasons, k));
            markup_write(text ? text : "", out);
            fputs("</p>\n", out);
        }
    }
    fputs("</section>\n", out);
}

/* A member's text, number or truth. */
static void write_value(const json_t *value, FILE *out)
{
    if (json_is_string(value)) {
        markup_write(json_string_value(value), out);
    } else if (json_is_integer(value)) {
        fprintf(out, "%lld", (long long)json_integer_value(value));
    } else if (json_is_boolean(value)) {
        fputs(json_is_true(value) ? "yes" : "no", out);
    }
}

static const struct {
    const char *name;
    const char *heading;
} error_members[] = {
    {"phase", "Phase"}, {"code", "Code"},
    {"count", "Count"}, {"requests", "Requests lost"},
    {"text", "Text"},   {"first", "First"},
};

#define ERROR_MEMBERS (sizeof(error_members) / sizeof(error_members[0]))

static void begin_errors(FILE *out)
{
    fputs("<section>\n<h2>Errors</h2>\n<div class=\"frame\">"
          "<table class=\"text\"><tr><th>Run</th>",
          out);
    for (size_t i = 0; i < ERROR_MEMBERS; i++) {
        fprintf(out, "<th>%s</th>", error_members[i].heading);
    }
    fputs("</tr>\n", out);
}

static void write_errors(const struct saved *runs, size_t count, FILE *out)
{
    bool is_begun = false;

    for (size_t i = 0; i < count; i++) {
        const json_t *errors = json_object_get(runs[i].object, "errors");
        for (size_t k = 0; k < json_array_size(errors); k++) {
            if (!is_begun) {
                begin_errors(out);
                is_begun = true;
            }
            fputs("<tr><td>", out);
            markup_write(runs[i].name, out);
            for (size_t n = 0; n < ERROR_MEMBERS; n++) {
                fputs("</td><td>", out);
                write_value(json_object_get(json_array_get(errors, k),
                                            error_members[n].name),
                            out);
            }
            fputs("</td></tr>\n", out);
        }
    }
    if (is_begun) {
        fputs("</table></div>\n</section>\n", out);
    }
}

static void write_command(const struct saved *run, FILE *out)
{
    const json_t *words = json_object_get(run->object, "command");

    fputs("<tr><td>command</td><td><code>", out);
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        markup_write(i ? " " : "", out);
        markup_write(word ? word : "", out);
    }
    fputs("</code></td></tr>\n", out);
}

static void write_environment(const struct saved *runs, size_t count, FILE *out)
{
    static const char *const names[] = {
        "host",   "cpu_model", "cpus",         "cpus_allowed", "governor",
        "kernel", "machine",   "same_machine", "weir",
    };

    fputs("<section>\n<h2>Environment</h2>\n", out);
    for (size_t i = 0; i < count; i++) {
        const json_t *env = json_object_get(runs[i].object, "env");
        fputs("<table class=\"text\"><tr><th>", out);
        markup_write(runs[i].name, out);
        fputs("</th><th></th></tr>\n<tr><td>start</td><td>", out);
        write_value(json_object_get(runs[i].object, "start"), out);
        fputs("</td></tr>\n", out);
        write_command(&runs[i], out);
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            fprintf(out, "<tr><td>%s</td><td>", names[k]);
            write_value(json_object_get(env, names[k]), out);
            fputs("</td></tr>\n", out);
        }
        fputs("</table>\n<br>\n", out);
    }
    fputs("</section>\n", out);
}

static int write_plot(void *arg, const char *name, const struct plot *plot)
{
    FILE *out = arg;

    (void)name;
    fputs("<section>\n<h2>", out);
    markup_write(plot->title, out);
    fputs("</h2>\n", out);
    if (plot->remark[0]) {
        fputs("<p class=\"remark\">", out);
        markup_write(plot->remark, out);
        fputs("</p>\n", out);
    }
    if (plot_is_drawn(plot)) {
        fprintf(out,
                "<div class=\"frame\"><svg role=\"img\" width=\"%u\" "
                "height=\"%u\" viewBox=\"0 0 %u %u\"><title>",
                plot->width, plot->height, plot->width, plot->height);
        markup_write(plot->title, out);
        fputs("</title>\n", out);
        plot_draw(plot, out);
        fputs("</svg></div>\n", out);
    }
    fputs("</section>\n", out);
    return 0;
}

int page_write(const struct saved *runs, size_t count, const char *title,
               FILE *out)
{
    const struct plots_sink sink = {.take = write_plot, .arg = out};

    write_begin(title, out);
    write_summary(runs, count, out);
    int err = plots_make(runs, count, &sink);
    write_errors(runs, count, out);
    write_environment(runs, count, out);
    fputs("</main>\n</body>\n</html>\n", out);
    if (err == 0 && (fflush(out) != 0 || ferror(out))) {
        err = errno ? -errno : -EIO;
    }
    return err;
}
