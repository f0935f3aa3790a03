/*
 * A plot as SVG: axes with units, lines, bars or a heat map, and a legend. It
 * needs neither scripts nor anything from elsewhere, and stands in a page of
 * HTML (page.h) or in a file of its own (svg.h), which write its title and its
 * remark.
 *
 * One without series and without a heat map is its title and its remark alone.
 */
#ifndef WEIR_LOAD_PLOT_H
#define WEIR_LOAD_PLOT_H

#include "axis.h"
#include "heat.h"

#include <stdio.h>

#define PLOT_SERIES_MAX 32U
#define PLOT_TEXT_SIZE  400U
#define PLOT_WIDTH      1120U

enum plot_shape {
    PLOT_LINE,
    PLOT_DASHES,
    PLOT_DOTS,
    /* Each stands on those of the series before, which have the same x. */
    PLOT_BARS,
};

struct plot_series {
    char name[96];
    enum plot_shape shape;
    /* Which color of the page. */
    size_t color;
    size_t count;
    /* A y that is not above 0 is not known, and a gap; in bars it is none. */
    double *x;
    double *y;
    /* Where a bar begins. */
    double *base;
};

struct plot {
    char title[PLOT_TEXT_SIZE];
    /* A sentence under the title; may be empty. */
    char remark[PLOT_TEXT_SIZE];
    /* What the legend begins with, or NULL. */
    const char *legend;
    struct axis x;
    struct axis y;
    /* 0: as wide as the page. plot_settle() sets both. */
    unsigned width;
    unsigned height;
    size_t series_count;
    struct plot_series series[PLOT_SERIES_MAX];
    /* Or NULL; the plot's. */
    struct heat *heat;
};

/* A series with room for this many points, or NULL without memory or room. */
struct plot_series *plot_add(struct plot *plot, const char *name, size_t size);

void plot_add_point(struct plot_series *series, double x, double y);

/* Is there something to draw? */
bool plot_is_drawn(const struct plot *plot);

/* When it has all its points: choose the ends of its axes, and its size. */
void plot_settle(struct plot *plot);

/* Draw it in a rectangle of its size, at 0. */
void plot_draw(const struct plot *plot, FILE *out);

/* The style that drawings need, as CSS. */
void plot_write_style(FILE *out);

void plot_fini(struct plot *plot);

#endif
