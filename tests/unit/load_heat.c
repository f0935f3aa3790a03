/*
 * Heat maps: each request is in one cell, that of its time and its latency, and
 * each number of requests has one color of the legend.
 *
 * Histograms are random, of narrow ranges and of the whole one.
 */
#include "tools/weir-load/heat.c"

#include "tests/unit/random.h"

#define COLUMNS 4U

static struct histogram columns[COLUMNS];

/* A map of the histograms above, a second each. */
static struct heat *make_heat(void)
{
    struct heat *heat = NULL;

    cr_assert_eq(heat_new(COLUMNS, &heat), 0);
    for (size_t i = 0; i < COLUMNS; i++) {
        heat->columns[i] = (struct heat_column){(double)i, (double)i + 1};
        heat_hold(heat, &columns[i]);
    }
    cr_assert_eq(heat_make_rows(heat), 0);
    for (size_t i = 0; i < COLUMNS; i++) {
        heat_add(heat, i, &columns[i]);
    }
    return heat;
}

static void clear_columns(void)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        histogram_clear(&columns[i]);
    }
}

static void settle_heat(struct heat *heat, struct axis *x, struct axis *y)
{
    *x = (struct axis){.unit = AXIS_SECONDS, .to = 400};
    *y = (struct axis){.scale = AXIS_LOG, .unit = AXIS_TIME, .from = 100};
    axis_begin(x);
    axis_begin(y);
    heat_settle(heat, x, y);
    axis_settle(x);
    axis_settle(y);
}

/* A column of cells has the requests of its histogram, each at its latency. */
static void expect_column(const struct heat *heat, size_t column)
{
    const struct histogram *h = &columns[column];
    uint64_t seen = 0;
    uint32_t at = 0;

    for (uint32_t row = 0; row < heat->row_count; row++) {
        uint64_t high = (uint64_t)high_of(heat, heat->first_row + row);
        uint64_t count = 0;
        for (; at < HISTOGRAM_SIZE && histogram_lowest(at) < high; at++) {
            count += h->counts[at];
        }
        expect_eq(heat->counts[column * heat->row_count + row], count);
        seen += count;
    }
    expect_eq(seen, h->count);
}

UNIT(load_heat, each_request_is_in_the_cell_of_its_latency)
{
    struct unit_random random;
    static const unsigned most_bits[] = {12, 20, 30, 42};

    unit_random_seed(&random);
    for (size_t k = 0; k < sizeof(most_bits) / sizeof(most_bits[0]); k++) {
        clear_columns();
        for (unsigned i = 0; i < 20000; i++) {
            uint64_t bits = unit_random_next(&random) % most_bits[k];
            uint64_t value =
                unit_random_next(&random) & ((UINT64_C(2) << bits) - 1);
            histogram_record(&columns[i % COLUMNS], value);
        }
        struct heat *heat = make_heat();
        expect_leq(heat->row_count, ROWS_MAX);
        for (size_t i = 0; i < COLUMNS; i++) {
            expect_column(heat, i);
        }
        heat_free(heat);
    }
}

UNIT(load_heat, a_narrow_range_has_many_rows_and_a_wide_one_is_bounded)
{
    clear_columns();
    histogram_record(&columns[0], 1100000);
    histogram_record(&columns[1], 1900000);
    struct heat *heat = make_heat();
    expect_eq(heat->bits, 5);
    expect_geq(heat->row_count, 20);
    heat_free(heat);

    histogram_record(&columns[2], 0);
    histogram_record(&columns[3], UINT64_MAX);
    heat = make_heat();
    expect_leq(heat->row_count, ROWS_MAX);
    expect_geq(heat->row_count, HISTOGRAM_POWERS + 1);
    heat_free(heat);
}

UNIT(load_heat, each_number_of_requests_has_one_color)
{
    static const uint64_t mosts[] = {1, 2, 7, 8, 9, 100, 1000000};
    struct axis x;
    struct axis y;

    for (size_t k = 0; k < sizeof(mosts) / sizeof(mosts[0]); k++) {
        clear_columns();
        for (uint64_t i = 0; i < mosts[k]; i++) {
            histogram_record(&columns[0], 5000);
        }
        struct heat *heat = make_heat();
        settle_heat(heat, &x, &y);

        expect_eq(heat->most, mosts[k]);
        expect_eq(heat->levels[0], 1);
        expect_leq(heat->levels[heat->level_count - 1], heat->most);
        expect_eq(heat->level_count,
                  mosts[k] < HEAT_LEVELS ? mosts[k] : HEAT_LEVELS);
        for (size_t i = 1; i < heat->level_count; i++) {
            expect_lt(heat->levels[i - 1], heat->levels[i]);
        }
        heat_free(heat);
    }
}

UNIT(load_heat, the_names_of_colors_follow_one_another)
{
    struct axis x;
    struct axis y;
    char name[64];
    unsigned long long next = 1;

    clear_columns();
    for (int i = 0; i < 5000; i++) {
        histogram_record(&columns[0], 5000);
    }
    struct heat *heat = make_heat();
    settle_heat(heat, &x, &y);
    for (size_t i = 0; i < heat->level_count; i++) {
        unsigned long long least = 0;
        unsigned long long most = 0;
        heat_name_level(heat, i, name, sizeof(name));
        int found = sscanf(name, "%llu to %llu", &least, &most);
        expect_eq(least, next, "'%s'", name);
        next = (found == 2 ? most : least) + 1;
    }

    expect_eq(next, 5001);
    heat_free(heat);
}

/* What is drawn of the four columns. */
static char *draw(struct heat *heat)
{
    struct axis x;
    struct axis y;
    char *text = NULL;
    size_t len = 0;

    settle_heat(heat, &x, &y);
    FILE *out = open_memstream(&text, &len);
    cr_assert_not_null(out);
    heat_draw(heat, &x, &y, out);
    fclose(out);
    return text;
}

static size_t count_of(const char *text, char letter)
{
    size_t count = 0;

    for (; *text; text++) {
        count += *text == letter;
    }
    return count;
}

UNIT(load_heat, neighbors_of_one_color_are_one_rectangle)
{
    clear_columns();
    for (size_t i = 0; i < COLUMNS; i++) {
        histogram_record(&columns[i], 5000);
    }
    struct heat *heat = make_heat();
    char *text = draw(heat);
    expect_eq(count_of(text, 'M'), 1, "%s", text);
    cr_assert_not_null(strstr(text, "M0.0 "));
    cr_assert_not_null(strstr(text, "H400.0"));
    free(text);
    heat_free(heat);

    /* An interval without an answer is a gap. */
    histogram_clear(&columns[1]);
    heat = make_heat();
    text = draw(heat);
    expect_eq(count_of(text, 'M'), 2, "%s", text);
    free(text);
    heat_free(heat);
}

UNIT(load_heat, rows_cover_their_latencies_on_the_axis)
{
    struct axis x;
    struct axis y;

    clear_columns();
    histogram_record(&columns[0], 3000000);
    histogram_record(&columns[3], 90000);
    struct heat *heat = make_heat();
    settle_heat(heat, &x, &y);

    /* The axis clamps what is beyond its ends. */
    cr_assert(y.low <= 90000 && y.high >= 3000000);
    uint32_t last = heat->first_row + heat->row_count - 1;
    cr_assert(high_of(heat, last) <= y.high && high_of(heat, last) > 3000000);
    cr_assert(low_of(heat, heat->first_row) >= y.low);
    cr_assert(low_of(heat, heat->first_row) <= 90000);
    expect_eq((int)x.high, 4);
    heat_free(heat);
}
