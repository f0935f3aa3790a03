/*
 * Samples how late the client reads answers.
 *
 * note_answer() replaces traffic.ready and counts answers down to a sample.
 * Then three loop iterations are observed. The first gives the starting values,
 * the second shows how long the thread waited for a CPU, and the answers of the
 * third are the sample. Answers are counted instead of time, so that iterations
 * after a long wait are as likely to be chosen as others.
 *
 * A thread that waited finds one answer first, and the answers that arrived
 * meanwhile in the next iteration. So a wait counts for two iterations if the
 * thread did not sleep between them.
 */
#include "conn.h"

#include "tools/common/clock.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* PAUSE_NS is the wanted time between two samples, and PAUSE_MOST the most
 * answers between them. The time is compared after GROUP samples, because a few
 * may follow each other quickly. */
#define PAUSE_NS   UINT64_C(300000)
#define PAUSE_MOST 1024U
#define GROUP      16U

/* Observed iterations, including the sample. */
#define SEEN_LEAST 3U

/* A shorter time off the CPU is not a sleep. */
#define SLEPT_NS UINT64_C(10000)

/* All times are 0 if the kernel does not report them. */
static struct reading_times read_times(const struct reading *reading,
                                       uint64_t turn_ns)
{
    struct reading_times times = {.turn_ns = turn_ns};
    char line[96];
    char *rest = line;
    const ssize_t len =
        reading->fd < 0 ? -1 : pread(reading->fd, line, sizeof(line) - 1, 0);

    if (len > 0) {
        line[len] = '\0';
        times.ran_ns = strtoull(rest, &rest, 10);
        times.waited_ns = strtoull(rest, &rest, 10);
        times.run_count = strtoull(rest, &rest, 10);
    }
    return times;
}

/* Returns how long a thread that slept had been on its CPU when the iteration
 * began: the kernel ends the sleep and receives. schedstat's time on a CPU is
 * updated when the thread leaves it, but the thread's CPU clock is always
 * current. */
static uint64_t find_woken(const struct reading_times *times)
{
    struct timespec cpu = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    const uint64_t cpu_ns =
        (uint64_t)cpu.tv_sec * UINT64_C(1000000000) + (uint64_t)cpu.tv_nsec;
    const uint64_t known_ns = times->ran_ns + clock_now_ns() - times->turn_ns;

    return cpu_ns > known_ns ? cpu_ns - known_ns : 0;
}

/* Computes, once per iteration, how late its answers are read. */
static void observe(struct traffic *traffic)
{
    struct reading *reading = &traffic->reading;
    const struct reading_times last = reading->last;
    const uint64_t turn_ns = weir_loop_get_time(traffic->loop);

    if (turn_ns == last.turn_ns) {
        return;
    }
    reading->last = read_times(reading, turn_ns);
    const uint64_t passed_ns = turn_ns - last.turn_ns;
    const uint64_t waited_ns = reading->last.waited_ns - last.waited_ns;
    const uint64_t ran_ns = reading->last.ran_ns - last.ran_ns;
    /* The kernel's counts are slightly newer than the loop's time. */
    const uint64_t worked_ns =
        passed_ns > waited_ns ? passed_ns - waited_ns : 0;
    /* Without the kernel's counts the thread is assumed to have slept. */
    const bool has_slept = reading->last.run_count == 0 ||
                           (reading->last.run_count != last.run_count &&
                            passed_ns > waited_ns + ran_ns + SLEPT_NS);

    /* After no sleep, the previous wait counts too. On average answers arrive
     * in the middle of the thread's work. */
    reading->late_ns = has_slept ? waited_ns + find_woken(&reading->last)
                                 : reading->wait_ns + waited_ns + worked_ns / 2;
    reading->wait_ns = waited_ns;
    reading->seen++;
}

/* Ends a sample. After a group, skips twice as many answers between samples if
 * they were less than PAUSE_NS apart, else half as many. */
static void pause_sampling(struct reading *reading, uint64_t sample_ns)
{
    reading->group++;
    if (reading->group == GROUP) {
        if (sample_ns - reading->group_ns >= GROUP * PAUSE_NS) {
            reading->pause = (reading->pause + 1) / 2;
        } else if (reading->pause < PAUSE_MOST) {
            reading->pause *= 2;
        }
        reading->group = 0;
        reading->group_ns = sample_ns;
    }
    if (reading->pause > 1) {
        reading->left = reading->pause;
        reading->seen = 0;
    }
}

static void take_sample(struct traffic *traffic, uint64_t now_ns)
{
    struct reading *reading = &traffic->reading;
    const struct reading_times last = reading->last;

    observe(traffic);
    if (reading->seen > SEEN_LEAST && reading->last.turn_ns != last.turn_ns) {
        pause_sampling(reading, last.turn_ns);
    }
    const uint64_t late_ns = now_ns - reading->last.turn_ns + reading->late_ns;
    if (reading->seen < SEEN_LEAST || !traffic->measuring) {
        return;
    }
    histogram_record(&traffic->record->reading, late_ns);
    if (reading->taken_ns > 0) {
        /* The latency of a request, and the same without the client's delays in
         * sending the request and in reading its answer. */
        const uint64_t own_ns = reading->sent_late_ns + late_ns;
        histogram_record(&traffic->record->sampled, reading->taken_ns);
        histogram_record(&traffic->record->prompt,
                         reading->taken_ns > own_ns ? reading->taken_ns - own_ns
                                                    : 0);
    }
}

static void note_answer(struct conn *conn, uint64_t now_ns)
{
    struct traffic *traffic = conn->traffic;

    if (traffic->reading.left > 0) {
        traffic->reading.left--;
    } else {
        take_sample(traffic, now_ns);
    }
    traffic->reading.taken_ns = 0;
    traffic->reading.ready(conn, now_ns);
}

void reading_start(struct traffic *traffic)
{
    traffic->reading = (struct reading){
        .fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC),
        .pause = 1,
        .ready = traffic->ready,
    };
    traffic->ready = note_answer;
}

void reading_note_wake(struct traffic *traffic)
{
    if (traffic->reading.left == 0) {
        observe(traffic);
    }
}

void reading_stop(struct traffic *traffic)
{
    struct reading *reading = &traffic->reading;

    if (!reading->ready) {
        return;
    }
    traffic->ready = reading->ready;
    reading->ready = NULL;
    if (reading->fd >= 0) {
        close(reading->fd);
    }
}
