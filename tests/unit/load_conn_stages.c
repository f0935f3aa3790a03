/*
 * The number of connections over time: the syntax of stages, the number at each
 * time, and the shares of threads and parts, whose sum is that number for any
 * division.
 *
 * Random tests print their seed and accept it.
 */
#include "tools/weir-load/schedule/conn_stages.c"

#include "tools/weir-load/schedule/schedule.h"

#include "random.h"

#define SEC UINT64_C(1000000000)

#define ROUNDS      2000
#define CONNS_MOST  5000U
#define PARTS_MOST  9U
#define THREAD_MOST 7U

static struct conn_stages read_stages(const char *text)
{
    struct conn_stages stages;
    char why[WHY_SIZE] = "";

    expect_eq(conn_stages_parse(text, &stages, why), 0, "%s: %s", text, why);
    return stages;
}

UNIT(load_conn_stages, stages_are_read)
{
    const struct conn_stages stages =
        read_stages("30s@0..100,1m@1k,10s@100..0");

    expect_eq(stages.count, 3);
    expect_eq(stages.list[0].from, 0);
    expect_eq(stages.list[0].to, 100);
    expect_eq(stages.list[1].from, 1000);
    expect_eq(stages.list[1].to, 1000);
    expect_eq(conn_stages_duration(&stages), 100 * SEC);
    expect_eq(conn_stages_most(&stages), 1000);
    expect_eq(conn_stages_least(&stages), 0);
}

UNIT(load_conn_stages, a_stage_of_k6_goes_on_from_the_number_before)
{
    const struct conn_stages stages = read_stages("30s:100,1m:100,5s@7,10s:0");

    expect_eq(stages.list[0].from, 1);
    expect_eq(stages.list[0].to, 100);
    expect_eq(stages.list[1].from, 100);
    expect_eq(stages.list[1].to, 100);
    expect_eq(stages.list[3].from, 7);
    expect_eq(stages.list[3].to, 0);
}

UNIT(load_conn_stages, the_number_goes_straight_from_one_to_the_other)
{
    const struct conn_stages stages =
        read_stages("10s@0..100,5s@30,10s@100..0");
    static const struct {
        uint64_t time_ns;
        uint64_t count;
    } rows[] = {
        {0, 0},
        {1 * SEC, 10},
        {5 * SEC, 50},
        {9 * SEC, 90},
        {10 * SEC, 30},
        {14 * SEC, 30},
        {15 * SEC, 100},
        {16 * SEC, 90},
        {24 * SEC, 10},
        {25 * SEC, 0},
        {99 * SEC, 0},
        {10 * SEC - 1, 100},
        {25 * SEC - 1, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect_eq(conn_stages_at(&stages, rows[i].time_ns), rows[i].count,
                  "row %zu", i);
    }
}

/* Adds the shares as run.c divides them: ranges of parts, and of threads inside
 * these. */
static uint64_t add_shares(uint64_t wanted, uint64_t whole, uint32_t parts,
                           uint32_t threads)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < parts; i++) {
        const struct part part = {.index = i, .count = parts};
        const uint64_t size = part_size(&part, whole);
        for (uint32_t k = 0; k < threads; k++) {
            const struct part thread = {.index = k, .count = threads};
            const uint64_t count = part_size(&thread, size);
            const uint64_t share = conn_stages_share(
                wanted, whole,
                part_begin(&part, whole) + part_begin(&thread, size), count);
            cr_assert(share <= count);
            sum += share;
        }
    }
    return sum;
}

UNIT(load_conn_stages, threads_and_parts_have_the_number_together)
{
    struct unit_random random = unit_random_new();

    for (int round = 0; round < ROUNDS; round++) {
        const uint64_t whole = 1 + unit_random_below(&random, CONNS_MOST);
        const uint64_t wanted = unit_random_below(&random, whole + 1);
        const uint32_t parts =
            1 + (uint32_t)unit_random_below(&random, PARTS_MOST);
        const uint32_t threads =
            1 + (uint32_t)unit_random_below(&random, THREAD_MOST);
        expect_eq(add_shares(wanted, whole, parts, threads), wanted);
        expect_eq(add_shares(whole, whole, parts, threads), whole);
    }
}

UNIT(load_conn_stages, errors_have_a_position)
{
    static const struct {
        const char *text;
        const char *why;
    } wrong[] = {
        {"", "at 1"},
        {"30s", "a stage is"},
        {"30s@1k,", "at 8"},
        {"30s@1k,5@", "at 10, ''"},
        {"30s@1,x@5", "at 7, 'x@5'"},
        {"30s@1..y,1s@5", "at 8, 'y,1s@5'"},
        {"0s@5", "not a time"},
        {"9w@5", "not a time"},
        {"1s@-5", "not a number"},
        {"1s@x", "not a number"},
        {"1s@1000001", "not a number"},
        {"1s:5..6", "at 4, '5..6': not a number"},
        {"1s@0", "no stage has a connection"},
    };
    struct conn_stages stages;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char why[WHY_SIZE] = "";
        expect_eq(conn_stages_parse(wrong[i].text, &stages, why), -EINVAL, "%s",
                  wrong[i].text);
        cr_assert_not_null(strstr(why, wrong[i].why), "%s: %s", wrong[i].text,
                           why);
    }
}

UNIT(load_conn_stages, there_are_32_stages_at_most)
{
    struct conn_stages stages;
    char why[WHY_SIZE] = "";
    char text[CONN_STAGES_MAX * 5 + 8] = "1s@1";

    for (int i = 1; i < CONN_STAGES_MAX; i++) {
        strcat(text, ",1s@1");
    }
    expect_eq(conn_stages_parse(text, &stages, why), 0);
    strcat(text, ",1s@1");
    expect_eq(conn_stages_parse(text, &stages, why), -EINVAL);
    cr_assert_not_null(strstr(why, "too many"));
}
