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
static unsigned passed_on;

/* ---- in place of the loop ---- */

uint64_t __wrap_weir_loop_get_time(const weir_loop *loop);

uint64_t __wrap_weir_loop_get_time(const weir_loop *loop)
{
    (void)loop;
    return turn_ns;
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
}

static void answer(uint64_t now_ns)
{
    traffic.ready(&conn, now_ns);
}

/* One answer of an iteration of its own, 10 ns after its begin. */
static void take_turn(uint64_t at_ns)
{
    turn_ns = at_ns;
    answer(at_ns + 10);
}

UNIT(load_reading, a_sample_has_the_wait_for_a_cpu_and_the_place_in_the_turn)
{
    answer(1100); /* it arms the sample */
    answer(1200); /* of the same iteration */
    expect_eq(record.reading.count, 0);

    turn_ns = 5000;
    set_waits(900);
    answer(5010);
    answer(5030);
    expect_eq(record.reading.count, 2);
    expect_eq(record.reading.min, 410);
    expect_eq(record.reading.max, 430);
    expect_eq(passed_on, 4);
}

UNIT(load_reading, samples_that_are_far_apart_leave_no_answer_out)
{
    answer(1100);
    for (uint64_t i = 1; i <= 10; i++) {
        take_turn(i * 2 * PAUSE_NS);
    }
    expect_eq(record.reading.count, 10);
    expect_eq(record.reading.max, 10);
}

UNIT(load_reading, quick_answers_are_left_out_between_samples)
{
    enum { TURNS = 100000 };

    for (uint64_t i = 1; i <= TURNS; i++) {
        take_turn(1000 + i * PAUSE_NS / 20);
    }
    cr_assert(record.reading.count > TURNS / 80);
    cr_assert(record.reading.count < TURNS / 5);
    expect_eq(passed_on, TURNS);
}

UNIT(load_reading, waits_before_a_request_is_sent_are_none_of_an_answer)
{
    answer(1100);
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

    /* It is over. */
    turn_ns = 6000 + PAUSE_NS;
    set_waits(1950);
    reading_note_wake(&traffic);
    take_turn(turn_ns + 100);
    expect_eq(record.reading.max, 53);
}

UNIT(load_reading, the_warm_up_is_not_sampled)
{
    traffic.measuring = false;
    answer(1100);
    take_turn(5000);
    expect_eq(record.reading.count, 0);
}

UNIT(load_reading, without_the_kernels_count_the_place_in_the_turn_is_left)
{
    expect_eq(ftruncate(traffic.reading.fd, 0), 0);
    answer(1100);
    take_turn(5000);
    expect_eq(record.reading.max, 10);
}
