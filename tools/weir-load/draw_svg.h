/*
 * Where `weir-load report --svg FILE|DIR` writes plots: each to a file of its
 * own in a directory that is there, or all to one file, whose name ends in
 * .svg.
 */
#ifndef WEIR_LOAD_DRAW_SVG_H
#define WEIR_LOAD_DRAW_SVG_H

#include "saved.h"

#include <stdbool.h>
#include <stddef.h>

/* Prints the names of the files that it has written, if @prints; false after a
 * line on standard error. */
bool draw_svg(const struct saved *runs, size_t count, const char *path,
              bool prints);

#endif
