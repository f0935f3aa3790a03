/*
 * Samples of how long answers were in their sockets: which answers are one, and
 * what each is charged with. The time of the loop is made up, and a file in
 * memory is in the place of the kernel's count of waits.
 */
#define UNIT_RUN with_reading
#include "tools/weir-load/reading.c"

#include "tests/unit.h"

#include <stdio.h>
#include <sys/mman.h>

static struct traffic traffic;
static struct record record;
static struct conn conn;
static uint64_t turn_ns;
/* The timer of the loop; NULL: none is armed. */
static weir_callback_fn *armed_cb;
static unsigned passed_on;

/* ---- in place of the loop ---- */

uint64_t __wrap_weir_loop_get_time(const weir_loop *loop);
int __wrap_weir_loop_call_later(weir_loop *loop, uint64_t delay_ns,
                                weir_callback_fn *cb, void *arg,
                                struct weir_handle *ret);
int __wrap_weir_loop_cancel(weir_loop *loop, struct weir_handle handle);

uint64_t __wrap_weir_loop_get_time(const weir_loop *loop)
{
    (void)loop;
    return turn_ns;
}

int __wrap_weir_loop_call_later(weir_loop *loop, uint64_t delay_ns,
                                weir_callback_fn *cb, void *arg,
                                struct weir_handle *ret)
{
    cr_assert_null(armed_cb, "there is one timer at a time");
    expect_eq(arg, &traffic);
    expect_eq(delay_ns, PAUSE_NS);
    armed_cb = cb;
    (void)loop;
    (void)ret;
    return 0;
}

int __wrap_weir_loop_cancel(weir_loop *loop, struct weir_handle handle)
{
    (void)loop;
    (void)handle;
    armed_cb = NULL;
    return 0;
}

/* ---- what the tests do ---- */

static void count_ready(struct conn *self, uint64_t now_ns)
{
    expect_eq(self, &conn);
    (void)now_ns;
    passed_on++;
}

static void set_waits(uint64_t waits_ns)
{
    expect_eq(ftruncate(traffic.reading.fd, 0), 0);
    expect_eq(lseek(traffic.reading.fd, 0, SEEK_SET), 0);
    cr_assert(dprintf(traffic.reading.fd, "123456 %llu 7\n",
                      (unsigned long long)waits_ns) > 0);
}

static void with_reading(void (*body)(void))
{
    memset(&traffic, 0, sizeof(traffic));
    memset(&record, 0, sizeof(record));
    record_init(&record);
    traffic.record = &record;
    traffic.measuring = true;
    traffic.ready = count_ready;
    conn.traffic = &traffic;
    armed_cb = NULL;
    passed_on = 0;
    turn_ns = 1000;
    reading_start(&traffic);
    if (traffic.reading.fd >= 0) {
        close(traffic.reading.fd);
    }
    traffic.reading.fd = memfd_create("schedstat", MFD_CLOEXEC);
    cr_assert(traffic.reading.fd >= 0);
    set_waits(500);
    body();
    reading_stop(&traffic);
    cr_assert(traffic.ready == count_ready);
    cr_assert_null(armed_cb);
}

static void fire(void)
{
    weir_callback_fn *cb = armed_cb;

    armed_cb = NULL;
    cb(&traffic);
}

static void answer(uint64_t now_ns)
{
    traffic.ready(&conn, now_ns);
}

UNIT(load_reading, between_samples_an_answer_costs_nothing)
{
    cr_assert(traffic.ready == count_ready);
    answer(1200);
    expect_eq(record.reading.count, 0);
}

UNIT(load_reading, a_sample_has_the_wait_for_a_cpu_and_the_place_in_the_turn)
{
    fire();
    answer(1100); /* received before the timer */
    expect_eq(record.reading.count, 0);

    turn_ns = 5000;
    set_waits(900);
    answer(5010);
    answer(5030);
    expect_eq(record.reading.count, 2);
    expect_eq(record.reading.min, 410);
    expect_eq(record.reading.max, 430);

    turn_ns = 6000;
    answer(6100);
    expect_eq(record.reading.count, 2);
    cr_assert(traffic.ready == count_ready);
    expect_eq(passed_on, 4);

    fire();
    turn_ns = 7000;
    answer(7007);
    expect_eq(record.reading.min, 7);
}

UNIT(load_reading, waits_before_a_request_is_sent_are_none_of_an_answer)
{
    fire();
    turn_ns = 5000;
    set_waits(900);
    reading_note_wake(&traffic);
    turn_ns = 6000;
    set_waits(950);
    answer(6002);
    expect_eq(record.reading.max, 52);

    /* The sample has begun. */
    reading_note_wake(&traffic);
    answer(6003);
    expect_eq(record.reading.max, 53);
}

UNIT(load_reading, the_warm_up_is_not_sampled)
{
    traffic.measuring = false;
    fire();
    turn_ns = 5000;
    answer(5010);
    expect_eq(record.reading.count, 0);
}

UNIT(load_reading, without_the_kernels_count_the_place_in_the_turn_is_left)
{
    expect_eq(ftruncate(traffic.reading.fd, 0), 0);
    fire();
    turn_ns = 5000;
    answer(5010);
    expect_eq(record.reading.max, 10);
}
