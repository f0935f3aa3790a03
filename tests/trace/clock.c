/*
 * Runs a loop on the fake ring for some time. A timer of the loop makes it wait
 * that long; an event of the fake machine at the same moment ensures that the
 * clock stops there.
 */
#include "clock.h"

#include "tests/expect.h"
#include "tests/fake/fake.h"

static bool is_over(void *arg)
{
    return fake_now() >= *(uint64_t *)arg;
}

static void nothing(void *arg)
{
}

void clock_run_for(weir_loop *loop, uint64_t time_ns)
{
    uint64_t end_ns = fake_now() + time_ns;
    struct weir_handle handle;

    fake_at(end_ns, nothing, NULL);
    expect_eq(weir_loop_call_later(loop, time_ns, nothing, NULL, &handle), 0);
    expect_eq(weir_loop_run_until(loop, is_over, &end_ns), 0);
}
