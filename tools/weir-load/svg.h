/*
 * Plots as a file of SVG that needs nothing else: it has its size, its style,
 * and of each plot the title, the remark and the legend. Several stand one
 * below the other.
 */
#ifndef WEIR_LOAD_SVG_H
#define WEIR_LOAD_SVG_H

#include "plot.h"

#include <stddef.h>
#include <stdio.h>

struct svg {
    /* What has been drawn; its size is known at the end. */
    FILE *body;
    char *text;
    size_t len;
    unsigned width;
    unsigned height;
};

/* 0 or -ENOMEM; ended with svg_fini(). */
int svg_init(struct svg *svg);

/* Draw a plot below the others. */
void svg_add(struct svg *svg, const struct plot *plot);

/* Write the whole file: 0, -ENOMEM, or the error of writing. Nothing is added
 * after it. */
int svg_write(struct svg *svg, FILE *out);

void svg_fini(struct svg *svg);

#endif
