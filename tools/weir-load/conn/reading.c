/*
 * All answers go through note_answer(), which is in the place of traffic.ready
 * and counts down to a sample. Then iterations are observed: the first shows
 * what has been before, the second how long the thread waited for a CPU before
 * it, and the answers of the third are the sample. Counting answers and not
 * time gives iterations after a long wait no other chance than those after a
 * short one.
 *
 * A thread that waited finds one answer, and those that have arrived meanwhile
 * in the next iteration. So waits count for two iterations if it did not sleep
 * between them.
 */
#include "reading.h"

#include "conn.h"
#include "tools/common/clock.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* About the time between samples, and the most answers between. */
#define PAUSE_NS   UINT64_C(300000)
#define PAUSE_MOST 1024U

/* Iterations that are observed before the one that is a sample. */
#define SEEN_LEAST 3U

/* Less time off the CPU than this is no sleep. */
#define SLEPT_NS UINT64_C(10000)

/* Reads what the thread did up to now; all is 0 if the kernel does not say it.
 */
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

/* Returns how long a thread that slept was on its CPU before the iteration
 * began: the kernel leaves its sleep and receives meanwhile. The kernel's count
 * of the time on a CPU is brought up to date when the thread is taken off it,
 * and the thread's clock always. */
static uint64_t find_woken(const struct reading_times *times)
{
    struct timespec cpu = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    const uint64_t cpu_ns =
        (uint64_t)cpu.tv_sec * UINT64_C(1000000000) + (uint64_t)cpu.tv_nsec;
    const uint64_t known_ns = times->ran_ns + clock_now_ns() - times->turn_ns;

    return cpu_ns > known_ns ? cpu_ns - known_ns : 0;
}

/* Notes how late the answers of this iteration are, unless it has been noted.
 */
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
    /* The kernel's counts are a little newer than the loop's time. */
    const uint64_t worked_ns =
        passed_ns > waited_ns ? passed_ns - waited_ns : 0;
    /* Without the kernel's counts it is taken for asleep. */
    const bool has_slept = reading->last.run_count == 0 ||
                           (reading->last.run_count != last.run_count &&
                            passed_ns > waited_ns + ran_ns + SLEPT_NS);

    /* Waits go on while it works; on average answers come amid that work. */
    reading->late_ns = has_slept ? waited_ns + find_woken(&reading->last)
                                 : reading->wait_ns + waited_ns + worked_ns / 2;
    reading->wait_ns = waited_ns;
    reading->seen++;
}

/* A sample is over: more answers are left out before the next one if it came
 * soon after the one before, else fewer. */
static void pause_sampling(struct reading *reading, uint64_t sample_ns)
{
    if (sample_ns - reading->sample_ns >= PAUSE_NS) {
        reading->pause = (reading->pause + 1) / 2;
    } else if (reading->pause < PAUSE_MOST) {
        reading->pause *= 2;
    }
    reading->sample_ns = sample_ns;
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
    if (reading->seen >= SEEN_LEAST && traffic->measuring) {
        histogram_record(&traffic->record->reading,
                         now_ns - reading->last.turn_ns + reading->late_ns);
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
