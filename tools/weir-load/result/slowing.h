/*
 * Tests whether the server became slower during the window.
 *
 * Answers of a run are not independent: one stall delays many, and a test that
 * treats each answer as a separate draw would call any stall a trend. So the
 * window is cut into ten equal parts, each of which is one value however many
 * answers it had. By Little's law the time of a request is the time that
 * requests were in flight, divided by the answers.
 *
 * Slowing is shown if each of the last five parts took longer than each of the
 * first five, and the second half took longer by a tenth. If the server's speed
 * is constant and the parts are independent, all orders of the ten are equally
 * likely, and one of 252 is this one: less than half a percent of such runs are
 * called slower by chance, whatever the distribution of their times and however
 * few their answers. If the server has slow periods of several parts, up to a
 * tenth of the runs are. A stall is not slowing as long as one part of the
 * second half is as fast as the first half. The tenth avoids reports of tiny
 * differences in runs with very many answers.
 *
 * Nothing is shown with fewer than ten intervals, or if a part of the first
 * half has no answer; this does not mean that the server's speed was constant.
 * Of servers that are a fifth slower from the middle on, with random times, the
 * test finds 41 % with 100 answers in each part and 91 % with 300; if they slow
 * down at three or seven tenths of the window, one of 20 with any number of
 * answers.
 */
#ifndef WEIR_LOAD_SLOWING_H
#define WEIR_LOAD_SLOWING_H

#include "result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool slowing_is_shown(const struct result_row *rows, size_t count,
                      uint64_t window_ns);

/* Returns in which of @part_count equal parts of the window an interval is. The
 * middle of the interval decides, because its ends are late by the lateness of
 * timers. */
size_t slowing_part_of(const struct interval *row, uint64_t window_ns,
                       size_t part_count);

#endif
