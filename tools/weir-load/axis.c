/*
 * A linear axis begins at 0, so that a difference looks as large as it is. One
 * of latencies in a plot over percentiles is logarithmic: a tail is many times
 * the median.
 */
#include "axis.h"

#include <math.h>
#include <stdio.h>

/* Ticks of a linear axis, about: of a long one, one for each 180 pixels. */
#define LINEAR_TICKS 6
#define TICK_ROOM    180

void axis_begin(struct axis *axis)
{
    axis->low = HUGE_VAL;
    axis->high = axis->reach > 0 ? axis->reach : -HUGE_VAL;
    axis->tick_count = 0;
}

void axis_hold(struct axis *axis, double value)
{
    axis->low = value < axis->low ? value : axis->low;
    axis->high = value > axis->high ? value : axis->high;
}

static void add_tick(struct axis *axis, double value)
{
    if (axis->tick_count < AXIS_TICKS_MAX && value >= axis->low * 0.9999999 &&
        value <= axis->high * 1.0000001) {
        axis->ticks[axis->tick_count++] = value;
    }
}

/* 1, 2 or 5 times a power of ten, not below a value. */
static double round_up(double value)
{
    double power = pow(10, floor(log10(value)));
    double digit = value / power;

    return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

static void settle_linear(struct axis *axis)
{
    double most = fabs(axis->to - axis->from) / TICK_ROOM;

    most = most > AXIS_TICKS_MAX - 2 ? AXIS_TICKS_MAX - 2 : most;
    most = most < LINEAR_TICKS ? LINEAR_TICKS : most;
    axis->low = 0;
    axis->high = axis->high > 0 ? axis->high : 1;
    double step = round_up(axis->high / most);
    axis->high = axis->unit == AXIS_SECONDS ? axis->high
                                            : ceil(axis->high / step) * step;
    for (int i = 0; i <= most + 1; i++) {
        add_tick(axis, step * i);
    }
}

static void settle_log(struct axis *axis)
{
    static const double digits[] = {1, 2, 5};

    axis->low = axis->low > 0 && axis->low < HUGE_VAL ? axis->low : 1;
    axis->high = axis->high > axis->low ? axis->high : axis->low * 10;
    double first = floor(log10(axis->low));
    double last = ceil(log10(axis->high));
    bool is_wide = last - first > 5;
    axis->low = is_wide ? pow(10, first) : round_up(axis->low / 2.5);
    axis->high = round_up(axis->high);
    for (double power = first - 1; power <= last + 1; power++) {
        for (size_t i = 0; i < (is_wide ? 1 : 3); i++) {
            add_tick(axis, digits[i] * pow(10, power));
        }
    }
}

/* 0, 50 %, 90 %, 99 % and so on. */
static void settle_nines(struct axis *axis)
{
    axis->low = 1;
    axis->high = axis->high > 10 ? axis->high : 10;
    add_tick(axis, 1);
    add_tick(axis, 2);
    for (double value = 10; value <= axis->high; value *= 10) {
        add_tick(axis, value);
    }
}

void axis_settle(struct axis *axis)
{
    switch (axis->scale) {
    case AXIS_LINEAR:
        settle_linear(axis);
        break;
    case AXIS_LOG:
        settle_log(axis);
        break;
    case AXIS_NINES:
        settle_nines(axis);
        break;
    }
}

double axis_place(const struct axis *axis, double value)
{
    double share = axis->scale == AXIS_LINEAR
                       ? (value - axis->low) / (axis->high - axis->low)
                       : log10((value > 0 ? value : axis->low) / axis->low) /
                             log10(axis->high / axis->low);

    share = share < 0 ? 0 : share > 1 ? 1 : share;
    return axis->from + share * (axis->to - axis->from);
}

static void format_number(double value, char *buf)
{
    if (value >= 1e6) {
        snprintf(buf, AXIS_TEXT_SIZE, "%.4gM", value / 1e6);
    } else if (value >= 1e4) {
        snprintf(buf, AXIS_TEXT_SIZE, "%.4gk", value / 1e3);
    } else {
        snprintf(buf, AXIS_TEXT_SIZE, "%.4g", value);
    }
}

static void format_time(double ns, char *buf)
{
    if (ns >= 1e9) {
        snprintf(buf, AXIS_TEXT_SIZE, "%.4g s", ns / 1e9);
    } else if (ns >= 1e6) {
        snprintf(buf, AXIS_TEXT_SIZE, "%.4g ms", ns / 1e6);
    } else if (ns >= 1e3) {
        snprintf(buf, AXIS_TEXT_SIZE, "%.4g &#181;s", ns / 1e3);
    } else {
        snprintf(buf, AXIS_TEXT_SIZE, "%.4g ns", ns);
    }
}

const char *axis_format(const struct axis *axis, double value, char *buf)
{
    if (axis->scale == AXIS_NINES) {
        snprintf(buf, AXIS_TEXT_SIZE, "%.10g%%", 100 - 100 / value);
    } else if (axis->unit == AXIS_TIME && value > 0) {
        format_time(value, buf);
    } else {
        format_number(value, buf);
    }
    return buf;
}
