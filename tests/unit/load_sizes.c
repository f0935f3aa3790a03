/*
 * Random sizes: which texts are valid and where errors are, that each
 * distribution has its bounds and its mean, and that a random number always
 * gives the same size.
 *
 * Random tests print their seed and accept it.
 */
#include "tools/weir-load/request/sizes.c"

#include "random.h"
#include "tools/load/payload.h"

#define DRAWS 200000

static struct sizes sizes;
static char why[WHY_SIZE];

static int parse(const char *text)
{
    sizes = (struct sizes){.least = 0};
    return sizes_parse(text, 1, &sizes, why);
}

/* Returns the mean of many sizes, each of which must be within the bounds. */
static double mean_of(const char *text, uint64_t least, uint64_t most)
{
    struct unit_random random;
    double sum = 0;

    unit_random_seed(&random);
    expect_eq(parse(text), 0, "%s", text);
    for (int i = 0; i < DRAWS; i++) {
        const uint64_t size = sizes_draw(&sizes, unit_random_next(&random));
        expect_geq(size, least, "%s", text);
        expect_leq(size, most, "%s", text);
        sum += (double)size;
    }
    return sum / DRAWS;
}

static void expect_near(double found, double wanted)
{
    cr_assert(fabs(found - wanted) < wanted / 25, "%g instead of %g", found,
              wanted);
}

UNIT(load_sizes, a_plain_size_is_always_the_same)
{
    expect_eq(parse("1k"), 0);
    cr_assert(sizes_is_fixed(&sizes));
    expect_eq(sizes_draw(&sizes, 0), 1024);
    expect_eq(sizes_draw(&sizes, UINT64_MAX), 1024);
}

UNIT(load_sizes, uniform_ones_reach_both_bounds)
{
    bool has_least = false;
    bool has_most = false;

    expect_near(mean_of("uniform:64:1k", 64, 1024), 544);
    expect_eq(parse("uniform:7:9"), 0);
    for (uint64_t i = 0; i < 300; i++) {
        const uint64_t size = sizes_draw(&sizes, payload_mix(i));
        has_least |= size == 7;
        has_most |= size == 9;
    }
    cr_assert(has_least);
    cr_assert(has_most);
}

UNIT(load_sizes, exponential_ones_have_their_mean)
{
    expect_near(mean_of("exp:1k", 1, 16384), 1024);
    expect_near(mean_of("exp:32M", 1, SIZES_MAX),
                (double)(32U << 20) * (1 - exp(-2)));
}

UNIT(load_sizes, pareto_ones_have_their_mean)
{
    /* shape * scale / (shape - 1); sizes above the limit hardly count. */
    expect_near(mean_of("pareto:100:3:64M", 100, SIZES_MAX), 150);
    mean_of("pareto:100:0.5:2k", 100, 2048);
}

UNIT(load_sizes, parts_of_a_mix_come_by_their_weights)
{
    uint64_t large = 0;

    expect_near(mean_of("mix:100:90,10k:10", 100, 10240), 1114);
    for (uint64_t i = 0; i < DRAWS; i++) {
        const uint64_t size = sizes_draw(&sizes, payload_mix(i));
        cr_assert(size == 100 || size == 10240);
        large += size == 10240;
    }
    expect_near((double)large / DRAWS, 0.1);
}

UNIT(load_sizes, a_mistake_is_pointed_at)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "at 1, '': not a size such as 128 or 64K"},
        {"x", "at 1, 'x': not a size such as 128 or 64K"},
        {"0", "at 1, '0': out of range, 1 to 64M"},
        {"65M", "at 1, '65M': out of range, 1 to 64M"},
        {"uniform:1k", "at 11, '': write uniform:LEAST:MOST"},
        {"uniform:9:8", "at 11, '8': less than the least size"},
        {"uniform:1:2:3", "at 12, ':3': expected the end"},
        {"exp:0", "at 5, '0': out of range, 1 to 64M"},
        {"exp:5:6", "at 6, ':6': expected the end"},
        {"pareto:9:x:9", "at 10, 'x:9': not a shape such as 1.2"},
        {"pareto:9:0:9", "at 10, '0:9': not a shape such as 1.2"},
        {"pareto:9:1.2", "at 13, '': write pareto:LEAST:SHAPE:MOST"},
        {"pareto:9:1:8", "at 12, '8': less than the least size"},
        {"mix:9", "at 6, '': write mix:SIZE:WEIGHT,SIZE:WEIGHT"},
        {"mix:9:0", "at 7, '0': not a weight, 1 to 1M"},
        {"mix:9:1,", "at 9, '': not a size such as 128 or 64K"},
        {"mix:9:1:1", "at 8, ':1': expected the end"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_eq(parse(cases[i].text), -EINVAL, "%s", cases[i].text);
        expect_str_eq(why, cases[i].why);
        expect_eq(sizes.most, 0, "a refusal wrote its result");
    }
    expect_eq(parse("mix:1:1,2:1,3:1,4:1,5:1,6:1,7:1,8:1,9:1,10:1,11:1,12:1,"
                    "13:1,14:1,15:1,16:1,17:1"),
              -EINVAL);
    cr_assert(strstr(why, "too many parts"));
}

UNIT(load_sizes, bounds_are_moved_where_there_are_none)
{
    expect_eq(parse("exp:1k"), 0);
    cr_assert(sizes_clip(&sizes, 16, 65507));
    expect_eq(sizes_draw(&sizes, UINT64_MAX), 16);
    expect_eq(parse("exp:60k"), 0);
    cr_assert(sizes_clip(&sizes, 16, 65507));
    expect_eq(sizes_draw(&sizes, 0), 65507);
    expect_eq(parse("uniform:15:20"), 0);
    cr_assert(!sizes_clip(&sizes, 16, 65507));
    expect_eq(parse("65508"), 0);
    cr_assert(!sizes_clip(&sizes, 16, 65507));
}
