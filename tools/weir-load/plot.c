/*
 * Lines are drawn over the grid, and the legend is text above the plot, where
 * it hides nothing and wraps when it is long. Colors stand in the page's style
 * as c0 to c7.
 */
#include "plot.h"

#include <stdlib.h>
#include <string.h>

#define WIDTH  1120U
#define HEIGHT 340U
#define LEFT   86U
#define RIGHT  24U
#define TOP    14U
#define BOTTOM 52U
#define COLORS 8U

void plot_write_text(const char *text, FILE *out)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

struct plot_series *plot_add(struct plot *plot, const char *name, size_t size)
{
    struct plot_series *series = &plot->series[plot->series_count];

    if (plot->series_count == PLOT_SERIES_MAX) {
        return NULL;
    }
    double *points = calloc(2 * (size + 1), sizeof(*points));
    if (!points) {
        return NULL;
    }
    *series = (struct plot_series){
        .color = plot->series_count,
        .x = points,
        .y = points + size + 1,
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

static void settle(struct plot *plot)
{
    axis_begin(&plot->x);
    axis_begin(&plot->y);
    for (size_t i = 0; i < plot->series_count; i++) {
        const struct plot_series *series = &plot->series[i];
        for (size_t k = 0; k < series->count; k++) {
            axis_hold(&plot->x, series->x[k]);
            if (series->y[k] > 0) {
                axis_hold(&plot->y, series->y[k]);
            }
        }
    }
    plot->width = plot->width > WIDTH ? plot->width : WIDTH;
    plot->x.from = LEFT;
    plot->x.to = plot->width - RIGHT;
    plot->y.from = HEIGHT - BOTTOM;
    plot->y.to = TOP;
    axis_settle(&plot->x);
    axis_settle(&plot->y);
}

static void write_legend(const struct plot *plot, FILE *out)
{
    fputs("<p class=\"legend\">", out);
    for (size_t i = 0; i < plot->series_count; i++) {
        const struct plot_series *series = &plot->series[i];
        fprintf(out, "<span><i class=\"c%zu%s\"></i>", series->color % COLORS,
                series->shape == PLOT_DASHES ? " dashed" : "");
        plot_write_text(series->name, out);
        fputs("</span> ", out);
    }
    fputs("</p>\n", out);
}

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
    fprintf(out,
            "<text class=\"label\" x=\"%.1f\" y=\"%u\" "
            "text-anchor=\"middle\">%s</text>\n",
            (LEFT + right) / 2, HEIGHT - 10, plot->x.label);
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
                    "<circle class=\"c%zu\" cx=\"%.1f\" cy=\"%.1f\" "
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
            double top = axis_place(&plot->y, series->y[i]);
            fprintf(out,
                    "<rect class=\"c%zu\" x=\"%.1f\" y=\"%.1f\" "
                    "width=\"%.1f\" height=\"%.1f\"/>\n",
                    series->color % COLORS,
                    axis_place(&plot->x, series->x[i]) - width / 2, top,
                    width < 1 ? 1 : width, plot->y.from - top);
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

void plot_write(struct plot *plot, FILE *out)
{
    settle(plot);
    fprintf(out, "<section>\n<h2>%s</h2>\n", plot->title);
    if (plot->remark) {
        fprintf(out, "<p class=\"remark\">%s</p>\n", plot->remark);
    }
    write_legend(plot, out);
    fprintf(out,
            "<div class=\"frame\"><svg role=\"img\" width=\"%u\" "
            "height=\"%u\" viewBox=\"0 0 %u %u\"><title>%s</title>\n",
            plot->width, HEIGHT, plot->width, HEIGHT, plot->title);
    write_axes(plot, out);
    for (size_t i = 0; i < plot->series_count; i++) {
        write_series(plot, &plot->series[i], out);
        free(plot->series[i].x);
    }
    plot->series_count = 0;
    fputs("</svg></div>\n</section>\n", out);
}
