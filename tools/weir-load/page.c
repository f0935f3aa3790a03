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
#include "page_tables.h"
#include "plots.h"
#include "tools/common/units.h"

#include "weir/base.h"

#include <errno.h>
#include <string.h>

/* On paper nothing scrolls: plots and tables are as wide as the sheet. */
static const char style[] =
    ":root{color-scheme:light dark;--text:#1f2933;--soft:#52606d;"
    "--back:#f5f7fa;--card:#fff;--edge:#d9e2ec;--rule:#e4e7eb;--axis:#7b8794;"
    "--good:#05734d;--bad:#b42318;--doubt:#8a5300}\n"
    "@media(prefers-color-scheme:dark){:root{--text:#e4e7eb;--soft:#a8b3bf;"
    "--back:#14181d;--card:#1d232a;--edge:#36414c;--rule:#323c46;"
    "--axis:#7b8794;--good:#4ade9f;--bad:#ff8a7d;--doubt:#f5b75c}}\n"
    "@media print{:root{color-scheme:light;--text:#000;--soft:#444;"
    "--back:#fff;--card:#fff;--edge:#bbb;--rule:#ddd;--axis:#777;"
    "--good:#05734d;--bad:#b42318;--doubt:#8a5300}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--text);"
    "background:var(--back);margin:0}"
    "main{max-width:1200px;margin:0 auto;padding:24px 16px 64px}"
    "h1{font-size:26px;margin:0 0 2px;overflow-wrap:anywhere}"
    "h2{font-size:18px;margin:0 0 4px;overflow-wrap:anywhere}"
    "section{background:var(--card);border:1px solid var(--edge);"
    "border-radius:8px;padding:16px 20px;margin:16px 0}"
    ".remark,.sub{color:var(--soft);margin:0 0 6px}"
    ".frame{overflow-x:auto}"
    "svg{display:block}"
    "table{border-collapse:collapse;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}"
    "th,td{padding:4px 14px 4px 0;text-align:right;border-bottom:1px solid "
    "var(--rule)}th{font-weight:600}"
    "th:first-child,td:first-child{text-align:left}"
    "table.text td,table.text th{text-align:left;white-space:normal;"
    "vertical-align:top}table.text td:first-child,table.text .name{"
    "white-space:nowrap}table.text .number{text-align:right;"
    "white-space:nowrap}"
    ".good{color:var(--good);font-weight:600}.bad{color:var(--bad);"
    "font-weight:600}.doubt{color:var(--doubt);font-weight:600}"
    "code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}\n"
    "@media(max-width:640px){main{padding:12px 8px 32px}"
    "section{padding:12px;border-radius:6px}table.text td:first-child{"
    "white-space:normal;overflow-wrap:break-word;min-width:6em}}\n"
    "@media print{@page{margin:12mm}body{font-size:10.5px}"
    "main{max-width:none;padding:0}section{border:0;padding:0;"
    "margin:0 0 18px}h1{font-size:20px}h2{font-size:14px}"
    "h2,.remark{break-after:avoid}tr,.plot{break-inside:avoid}"
    ".frame{overflow:visible}svg{max-width:100%;height:auto}"
    "table{white-space:normal}th,td{padding:3px 8px 3px 0}"
    "code{font-size:10px}}\n";

/* Behind the style of the plots, which is for a light page. */
static const char plot_style[] =
    "svg text{fill:var(--soft)}svg .label{fill:var(--text)}"
    "svg .grid{stroke:var(--rule)}svg .axis{stroke:var(--axis)}\n";

/* Of lines and marks on a dark page. */
static const char *const dark_colors[] = {
    "#60a5fa", "#f87171", "#34d399", "#fbbf24",
    "#a78bfa", "#22d3ee", "#f472b6", "#a3e635",
};

static void write_style(FILE *out)
{
    fprintf(out, "<style>\n%s", style);
    plot_write_style(out);
    fputs(plot_style, out);
    fputs("@media screen and (prefers-color-scheme:dark){", out);
    for (size_t i = 0; i < sizeof(dark_colors) / sizeof(dark_colors[0]); i++) {
        fprintf(out, "svg .line.c%zu{stroke:%s}svg .mark.c%zu{fill:%s}", i,
                dark_colors[i], i, dark_colors[i]);
    }
    fputs("}\n</style>\n", out);
}

static void write_begin(const char *title, FILE *out)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
          "<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
          out);
    markup_write(title, out);
    fputs("</title>\n", out);
    write_style(out);
    fputs("</head>\n<body>\n<main>\n<h1>", out);
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
    markup_write(plots_name_of(run), out);
    fprintf(out, "</td><td class=\"%s\">", is_good ? "good" : "bad");
    markup_write(run->verdict, out);
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
    fprintf(out, "<td>%s</td></tr>\n",
            h->count ? units_format_time(h->max, text) : "&#8211;");
}

static void write_summary(const struct saved *runs, size_t count, FILE *out)
{
    fputs("<section>\n<h2>Runs</h2>\n<p class=\"remark\">Rates are requests a "
          "second. Latencies are from the time that a request was meant to be "
          "sent (open loop), or from its actual send (closed loop, which hides "
          "the waiting that a stalled server causes).</p>\n"
          "<div class=\"frame\"><table><tr><th>Run</th>"
          "<th>Verdict</th><th>Loop</th>"
          "<th>Offered</th><th>Achieved</th>",
          out);
    write_headings(out);
    fputs("<th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th>"
          "</tr>\n",
          out);
    for (size_t i = 0; i < count; i++) {
        write_summary_row(&runs[i], out);
    }
    fputs("</table></div>\n</section>\n", out);
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
        fputs("<div class=\"frame\"><table class=\"text\"><tr><th>", out);
        markup_write(runs[i].name, out);
        fputs("</th><th></th></tr>\n<tr><td>start</td><td>", out);
        page_write_value(json_object_get(runs[i].object, "start"), out);
        fputs("</td></tr>\n", out);
        write_command(&runs[i], out);
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            fprintf(out, "<tr><td>%s</td><td>", names[k]);
            page_write_value(json_object_get(env, names[k]), out);
            fputs("</td></tr>\n", out);
        }
        fputs("</table></div>\n<br>\n", out);
    }
    fputs("</section>\n", out);
}

static int write_plot(void *arg, const char *name, const struct plot *plot)
{
    FILE *out = arg;

    (void)name;
    fputs("<section class=\"plot\">\n<h2>", out);
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
    page_write_judgements(runs, count, out);
    page_write_answers(runs, count, out);
    int err = plots_make(runs, count, &sink);
    write_environment(runs, count, out);
    fputs("</main>\n</body>\n</html>\n", out);
    if (err == 0 && (fflush(out) != 0 || ferror(out))) {
        err = errno ? -errno : -EIO;
    }
    return err;
}
