/*
 * Lines are drawn over the grid. The legend is text above the plot, where it
 * hides nothing; it is broken into rows no wider than the page, so that it is
 * seen whole where a wide plot scrolls. Colors are the classes c0 to c7, those
 * of a heat map h0 to h7.
 */
#include "plot.h"

#include "markup.h"

#include <stdlib.h>
#include <string.h>

#define HEIGHT 340U
#define LEFT   86U
#define RIGHT  24U
#define TOP    14U
#define BOTTOM 52U
#define COLORS 8U

/* Of the legend: a row, the mark before a name, the gap behind it, and about
 * as much as a wide letter takes. */
#define ROW_HEIGHT   22U
#define MARK_WIDTH   30U
#define GAP_WIDTH    14U
#define LETTER_WIDTH 8U

static const char style[] =
    "svg{font:12px system-ui,sans-serif}"
    "svg text{fill:#52606d}svg .label{font-size:13px;fill:#1f2933}"
    "svg .grid{stroke:#e4e7eb;fill:none}svg .axis{stroke:#7b8794;fill:none}"
    "svg .line{fill:none;stroke-width:2;stroke-linejoin:round}"
    "svg .dashed{stroke-dasharray:6 5}"
    "svg .cell{shape-rendering:crispEdges}\n";

static const char *const colors[COLORS] = {
    "#2563eb", "#dc2626", "#059669", "#d97706",
    "#7c3aed", "#0891b2", "#be185d", "#4d7c0f",
};

/* From few to many; told apart by those too who see no red or no green. */
static const char *const heat_colors[HEAT_LEVELS] = {
    "#fde725", "#a0da39", "#4ac16d", "#1fa187",
    "#277f8e", "#365c8d", "#46327e", "#440154",
};

void plot_write_style(FILE *out)
{
    fputs(style, out);
    for (size_t i = 0; i < COLORS; i++) {
        fprintf(out, "svg .line.c%zu{stroke:%s}svg .mark.c%zu{fill:%s}\n", i,
                colors[i], i, colors[i]);
    }
    for (size_t i = 0; i < HEAT_LEVELS; i++) {
        fprintf(out, "svg .h%zu{fill:%s}\n", i, heat_colors[i]);
    }
}

struct plot_series *plot_add(struct plot *plot, const char *name, size_t size)
{
    struct plot_series *series = &plot->series[plot->series_count];

    if (plot->series_count == PLOT_SERIES_MAX) {
        return NULL;
    }
    double *points = calloc(3 * (size + 1), sizeof(*points));
    if (!points) {
        return NULL;
    }
    *series = (struct plot_series){
        .color = plot->series_count,
        .x = points,
        .y = points + size + 1,
        .base = points + 2 * (size + 1),
    };
    snprintf(series->name, sizeof(series->name), "%s", name);
    plot->series_count++;
    return series;
}

void plot_add_point(struct plot_series *series, double x, double y)
{
    series->x[series->count] = x;
    series->y[series->count] = y;
    series->count++;
}

bool plot_is_drawn(const struct plot *plot)
{
    return plot->series_count > 0 || plot->heat;
}

/* Put bars upon those of the series before. */
static void stack_bars(struct plot *plot)
{
    const struct plot_series *below = NULL;

    for (size_t i = 0; i < plot->series_count; i++) {
        struct plot_series *series = &plot->series[i];
        if (series->shape != PLOT_BARS) {
            continue;
        }
        for (size_t k = 0; below && k < series->count; k++) {
            series->base[k] = below->base[k] + below->y[k];
        }
        below = series;
    }
}

/* ---- the legend ---- */

/* One of its names. */
struct entry {
    char name[96];
    char classes[32];
    bool is_line;
};

static size_t count_entries(const struct plot *plot)
{
    return plot->heat ? plot->heat->level_count : plot->series_count;
}

static struct entry entry_of(const struct plot *plot, size_t i)
{
    struct entry entry = {0};

