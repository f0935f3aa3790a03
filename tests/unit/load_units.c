/*
 * Numbers with units, as weir-load's options accept them and its reports print
 * them: every unit, the limits of 64 bits, and texts that are not numbers.
 *
 * A refused text must leave the result unchanged.
 */
#include "tools/common/units.c"

#include "tests/unit.h"

#define SECOND UINT64_C(1000000000)

static const char *const nonsense[] = {
    "",    " ",  "k",  "-1",   "+1",    "1 k", " 1",  "1x", "0x10",
    "1e3", "1.", ".5", "1..5", "1.5.5", "ten", "1kk", "%",  "1s1",
};

typedef int parse_fn(const char *, uint64_t *);

static uint64_t must(parse_fn *parse_value, const char *text)
{
    uint64_t value = 0;

    expect_eq(parse_value(text, &value), 0, "'%s' was refused", text);
    return value;
}

static void refuses(parse_fn *parse_value, const char *text, int err)
{
    uint64_t value = 42;

    expect_eq(parse_value(text, &value), err, "'%s'", text);
    expect_eq(value, 42, "'%s' wrote its result", text);
}

UNIT(load_units, counts_are_powers_of_1000)
{
    expect_eq(must(units_parse_count, "0"), 0);
    expect_eq(must(units_parse_count, "17"), 17);
    expect_eq(must(units_parse_count, "50k"), 50000);
    expect_eq(must(units_parse_count, "1.5M"), 1500000);
    expect_eq(must(units_parse_count, "2G"), 2000000000);
}

UNIT(load_units, sizes_are_powers_of_1024)
{
    expect_eq(must(units_parse_size, "128"), 128);
    expect_eq(must(units_parse_size, "128B"), 128);
    expect_eq(must(units_parse_size, "64K"), 65536);
    expect_eq(must(units_parse_size, "64k"), 65536);
    expect_eq(must(units_parse_size, "1.5MiB"), 1572864);
    expect_eq(must(units_parse_size, "2G"), UINT64_C(2) << 30);
}

UNIT(load_units, times_are_exact_to_the_nanosecond)
{
    expect_eq(must(units_parse_time, "3"), 3 * SECOND);
    expect_eq(must(units_parse_time, "0.1"), SECOND / 10);
    expect_eq(must(units_parse_time, "7ns"), 7);
    expect_eq(must(units_parse_time, "1.5us"), 1500);
    expect_eq(must(units_parse_time, "250ms"), SECOND / 4);
    expect_eq(must(units_parse_time, "1.000000001s"), SECOND + 1);
    expect_eq(must(units_parse_time, "2m"), 120 * SECOND);
    expect_eq(must(units_parse_time, "1h"), 3600 * SECOND);
    expect_eq(must(units_parse_time, "1m30s"), 90 * SECOND);
    expect_eq(must(units_parse_time, "30S"), 30 * SECOND);
    expect_eq(must(units_parse_time, "2M"), 120 * SECOND);
    expect_eq(must(units_parse_time, "1H"), 3600 * SECOND);
    expect_eq(must(units_parse_time, "10sec"), 10 * SECOND);
    expect_eq(must(units_parse_time, "2min"), 120 * SECOND);
    expect_eq(must(units_parse_time, "7d"), 7 * 24 * 3600 * SECOND);
    cr_assert(units_lacks_unit("5000") && units_lacks_unit("0.5"));
    cr_assert_not(units_lacks_unit("0") || units_lacks_unit("0.0"));
    cr_assert_not(units_lacks_unit("5s") || units_lacks_unit("off"));
    expect_eq(must(units_parse_time, "1h0.5m1ms"),
              3630 * SECOND + SECOND / 1000);
}

UNIT(load_units, percentages_are_millionths)
{
    expect_eq(must(units_parse_percent, "100%"), 1000000);
    expect_eq(must(units_parse_percent, "0.1%"), 1000);
    refuses(units_parse_percent, "1", -EINVAL);
}

UNIT(load_units, text_that_is_no_number_is_refused)
{
    for (size_t i = 0; i < COUNT_OF(nonsense); i++) {
        refuses(units_parse_count, nonsense[i], -EINVAL);
        refuses(units_parse_size, nonsense[i], -EINVAL);
        refuses(units_parse_time, nonsense[i], -EINVAL);
    }
    refuses(units_parse_count, "1s", -EINVAL);
    refuses(units_parse_size, "1s", -EINVAL);
    refuses(units_parse_time, "1K", -EINVAL);
    refuses(units_parse_time, "1m30", -EINVAL);
    refuses(units_parse_time, "30s1m", -EINVAL);
    refuses(units_parse_time, "1s1s", -EINVAL);
    refuses(units_parse_time, "1m30x", -EINVAL);
    refuses(units_parse_time, "1m.s", -EINVAL);
    refuses(units_parse_time, "5000000h5000000m99999999999s", -ERANGE);
}

UNIT(load_units, a_number_that_does_not_fit_is_out_of_range)
{
    expect_eq(must(units_parse_count, "18446744073709551615"), UINT64_MAX);
    refuses(units_parse_count, "18446744073709551616", -ERANGE);
    refuses(units_parse_count, "99999999999999999999999", -ERANGE);
    refuses(units_parse_size, "17179869184G", -ERANGE);
    refuses(units_parse_time, "18446744074", -ERANGE);
}

UNIT(load_units, printed_times_have_three_digits)
{
    char text[UNITS_TEXT_SIZE];

    expect_str_eq(units_format_time(0, text), "0ns");
    expect_str_eq(units_format_time(999, text), "999ns");
    expect_str_eq(units_format_time(1000, text), "1.00us");
    expect_str_eq(units_format_time(9994, text), "9.99us");
    expect_str_eq(units_format_time(9995, text), "10.0us");
    expect_str_eq(units_format_time(99950, text), "100us");
    expect_str_eq(units_format_time(184321, text), "184us");
    expect_str_eq(units_format_time(999499, text), "999us");
    expect_str_eq(units_format_time(999500, text), "1.00ms");
    expect_str_eq(units_format_time(1814000, text), "1.81ms");
    expect_str_eq(units_format_time(999499999, text), "999ms");
    expect_str_eq(units_format_time(999500000, text), "1.00s");
    expect_str_eq(units_format_time(10 * SECOND, text), "10.0s");
    expect_str_eq(units_format_time(3600 * SECOND, text), "3600s");
}

UNIT(load_units, printed_sizes_are_whole_where_they_can_be)
{
    char text[UNITS_TEXT_SIZE];

    expect_str_eq(units_format_size(0, text), "0 B");
    expect_str_eq(units_format_size(1023, text), "1023 B");
    expect_str_eq(units_format_size(65536, text), "64 KiB");
    expect_str_eq(units_format_size(1572864, text), "1.5 MiB");
    expect_str_eq(units_format_size(UINT64_C(1) << 40, text), "1 TiB");
}
