/*
 * Samples of how long responses were in their sockets: which responses are
 * sampled, and which time counts for each.
 *
 * The loop's time is simulated, and a file in memory replaces the kernel's
 * count of waits.
 */
#define UNIT_RUN with_reading
#include "tools/weir-load/conn/reading.c"

#include "tests/unit.h"

#include <stdio.h>
#include <sys/mman.h>

#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static struct traffic traffic;
static struct record record;
static struct conn conn;
static uint64_t turn_ns;
static uint64_t cpu_ns;
static unsigned passed_on;

uint64_t __wrap_weir_loop_get_time(const weir_loop *loop);

uint64_t __wrap_weir_loop_get_time(const weir_loop *loop)
{
    (void)loop;
    return turn_ns;
}

uint64_t __wrap_clock_now_ns(void);

uint64_t __wrap_clock_now_ns(void)
{
    return turn_ns + 10;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
    expect_eq(clock, CLOCK_THREAD_CPUTIME_ID);
    *ret = (struct timespec){.tv_sec = (time_t)(cpu_ns / SECOND),
                             .tv_nsec = (long)(cpu_ns % SECOND)};
    return 0;
}

static void count_ready(struct conn *self, uint64_t now_ns)
{
    expect_eq(self, &conn);
    (void)now_ns;
    passed_on++;
}

/* Sets how long the thread has run and waited, and how often it got a CPU. */
static void set_times(uint64_t ran_ns, uint64_t waited_ns, unsigned count)
{
    expect_eq(ftruncate(traffic.reading.fd, 0), 0);
    expect_eq(lseek(traffic.reading.fd, 0, SEEK_SET), 0);
    cr_assert(dprintf(traffic.reading.fd, "%llu %llu %u\n",
                      (unsigned long long)ran_ns, (unsigned long long)waited_ns,
                      count) > 0);
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
    cpu_ns = 0;
    turn_ns = 1000;
    reading_start(&traffic);
    if (traffic.reading.fd >= 0) {
        close(traffic.reading.fd);
    }
    traffic.reading.fd = memfd_create("schedstat", MFD_CLOEXEC);
    cr_assert(traffic.reading.fd >= 0);
    set_times(0, 500, 1);
    body();
    reading_stop(&traffic);
    cr_assert(traffic.ready == count_ready);
}

static void answer(uint64_t now_ns)
{
    traffic.ready(&conn, now_ns);
}

/* One response in an iteration of its own, 10 ns after the start of the
 * iteration. */
static void take_turn(uint64_t at_ns)
{
    turn_ns = at_ns;
    answer(at_ns + 10);
}

/* Runs the two iterations before a sample. */
static void begin_sample(void)
{
    take_turn(MS);
    set_times(0, 500, 2);
    take_turn(2 * MS);
    expect_eq(record.reading.count, 0);
}

UNIT(load_reading, a_sample_has_the_wait_for_a_cpu_and_the_place_in_the_turn)
{
    begin_sample();
    turn_ns = 3 * MS;
    set_times(0, 900, 3);
    traffic.reading.taken_ns = 1000;
    answer(3 * MS + 10);
    expect_eq(record.sampled.max, 1000);
    expect_eq(record.prompt.max, 1000 - 410);
    answer(3 * MS + 30);
    expect_eq(record.prompt.count, 1, "the time of an answer counts once");
    expect_eq(record.reading.count, 2);
    expect_eq(record.reading.min, 410);
    expect_eq(record.reading.max, 430);
    expect_eq(passed_on, 4);
}

/* A thread that waited finds one response, and in the next iteration those that
 * have arrived meanwhile; it does not sleep between them. */
UNIT(load_reading, a_wait_counts_until_the_thread_sleeps)
{
    take_turn(MS);
    set_times(0, 500 + 3 * MS, 2);
    take_turn(5 * MS);
    take_turn(7 * MS);
    expect_eq(record.reading.max, 4 * MS + 10);
    set_times(2 * MS, 500 + 3 * MS, 3);
    take_turn(9 * MS);
    expect_eq(record.reading.min, MS + 10, "it was taken off its CPU");
    set_times(2 * MS, 500 + 3 * MS, 4);
    take_turn(11 * MS);
    expect_eq(record.reading.min, 10, "it has slept");
    expect_eq(record.reading.count, 3);
}

