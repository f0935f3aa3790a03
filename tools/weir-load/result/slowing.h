/*
 * Has the server become slower during the window?
 *
 * The answers of a run are not independent of each other: one stall delays many
 * of them, and a test that took each answer for a draw of its own would call
 * any stall a trend. So the window is cut into ten equal parts, and a part is
 * one value, however many answers it had: by Little's law the time of a request
 * is the time that requests were under way, for each answer.
 *
 * It is shown that the server has slowed down if each of the last five parts
 * took longer than each of the first five, and the second half by a tenth. With
 * a server that is as fast as ever, and whose parts do not depend on each
 * other, each order of the ten is as likely, and one of 252 is this one: less
 * than half a percent of such runs are called slower by chance, whatever their
 * times are like and however few answers they had. It is up to a tenth of the
 * runs with a server that has slow times of several parts on end. A stall is no
 * slowing as long as one part of the second half is as quick as the first half.
 * The tenth is for runs with so many answers that a difference shows which
 * matters to nobody.
 *
 * Nothing is shown by fewer than ten intervals, nor where a part of the first
 * half has no answer. That does not say that the server was as fast as ever. Of
 * servers that are slower by a fifth from the middle on, with random times,
 * 41 % are found by 100 answers in each part, 91 % by 300; where they slow down
 * at three or seven tenths of the window, one of 20, however many answers there
 * are.
 */
#ifndef WEIR_LOAD_SLOWING_H
#define WEIR_LOAD_SLOWING_H

#include "result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The intervals of a window, in order. */
bool slowing_is_shown(const struct result_row *rows, size_t count,
                      uint64_t window_ns);

/* In which of some equal parts of the window an interval is, by its middle: its
 * ends are late by what a timer is late. */
size_t slowing_part_of(const struct interval *row, uint64_t window_ns,
                       size_t part_count);

#endif
