/*
 * The time constants of base.h, such as a second in nanoseconds.
 *
 * They are wide enough for any time, and can be used in static initialisers and
 * with integers of any type.
 */
#include "weir/base.h"

#include "tests/unit.h"

static const uint64_t hour_ns = WEIR_SECONDS(3600);

_Static_assert(WEIR_MILLISECONDS(1) == 1000000, "it is a constant");

UNIT(base, seconds_and_milliseconds_are_nanoseconds_of_64_bits)
{
    const short few = 3;
    const long long many = 500LL * 365 * 24 * 3600; /* 500 years */
    expect_eq(hour_ns, UINT64_C(3600000000000));
    expect_eq(WEIR_SECONDS(few), UINT64_C(3000000000));
    expect_eq(WEIR_MILLISECONDS(few + 2), UINT64_C(5000000));
    expect_eq(WEIR_SECONDS(many), UINT64_C(15768000000000000000));
    expect_eq(WEIR_SECONDS(0), 0);
}
