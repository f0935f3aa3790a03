/*
 * A plot as SVG inside a page of HTML: title, axes with units, lines or bars,
 * and a legend. It needs neither scripts nor anything from elsewhere.
 *
 * A wide plot scrolls in its frame; the page does not.
 */
#ifndef WEIR_LOAD_PLOT_H
#define WEIR_LOAD_PLOT_H

#include "axis.h"

#include <stdio.h>

#define PLOT_SERIES_MAX 32U

enum plot_shape {
    PLOT_LINE,
    PLOT_DASHES,
    PLOT_DOTS,
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
};

struct plot {
    const char *title;
    /* A sentence under the title, or NULL. */
    const char *remark;
    struct axis x;
    struct axis y;
    /* 0: as wide as the page. */
    unsigned width;
    size_t series_count;
    struct plot_series series[PLOT_SERIES_MAX];
};

/* A series with room for this many points, or NULL without memory or room. */
struct plot_series *plot_add(struct plot *plot, const char *name, size_t size);

void plot_add_point(struct plot_series *series, double x, double y);

/* Write it, and free its series. */
void plot_write(struct plot *plot, FILE *out);

/* A text with what HTML means otherwise written as entities. */
void plot_write_text(const char *text, FILE *out);

#endif