UNIT(load_reading, a_thread_that_slept_leaves_the_kernel_before_it_reads)
{
    begin_sample();
    set_times(2 * SECOND, 900, 3);
    cpu_ns = 2 * SECOND + 10 + 300;
    turn_ns = 3 * SECOND;
    answer(3 * SECOND + 10);
    expect_eq(record.reading.count, 1);
    expect_eq(record.reading.max, 10 + 400 + 300);
}

/* The kernel's count is newer than the loop's time. */
UNIT(load_reading, a_wait_may_be_longer_than_the_time_that_has_passed)
{
    begin_sample();
    set_times(0, 500 + 2 * MS, 2);
    take_turn(3 * MS);
    expect_eq(record.reading.max, 2 * MS + 10);
}

UNIT(load_reading, samples_that_are_far_apart_leave_no_answer_out)
{
    begin_sample();
    for (unsigned i = 3; i < 13; i++) {
        set_times(0, 500, i);
        take_turn(i * MS);
    }
    expect_eq(record.reading.count, 10);
    expect_eq(record.reading.max, 10);
}

/* Four connections, whose responses arrive together every 5 ms. */
UNIT(load_reading, bursts_that_are_far_apart_leave_no_answer_out)
{
    enum { BURSTS = 500 };

    begin_sample();
    for (uint64_t i = 0; i < BURSTS; i++) {
        for (uint64_t k = 0; k < 4; k++) {
            take_turn((3 + 5 * i) * MS + k * 20000);
        }
    }
    expect_eq(record.reading.count, 4 * BURSTS);
}

UNIT(load_reading, quick_answers_are_left_out_between_samples)
{
    enum { TURNS = 100000 };

    for (uint64_t i = 1; i <= TURNS; i++) {
        take_turn(MS + i * PAUSE_NS / 20);
    }
    cr_assert(record.reading.count > TURNS / 80);
    cr_assert(record.reading.count < TURNS / 5);
    expect_eq(passed_on, TURNS);
}

UNIT(load_reading, waits_before_a_request_is_sent_are_none_of_an_answer)
{
    begin_sample();
    turn_ns = 3 * MS;
    set_times(0, 900, 3);
    reading_note_wake(&traffic);
    set_times(0, 950, 4);
    take_turn(4 * MS);
    expect_eq(record.reading.max, 60);

    /* The iteration is known. */
    reading_note_wake(&traffic);
    answer(4 * MS + 20);
    expect_eq(record.reading.max, 70);
}

UNIT(load_reading, a_time_lacks_the_lateness_of_sending_and_reading)
{
    static const struct {
        uint64_t sent_late_ns;
        uint64_t prompt_ns;
        const char *what;
    } rows[] = {
        {0, 2 * MS - 410, "it was sent in time"},
        {MS, MS - 410, "it was sent late"},
        {2 * MS, 0, "it took no longer than it was late"},
    };

    begin_sample();
    turn_ns = 3 * MS;
    set_times(0, 900, 3);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        histogram_clear(&record.prompt);
        traffic.reading.taken_ns = 2 * MS;
        traffic.reading.sent_late_ns = rows[i].sent_late_ns;
        answer(3 * MS + 10);
        expect_eq(record.sampled.min, 2 * MS, "%s", rows[i].what);
        expect_eq(record.prompt.max, rows[i].prompt_ns, "%s", rows[i].what);
    }
    expect_eq(record.sampled.count, record.reading.count);
}

UNIT(load_reading, the_warm_up_is_not_sampled)
{
    traffic.measuring = false;
    begin_sample();
    take_turn(3 * MS);
    expect_eq(record.reading.count, 0);
}

UNIT(load_reading, without_the_kernels_count_the_place_in_the_turn_is_left)
{
    expect_eq(ftruncate(traffic.reading.fd, 0), 0);
    take_turn(1000);
    take_turn(2000);
    take_turn(3000);
    expect_eq(record.reading.max, 10);
}