    if (plot->heat) {
        heat_name_level(plot->heat, i, entry.name, sizeof(entry.name));
        snprintf(entry.classes, sizeof(entry.classes), "cell h%zu", i);
        return entry;
    }
    const struct plot_series *series = &plot->series[i];
    snprintf(entry.name, sizeof(entry.name), "%s", series->name);
    entry.is_line = series->shape != PLOT_BARS;
    snprintf(entry.classes, sizeof(entry.classes), "%s c%zu%s",
             entry.is_line ? "line" : "mark", series->color % COLORS,
             series->shape == PLOT_DASHES ? " dashed" : "");
    return entry;
}

static void draw_entry(const struct entry *entry, unsigned x, unsigned y,
                       FILE *out)
{
    if (entry->is_line) {
        fprintf(out, "<path class=\"%s\" d=\"M%u %uh22\"/>", entry->classes, x,
                y + 10);
    } else {
        fprintf(out,
                "<rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"22\" "
                "height=\"12\"/>",
                entry->classes, x, y + 4);
    }
    fprintf(out, "<text class=\"label\" x=\"%u\" y=\"%u\">", x + MARK_WIDTH,
            y + 15);
    markup_write(entry->name, out);
    fputs("</text>\n", out);
}

/* Its height; out may be NULL. */
static unsigned draw_legend(const struct plot *plot, FILE *out)
{
    unsigned x = LEFT;
    unsigned y = 0;

    if (plot->legend) {
        if (out) {
            fprintf(out, "<text class=\"label\" x=\"%u\" y=\"15\">%s</text>\n",
                    x, plot->legend);
        }
        x += (unsigned)strlen(plot->legend) * LETTER_WIDTH + GAP_WIDTH;
    }
    for (size_t i = 0; i < count_entries(plot); i++) {
        const struct entry entry = entry_of(plot, i);
        unsigned width = MARK_WIDTH + GAP_WIDTH +
                         (unsigned)markup_count(entry.name) * LETTER_WIDTH;
        if (x + width > PLOT_WIDTH && x > LEFT) {
            x = LEFT;
            y += ROW_HEIGHT;
        }
        if (out) {
            draw_entry(&entry, x, y, out);
        }
        x += width;
    }
    return y + ROW_HEIGHT;
}

void plot_settle(struct plot *plot)
{
    plot->width = plot->width > PLOT_WIDTH ? plot->width : PLOT_WIDTH;
    plot->height = 0;
    if (!plot_is_drawn(plot)) {
        return;
    }
    axis_begin(&plot->x);
    axis_begin(&plot->y);
    stack_bars(plot);
    for (size_t i = 0; i < plot->series_count; i++) {
        const struct plot_series *series = &plot->series[i];
        for (size_t k = 0; k < series->count; k++) {
            axis_hold(&plot->x, series->x[k]);
            if (series->y[k] > 0) {
                axis_hold(&plot->y, series->base[k] + series->y[k]);
            }
        }
    }
    if (plot->heat) {
        heat_settle(plot->heat, &plot->x, &plot->y);
    }
    plot->height = draw_legend(plot, NULL) + HEIGHT;
    plot->x.from = LEFT;
    plot->x.to = plot->width - RIGHT;
    plot->y.from = HEIGHT - BOTTOM;
    plot->y.to = TOP;
    axis_settle(&plot->x);
    axis_settle(&plot->y);
}

/* ---- the drawing ---- */

