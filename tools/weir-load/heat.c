/*
 * Cells of one color in neighboring columns are one rectangle, and all
 * rectangles of a color one path: an hour of intervals has a hundred thousand
 * cells, and a browser is slow with as many elements.
 */
#include "heat.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Rows are no lower than some pixels. */
#define ROWS_MAX 64U

int heat_new(size_t column_count, struct heat **ret)
{
    struct heat *heat = malloc(sizeof(*heat));
    struct heat_column *columns = calloc(column_count + 1, sizeof(*columns));

    if (!heat || !columns) {
        free(heat);
        free(columns);
        return -ENOMEM;
    }
    *heat = (struct heat){
        .column_count = column_count,
        .columns = columns,
        .low = HISTOGRAM_SIZE,
    };
    *ret = heat;
    return 0;
}

void heat_hold(struct heat *heat, const struct histogram *h)
{
    if (h->count == 0) {
        return;
    }
    uint32_t low = histogram_index(h->min);
    uint32_t high = histogram_index(h->max);
    heat->low = low < heat->low ? low : heat->low;
    heat->high = high > heat->high ? high : heat->high;
}

static uint32_t row_of(const struct heat *heat, uint32_t index)
{
    return index >> (HISTOGRAM_STEP_BITS - heat->bits);
}

/* The first bucket of a row. */
static uint32_t index_of(const struct heat *heat, uint32_t row)
{
    return row << (HISTOGRAM_STEP_BITS - heat->bits);
}

int heat_make_rows(struct heat *heat)
{
    uint32_t low = heat->low < heat->high ? heat->low : heat->high;
    uint32_t powers =
        (heat->high >> HISTOGRAM_STEP_BITS) - (low >> HISTOGRAM_STEP_BITS) + 1;

    /* 32 rows at most: no finer are the histograms of intervals. */
    while (heat->bits < 5 && powers << (heat->bits + 1) <= ROWS_MAX) {
        heat->bits++;
    }
    heat->first_row = row_of(heat, low);
    heat->row_count = row_of(heat, heat->high) - heat->first_row + 1;
    heat->counts =
        calloc(heat->column_count * heat->row_count + 1, sizeof(*heat->counts));
    return heat->counts ? 0 : -ENOMEM;
}

void heat_add(struct heat *heat, size_t column, const struct histogram *h)
{
    uint64_t *counts = &heat->counts[column * heat->row_count];

    if (h->count == 0) {
        return;
    }
    uint32_t last = histogram_index(h->max);
    for (uint32_t i = histogram_index(h->min); i <= last; i++) {
        uint64_t *count = &counts[row_of(heat, i) - heat->first_row];
        *count += h->counts[i];
        heat->most = *count > heat->most ? *count : heat->most;
    }
}

static void choose_levels(struct heat *heat)
{
    uint64_t least = 1;

    heat->level_count = 0;
    for (unsigned i = 0; i < HEAT_LEVELS; i++) {
        uint64_t even =
            (uint64_t)pow((double)heat->most, (double)i / HEAT_LEVELS);
        least = even > least ? even : least;
        if (least > heat->most) {
            return;
        }
        heat->levels[heat->level_count++] = least++;
    }
}

/* Where a row begins. A logarithmic axis has no 0: half of the end stands for
 * it. */
static double low_of(const struct heat *heat, uint32_t row)
{
    uint64_t low = histogram_lowest(index_of(heat, row));

    return low > 0 ? (double)low
                   : (double)histogram_lowest(index_of(heat, row + 1)) / 2;
}

static double high_of(const struct heat *heat, uint32_t row)
{
    return (double)histogram_highest(index_of(heat, row + 1) - 1) + 1;
}

void heat_settle(struct heat *heat, struct axis *x, struct axis *y)
{
    choose_levels(heat);
    for (size_t i = 0; i < heat->column_count; i++) {
        axis_hold(x, heat->columns[i].end);
    }
    axis_hold(y, low_of(heat, heat->first_row));
    axis_hold(y, high_of(heat, heat->first_row + heat->row_count - 1));
}

/* Which color a cell has; HEAT_LEVELS for none. */
static size_t level_of(const struct heat *heat, size_t column, uint32_t row)
{
    uint64_t count = heat->counts[column * heat->row_count + row];
    size_t level = HEAT_LEVELS;

    for (size_t i = 0; i < heat->level_count && heat->levels[i] <= count; i++) {
        level = i;
    }
    return level;
}

/* Where the cells of this color end that begin with a column. */
static size_t end_of(const struct heat *heat, size_t column, uint32_t row,
                     size_t level)
{
    size_t end = column + 1;

    while (end < heat->column_count &&
           heat->columns[end].begin <= heat->columns[end - 1].end &&
           level_of(heat, end, row) == level) {
        end++;
    }
    return end;
}

static void draw_row(const struct heat *heat, uint32_t row, size_t level,
                     const struct axis *x, const double *ends, FILE *out)
{
    for (size_t i = 0; i < heat->column_count;) {
        if (level_of(heat, i, row) != level) {
            i++;
            continue;
        }
        size_t end = end_of(heat, i, row, level);
        fprintf(out, "M%.1f %.1fH%.1fV%.1fH%.1fz",
                axis_place(x, heat->columns[i].begin), ends[0],
                axis_place(x, heat->columns[end - 1].end), ends[1],
                axis_place(x, heat->columns[i].begin));
        i = end;
    }
}

void heat_draw(const struct heat *heat, const struct axis *x,
               const struct axis *y, FILE *out)
{
    for (size_t level = 0; level < heat->level_count; level++) {
        fprintf(out, "<path class=\"cell h%zu\" d=\"", level);
        for (uint32_t row = 0; row < heat->row_count; row++) {
            const double ends[] = {
                axis_place(y, high_of(heat, heat->first_row + row)),
                axis_place(y, low_of(heat, heat->first_row + row)),
            };
            draw_row(heat, row, level, x, ends, out);
        }
        fputs("\"/>\n", out);
    }
}

void heat_name_level(const struct heat *heat, size_t level, char *buf,
                     size_t size)
{
    unsigned long long least = heat->levels[level];
    unsigned long long most = level + 1 < heat->level_count
                                  ? heat->levels[level + 1] - 1
                                  : heat->most;

    if (least == most) {
        snprintf(buf, size, "%llu", least);
    } else {
        snprintf(buf, size, "%llu to %llu", least, most);
    }
}

void heat_free(struct heat *heat)
{
    if (heat) {
        free(heat->columns);
        free(heat->counts);
        free(heat);
    }
}
