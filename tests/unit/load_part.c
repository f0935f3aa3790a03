/*
 * Parts of one load: the syntax, the variables of schedulers, and that the
 * parts together are the whole.
 *
 * End-to-end tests check what parts send.
 */
#include "tools/weir-load/schedule/part.c"

#include "tests/unit.h"

static struct part part;
static char why[WHY_SIZE];

UNIT(load_part, people_count_from_one)
{
    expect_eq(part_parse("2/8", &part, why), 0, "%s", why);
    expect_eq(part.index, 1);
    expect_eq(part.count, 8);
    expect_eq(part_parse("1/1", &part, why), 0, "%s", why);
    expect_eq(part_parse("10000/10000", &part, why), 0, "%s", why);
    expect_eq(part.index, 9999);
}

UNIT(load_part, what_is_no_part_is_refused)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "not a part such as 2/8"},
        {"2", "not a part such as 2/8"},
        {"/8", "not a part such as 2/8"},
        {"2/", "not a part such as 2/8"},
        {"2/8/9", "not a part such as 2/8"},
        {"-1/8", "not a part such as 2/8"},
        {" 1/8", "not a part such as 2/8"},
        {"1/10001", "of at most 10000"},
        {"1/99999999999999999999", "of at most 10000"},
        {"11111111111111111111/2", "not a part such as 2/8"},
        {"0/8", "auto/8 reads its number"},
        {"9/8", "there are only 8 parts"},
        {"1/0", "the number of parts is 1 to 10000"},
        {"0/0", "the number of parts is 1 to 10000"},
        {"auto/", "the number of parts is 1 to 10000"},
        {"auto/0", "the number of parts is 1 to 10000"},
        {"auto/x", "the number of parts is 1 to 10000"},
        {"auto", "write the part itself, as 2/8"},
        {"auto/8", "write the part itself, as 2/8"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        why[0] = '\0';
        expect_eq(part_parse(cases[i].text, &part, why), -EINVAL, "%s",
                  cases[i].text);
        cr_assert(strstr(why, cases[i].why), "%s: %s", cases[i].text, why);
    }
}

UNIT(load_part, a_scheduler_says_which)
{
    static const struct {
        const char *index;
        const char *count;
    } cases[] = {
        {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
        {"PMI_RANK", "PMI_SIZE"},
        {"SLURM_PROCID", "SLURM_NTASKS"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setenv(cases[i].index, "2", 1);
        expect_eq(part_parse("auto", &part, why), -EINVAL);
        cr_assert(strstr(why, "write auto/8"), "%s", why);
        setenv(cases[i].count, "3", 1);
        expect_eq(part_parse("auto", &part, why), 0, "%s", why);
        expect_eq(part.index, 2);
        expect_eq(part.count, 3);
        expect_eq(part_parse("auto/5", &part, why), 0, "%s", why);
        expect_eq(part.count, 5);
        setenv(cases[i].count, "2", 1);
        expect_eq(part_parse("auto", &part, why), -EINVAL);
        cr_assert(strstr(why, "beyond the last of 2 parts, 1"), "%s", why);
        setenv(cases[i].count, "two", 1);
        expect_eq(part_parse("auto", &part, why), -EINVAL);
        cr_assert(strstr(why, "'two', which is not a count"), "%s", why);
        setenv(cases[i].index, "", 1);
        expect_eq(part_parse("auto", &part, why), -EINVAL);
        cr_assert(strstr(why, "'', which is not an index"), "%s", why);
        unsetenv(cases[i].index);
        unsetenv(cases[i].count);
    }
}

UNIT(load_part, an_indexed_job_says_the_index_alone)
{
    setenv("JOB_COMPLETION_INDEX", "0", 1);
    expect_eq(part_parse("auto", &part, why), -EINVAL);
    cr_assert(strstr(why, "write auto/8"), "%s", why);
    expect_eq(part_parse("auto/8", &part, why), 0, "%s", why);
    expect_eq(part.index, 0);
    expect_eq(part.count, 8);
    unsetenv("JOB_COMPLETION_INDEX");
}

/* Returns the sum of the sizes of all parts, each of which must begin where the
 * previous one ends. */
static uint64_t add_sizes(uint64_t whole, uint32_t count)
{
    uint64_t sum = 0;

    for (uint32_t index = 0; index < count; index++) {
        part = (struct part){.index = index, .count = count};
        expect_eq(part_begin(&part, whole), sum);
        sum += part_size(&part, whole);
        expect_leq(part_size(&part, whole) - whole / count, 1);
    }
    return sum;
}

UNIT(load_part, parts_together_are_the_whole)
{
    static const uint64_t wholes[] = {0, 1, 7, 8, 9, 1000003, UINT64_MAX};

    for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
        for (uint32_t count = 1; count < 100; count++) {
            expect_eq(add_sizes(wholes[i], count), wholes[i]);
        }
    }
}