static void write_axes(const struct plot *plot, FILE *out)
{
    const double right = plot->x.to;
    char text[AXIS_TEXT_SIZE];

    for (size_t i = 0; i < plot->y.tick_count; i++) {
        double at = axis_place(&plot->y, plot->y.ticks[i]);
        fprintf(out,
                "<path class=\"grid\" d=\"M%u %.1fH%.1f\"/>"
                "<text x=\"%u\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                LEFT, at, right, LEFT - 8, at + 4,
                axis_format(&plot->y, plot->y.ticks[i], text));
    }
    for (size_t i = 0; i < plot->x.tick_count; i++) {
        double at = axis_place(&plot->x, plot->x.ticks[i]);
        fprintf(out,
                "<path class=\"grid\" d=\"M%.1f %uV%u\"/>"
                "<text x=\"%.1f\" y=\"%u\" text-anchor=\"middle\">%s</text>\n",
                at, TOP, HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 18,
                axis_format(&plot->x, plot->x.ticks[i], text));
    }
    fprintf(out, "<path class=\"axis\" d=\"M%u %uV%uH%.1f\"/>\n", LEFT, TOP,
            HEIGHT - BOTTOM, right);
    /* Where a wide plot is seen before it is scrolled. */
    fprintf(out,
            "<text class=\"label\" x=\"%u\" y=\"%u\" "
            "text-anchor=\"middle\">%s</text>\n",
            (LEFT + PLOT_WIDTH - RIGHT) / 2, HEIGHT - 10, plot->x.label);
    fprintf(out,
            "<text class=\"label\" transform=\"translate(16 %u) rotate(-90)\" "
            "text-anchor=\"middle\">%s</text>\n",
            (TOP + HEIGHT - BOTTOM) / 2, plot->y.label);
}

static void write_line(const struct plot *plot,
                       const struct plot_series *series, FILE *out)
{
    bool is_begun = false;

    fprintf(out, "<path class=\"line c%zu%s\" d=\"", series->color % COLORS,
            series->shape == PLOT_DASHES ? " dashed" : "");
    for (size_t i = 0; i < series->count; i++) {
        if (series->y[i] <= 0) {
            is_begun = false;
            continue;
        }
        fprintf(out, "%c%.1f %.1f", is_begun ? 'L' : 'M',
                axis_place(&plot->x, series->x[i]),
                axis_place(&plot->y, series->y[i]));
        is_begun = true;
    }
    fputs("\"/>\n", out);
}

static void write_dots(const struct plot *plot,
                       const struct plot_series *series, FILE *out)
{
    for (size_t i = 0; i < series->count; i++) {
        if (series->y[i] > 0) {
            fprintf(out,
                    "<circle class=\"mark c%zu\" cx=\"%.1f\" cy=\"%.1f\" "
                    "r=\"4\"/>\n",
                    series->color % COLORS, axis_place(&plot->x, series->x[i]),
                    axis_place(&plot->y, series->y[i]));
        }
    }
}

static void write_bars(const struct plot *plot,
                       const struct plot_series *series, FILE *out)
{
    double room = (plot->x.to - plot->x.from) / (double)(series->count + 1);
    double width = room * 0.7 > 24 ? 24 : room * 0.7;

    for (size_t i = 0; i < series->count; i++) {
        if (series->y[i] > 0) {
            double bottom = axis_place(&plot->y, series->base[i]);
            double top = axis_place(&plot->y, series->base[i] + series->y[i]);
            fprintf(out,
                    "<rect class=\"mark c%zu\" x=\"%.1f\" y=\"%.1f\" "
                    "width=\"%.1f\" height=\"%.1f\"/>\n",
                    series->color % COLORS,
                    axis_place(&plot->x, series->x[i]) - width / 2, top,
                    width < 1 ? 1 : width, bottom - top);
        }
    }
}

static void write_series(const struct plot *plot,
                         const struct plot_series *series, FILE *out)
{
    if (series->shape == PLOT_BARS) {
        write_bars(plot, series, out);
        return;
    }
    write_line(plot, series, out);
    if (series->shape == PLOT_DOTS || series->count == 1) {
        write_dots(plot, series, out);
    }
}

void plot_draw(const struct plot *plot, FILE *out)
{
    unsigned top = draw_legend(plot, out);

    fprintf(out, "<g transform=\"translate(0 %u)\">\n", top);
    write_axes(plot, out);
    if (plot->heat) {
        heat_draw(plot->heat, &plot->x, &plot->y, out);
    }
    for (size_t i = 0; i < plot->series_count; i++) {
        write_series(plot, &plot->series[i], out);
    }
    fputs("</g>\n", out);
}

void plot_fini(struct plot *plot)
{
    for (size_t i = 0; i < plot->series_count; i++) {
        free(plot->series[i].x);
    }
    heat_free(plot->heat);
    plot->series_count = 0;
    plot->heat = NULL;
}
