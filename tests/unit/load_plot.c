/*
 * Plots as SVG: bars that stand one upon the other, a legend that is seen
 * whole, axes with enough ticks, and files that need nothing else.
 *
 * That a browser shows them is tested end to end.
 */
#define UNIT_RUN with_plot
#include "tools/weir-load/plot.c"
#include "tools/weir-load/svg.h"

#include "tests/unit.h"

static struct plot plot;

static void with_plot(void (*body)(void))
{
    plot = (struct plot){
        .title = "Errors <over> time",
        .x = {.label = "time, s", .unit = AXIS_SECONDS},
        .y = {.label = "errors per second"},
    };
    body();
    plot_fini(&plot);
}

static struct plot_series *add_bars(const char *name, double first,
                                    double second)
{
    struct plot_series *series = plot_add(&plot, name, 2);

    cr_assert_not_null(series);
    series->shape = PLOT_BARS;
    plot_add_point(series, 1, first);
    plot_add_point(series, 2, second);
    return series;
}

static char *drawn(void)
{
    char *text = NULL;
    size_t len = 0;

    FILE *out = open_memstream(&text, &len);
    cr_assert_not_null(out);
    plot_draw(&plot, out);
    fclose(out);
    return text;
}

static char *file_of(unsigned count)
{
    struct svg svg;
    char *text = NULL;
    size_t len = 0;

    cr_assert_eq(svg_init(&svg), 0);
    for (unsigned i = 0; i < count; i++) {
        svg_add(&svg, &plot);
    }
    FILE *out = open_memstream(&text, &len);
    cr_assert_not_null(out);
    expect_eq(svg_write(&svg, out), 0);
    fclose(out);
    svg_fini(&svg);
    return text;
}

UNIT(load_plot, bars_stand_upon_those_before)
{
    struct plot_series *low = add_bars("low", 3, 0);
    struct plot_series *middle = add_bars("middle", 4, 2);
    struct plot_series *top = add_bars("top", 5, 6);

    plot_settle(&plot);

    expect_eq(low->base[0] + low->base[1], 0);
    expect_eq(middle->base[0], 3);
    expect_eq(middle->base[1], 0);
    expect_eq(top->base[0], 7);
    expect_eq(top->base[1], 2);
    cr_assert(plot.y.high >= 12);
    char *text = drawn();
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "height=\"%.1f\"",
             axis_place(&plot.y, 7) - axis_place(&plot.y, 12));
    cr_assert_not_null(strstr(text, wanted), "%s in %s", wanted, text);
    free(text);
}

UNIT(load_plot, a_legend_names_each_series_in_rows_of_the_pages_width)
{
    for (int i = 0; i < 12; i++) {
        char name[64];
        snprintf(name, sizeof(name), "a kind of error, number %d", i);
        add_bars(name, 1, 1);
    }
    plot.width = 9000;
    plot_settle(&plot);
    char *text = drawn();

    expect_eq(plot.height, HEIGHT + 3 * ROW_HEIGHT);
    for (int i = 0; i < 12; i++) {
        char name[64];
        snprintf(name, sizeof(name), ">a kind of error, number %d<", i);
        const char *at = strstr(text, name);
        cr_assert_not_null(at, "%s", name);
        unsigned x = 0;
        while (strncmp(at, "<text", 5) != 0) {
            at--;
        }
        expect_eq(sscanf(at, "<text class=\"label\" x=\"%u", &x), 1);
        expect_lt(x, PLOT_WIDTH - 100);
    }
    free(text);
}

UNIT(load_plot, a_long_axis_has_more_ticks)
{
    add_bars("low", 1, 1);
    plot.x.reach = 3600;
    plot_settle(&plot);
    size_t few = plot.x.tick_count;
    plot.width = 10800;
    plot_settle(&plot);

    expect_leq(few, 8);
    expect_geq(plot.x.tick_count, 30);
    expect_eq((int)plot.x.ticks[plot.x.tick_count - 1], 3600);
}

UNIT(load_plot, one_without_a_series_has_no_height)
{
    plot_settle(&plot);

    expect_eq(plot_is_drawn(&plot), false);
    expect_eq(plot.height, 0);
}

UNIT(load_plot, a_file_has_size_style_title_and_legend)
{
    static const char *const parts[] = {
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg ",
        "xmlns=\"http://www.w3.org/2000/svg\"",
        "width=\"1120\"",
        "<style>",
        "svg .mark.c0{fill:",
        ">Errors &lt;over&gt; time</text>",
        ">time, s</text>",
        ">errors per second</text>",
        ">low</text>",
        "</svg>\n",
    };

    add_bars("low", 3, 1);
    plot_settle(&plot);
    char *text = file_of(1);

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        cr_assert_not_null(strstr(text, parts[i]), "%s", parts[i]);
    }
    free(text);
}

static unsigned height_of(const char *text)
{
    unsigned height = 0;

    expect_eq(sscanf(strstr(text, " height=\""), " height=\"%u", &height), 1);
    return height;
}

UNIT(load_plot, several_in_a_file_are_below_each_other)
{
    add_bars("low", 3, 1);
    plot_settle(&plot);
    char *one = file_of(1);
    char *three = file_of(3);

    expect_geq(height_of(one), plot.height);
    expect_geq(height_of(three), height_of(one) + 2 * plot.height);
    free(one);
    free(three);
}

UNIT(load_plot, a_long_remark_is_broken_between_words)
{
    size_t len = 0;

    while (len < sizeof(plot.remark) - 10) {
        len += (size_t)snprintf(plot.remark + len, sizeof(plot.remark) - len,
                                "%s", len ? " letters" : "letters");
    }
    plot_settle(&plot);
    char *text = file_of(1);
    size_t lines = 0;

    for (const char *at = text; (at = strstr(at, "\"remark\"")); at++) {
        const char *words = strchr(at, '>') + 1;
        expect_eq(strncmp(words, "letters", 7), 0);
        expect_leq(strchr(words, '<') - words, 150);
        lines++;
    }
    expect_eq(lines, 3);
    free(text);
}

UNIT(load_plot, a_word_that_is_too_long_is_one_line)
{
    memset(plot.remark, 'w', sizeof(plot.remark) - 1);
    plot_settle(&plot);
    char *text = file_of(1);

    cr_assert_not_null(strstr(text, plot.remark));
    free(text);
}
