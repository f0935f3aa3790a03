/*
 * The table of percentiles and the log, as text from a histogram made by hand.
 *
 * End-to-end tests check what HdrHistogram's own library makes of them, if it
 * is installed.
 */
#include "tools/weir-load/measure/hgrm.c"

#include "tests/unit.h"

static struct histogram h;
static char *text;
static size_t size;

static FILE *open_text(void)
{
    FILE *file = open_memstream(&text, &size);

    cr_assert_not_null(file);
    return file;
}

static const char *table(void)
{
    free(text);
    FILE *file = open_text();
    hgrm_write(&h, file);
    fclose(file);
    return text;
}

UNIT(load_hgrm, a_table_comes_closer_to_its_end_by_halves)
{
    histogram_clear(&h);
    for (uint64_t i = 1; i <= 4; i++) {
        histogram_record(&h, i * 100);
    }

    expect_str_eq(table(),
                  "       Value     Percentile TotalCount 1/(1-Percentile)\n\n"
                  "       0.000 0.000000000000          1           1.00\n"
                  "       0.000 0.100000000000          1           1.11\n"
                  "       0.000 0.200000000000          1           1.25\n"
                  "       0.000 0.300000000000          2           1.43\n"
                  "       0.000 0.400000000000          2           1.67\n"
                  "       0.000 0.500000000000          2           2.00\n"
                  "       0.000 0.550000000000          3           2.22\n"
                  "       0.000 0.600000000000          3           2.50\n"
                  "       0.000 0.650000000000          3           2.86\n"
                  "       0.000 0.700000000000          3           3.33\n"
                  "       0.000 0.750000000000          3           4.00\n"
                  "       0.000 0.775000000000          4           4.44\n"
                  "       0.000 1.000000000000          4\n"
                  "#[Mean    =        0.000, StdDeviation   =        0.000]\n"
                  "#[Max     =        0.000, Total count    =            4]\n"
                  "#[Buckets =           32, SubBuckets     =         2048]\n");
    free(text);
    text = NULL;
}

UNIT(load_hgrm, values_are_milliseconds_at_the_end_of_their_bucket)
{
    histogram_clear(&h);
    histogram_record(&h, 5000000);

    cr_assert_not_null(
        strstr(table(), "\n       5.001 0.000000000000          1 "));
    cr_assert_not_null(strstr(text, "#[Mean    =        5.000, StdDev"), "%s",
                       text);
    cr_assert_not_null(strstr(
        text, "#[Max     =        5.001, Total count    =            1]"));
    free(text);
    text = NULL;
}

UNIT(load_hgrm, an_empty_table_has_no_rows)
{
    histogram_clear(&h);

    expect_str_eq(table(),
                  "       Value     Percentile TotalCount 1/(1-Percentile)\n\n"
                  "#[Mean    =        0.000, StdDeviation   =        0.000]\n"
                  "#[Max     =        0.000, Total count    =            0]\n"
                  "#[Buckets =           32, SubBuckets     =         2048]\n");
    free(text);
    text = NULL;
}
