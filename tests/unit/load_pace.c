/*
 * When responses of weir-load's server may leave: the service time, freezes at
 * the end of each period, and a rate whose fractions add up.
 *
 * Times are numbers; a random test checks the freezes and the order.
 */
#include "tools/weir-load/serve/serve_pace.c"

#include "random.h"

#define MS UINT64_C(1000000)

static struct pace pace;

static void begin(struct pace_options options)
{
    pace_init(&pace, &options);
}

UNIT(load_pace, without_options_an_answer_is_due_at_once)
{
    begin((struct pace_options){.delay_ns = 0});
    expect_eq(pace_take(&pace, 17, 0), 17);
    expect_eq(pace_take(&pace, 17, 5), 22);
}

UNIT(load_pace, a_delay_is_that_of_each_answer_alone)
{
    begin((struct pace_options){.delay_ns = 5 * MS});
    expect_eq(pace_take(&pace, 100 * MS, 0), 105 * MS);
    expect_eq(pace_take(&pace, 100 * MS, 0), 105 * MS);
    expect_eq(pace_take(&pace, 101 * MS, 2 * MS), 108 * MS);
}

UNIT(load_pace, nothing_leaves_in_a_freeze)
{
    begin((struct pace_options){
        .delay_ns = 5 * MS, .freeze_ns = 500 * MS, .period_ns = 2000 * MS});
    expect_eq(pace_take(&pace, 1000 * MS, 0), 1005 * MS);
    expect_eq(pace_take(&pace, 1494 * MS, 0), 1499 * MS);
    expect_eq(pace_take(&pace, 1496 * MS, 0), 2000 * MS, "due in the freeze");
    expect_eq(pace_take(&pace, 1500 * MS, 0), 2005 * MS, "came in it");
    expect_eq(pace_take(&pace, 1999 * MS, 0), 2005 * MS);
    expect_eq(pace_take(&pace, 2000 * MS, 0), 2005 * MS);
}

UNIT(load_pace, a_rate_is_a_queue_of_all_answers)
{
    begin((struct pace_options){.rate = 1000});
    expect_eq(pace_take(&pace, 10 * MS, 0), 11 * MS);
    expect_eq(pace_take(&pace, 10 * MS, 0), 12 * MS);
    expect_eq(pace_take(&pace, 11 * MS, 0), 13 * MS);
    expect_eq(pace_take(&pace, 50 * MS, 0), 51 * MS, "idle time is not saved");
}

UNIT(load_pace, fractions_of_a_nanosecond_add_up)
{
    uint64_t due_ns = 0;

    begin((struct pace_options){.rate = 3});
    for (int i = 0; i < 3000; i++) {
        due_ns = pace_take(&pace, 0, 0);
    }
    expect_eq(due_ns, 1000 * UINT64_C(1000000000));
}

UNIT(load_pace, a_freeze_stops_the_queue_of_a_rate)
{
    begin((struct pace_options){
        .rate = 100, .freeze_ns = 500 * MS, .period_ns = 1000 * MS});
    for (uint64_t i = 1; i < 50; i++) {
        expect_eq(pace_take(&pace, 0, 0), i * 10 * MS);
    }
    expect_eq(pace_take(&pace, 0, 0), 1000 * MS, "done when the freeze begins");
    expect_eq(pace_take(&pace, 0, 0), 1010 * MS);
}

UNIT(load_pace, answers_stay_in_order_and_out_of_freezes)
{
    struct unit_random chance = unit_random_new();
    for (int run = 0; run < 200; run++) {
        const uint64_t period_ns = 1 + unit_random_below(&chance, 1000);
        struct pace_options options = {
            .delay_ns = unit_random_below(&chance, 300),
            .freeze_ns = unit_random_below(&chance, period_ns),
            .period_ns = period_ns,
            .rate = unit_random_below(&chance, 2) * 100000000,
        };
        uint64_t now_ns = unit_random_below(&chance, 10000);
        uint64_t last_ns = 0;

        begin(options);
        for (int i = 0; i < 200; i++) {
            now_ns += unit_random_below(&chance, 50);
            const uint64_t due_ns = pace_take(&pace, now_ns, 0);
            expect_geq(due_ns, now_ns + options.delay_ns);
            expect_geq(due_ns, last_ns);
            expect_lt(due_ns % period_ns, period_ns - options.freeze_ns);
            last_ns = due_ns;
        }
    }
}

UNIT(load_pace, a_freeze_is_two_times_of_which_the_first_is_less)
{
    struct pace_options options = {.delay_ns = 1};
    static const char *const bad[] = {
        "",         "500ms", "500ms/",  "/2s", "2s/500ms",
        "2s/2s",    "0/2s",  "1s/2s/3", "a/b", "500ms/2s ",
        "500ms:2s", "1s/",   "-1s/2s"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_eq(pace_parse_freeze(bad[i], &options), -EINVAL, "%s", bad[i]);
        expect_eq(options.period_ns, 0);
    }
    expect_eq(pace_parse_freeze("500ms/2s", &options), 0);
    expect_eq(options.freeze_ns, 500 * MS);
    expect_eq(options.period_ns, 2000 * MS);
    cr_assert(pace_is_needed(&options));
}
