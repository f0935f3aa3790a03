/*
 * weir-load's table of errors: kinds are distinguished by phase and code, and
 * errors without space in the table are still counted.
 *
 * Each of weir-load's own codes has a name and a text.
 */
#include "tools/weir-load/measure/errors.c"

#include "tests/unit.h"

#include <errno.h>

UNIT(load_errors, the_first_of_a_kind_is_given_for_its_detail)
{
    static struct error_table table;

    struct error_kind *first =
        errors_add(&table, PHASE_TRANSFER, -ECONNRESET, 3);

    cr_assert_not_null(first);
    cr_assert_null(errors_add(&table, PHASE_TRANSFER, -ECONNRESET, 2));
    expect_eq(first->count, 2);
    expect_eq(first->requests, 5);
}

UNIT(load_errors, phase_and_code_make_a_kind)
{
    static struct error_table table;

    errors_add(&table, PHASE_TRANSFER, -ECONNRESET, 1);
    errors_add(&table, PHASE_CONNECT, -ECONNRESET, 1);
    errors_add(&table, PHASE_CONNECT, -ECONNREFUSED, 1);
    errors_add(&table, PHASE_CONNECT, -ECONNREFUSED, 1);

    expect_eq(table.kind_count, 3);
    expect_eq(table.kinds[2].count, 2);
}

UNIT(load_errors, a_full_table_goes_on_counting)
{
    static struct error_table table;

    for (int i = 1; i <= ERRORS_KINDS + 5; i++) {
        errors_add(&table, PHASE_CONNECT, -i, 0);
    }

    expect_eq(table.kind_count, ERRORS_KINDS);
    expect_eq(table.other_count, 5);
}

UNIT(load_errors, own_codes_and_the_kernels_have_names)
{
    expect_str_eq(error_code_name(ERROR_WRONG_ECHO), "WRONG_ECHO");
    expect_str_eq(error_code_name(-ECONNRESET), "ECONNRESET");
    expect_str_eq(error_phase_name(PHASE_VALIDATE), "validate");
    cr_assert(strlen(error_code_text(ERROR_EOF)) > 0);
    cr_assert(strlen(error_code_text(-ECONNRESET)) > 0);
}

UNIT(load_errors, events_since_the_last_time_are_told_by_kind)
{
    static struct error_table table;
    static struct error_counts seen;
    static struct error_counts counts;
    errors_add(&table, PHASE_CONNECT, -ECONNREFUSED, 0);
    errors_since(&table, &seen, &counts);
    expect_eq(counts.kind_count, 1);

    errors_since(&table, &seen, &counts);
    expect_eq(counts.kind_count, 0);
    errors_add(&table, PHASE_TRANSFER, -ECONNRESET, 1);
    errors_add(&table, PHASE_TRANSFER, -ECONNRESET, 1);
    errors_since(&table, &seen, &counts);

    expect_eq(counts.kind_count, 1);
    expect_eq(counts.kinds[0].phase, PHASE_TRANSFER);
    expect_eq(counts.kinds[0].code, -ECONNRESET);
    expect_eq(counts.kinds[0].count, 2);
    for (int i = 1; i <= ERRORS_KINDS + 5; i++) {
        errors_add(&table, PHASE_TLS, -i, 0);
    }
    errors_since(&table, &seen, &counts);
    expect_eq(counts.kind_count, ERRORS_KINDS - 2);
    expect_eq(counts.other_count, 7);
}

UNIT(load_errors, counts_of_threads_are_added_by_kind)
{
    static struct error_counts sum;
    static struct error_counts full;
    sum.kinds[sum.kind_count++] = (struct error_count){PHASE_EOF, ERROR_EOF, 2};
    for (int i = 1; i <= ERRORS_KINDS; i++) {
        full.kinds[full.kind_count++] = (struct error_count){PHASE_TLS, -i, 3};
    }
    full.other_count = 4;

    errors_add_counts(&sum, &sum);
    expect_eq(sum.kind_count, 1);
    expect_eq(sum.kinds[0].count, 4);
    errors_add_counts(&sum, &full);

    expect_eq(sum.kind_count, ERRORS_KINDS);
    expect_eq(sum.kinds[ERRORS_KINDS - 1].count, 3);
    expect_eq(sum.other_count, 4 + 3);
}
