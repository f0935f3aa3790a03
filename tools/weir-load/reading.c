/*
 * All answers go through note_answer(), which is in the place of traffic.ready
 * and counts down to a sample. When it is armed, the answers of the next
 * iteration that has some are the sample. Counting answers and not time gives
 * iterations after a long wait no other chance than those after a short one.
 */
#include "reading.h"

#include "conn.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* About the time from one sample to the next, and the most answers between. */
#define PAUSE_NS   UINT64_C(1000000)
#define PAUSE_MOST 1024U

/* Returns how long the thread has waited for a CPU in all, or 0 if the kernel
 * does not say it. */
static uint64_t read_waits(const struct reading *reading)
{
    char line[64];
    char *second = NULL;
    const ssize_t len =
        reading->fd < 0 ? -1 : pread(reading->fd, line, sizeof(line) - 1, 0);

    if (len <= 0) {
        return 0;
    }
    line[len] = '\0';
    strtoull(line, &second, 10);
    return strtoull(second, NULL, 10);
}

/* Arms a sample, perhaps again. */
static void arm(struct traffic *traffic)
{
    struct reading *reading = &traffic->reading;

    reading->left = 0;
    reading->turn_ns = 0;
    reading->armed_ns = weir_loop_get_time(traffic->loop);
    reading->waits_ns = read_waits(reading);
}

/* The iteration of the sample is over: more answers are left out before the
 * next one if it came soon after the one before, else fewer. */
static void pause_sampling(struct reading *reading)
{
    if (reading->turn_ns - reading->last_ns >= PAUSE_NS) {
        reading->pause = (reading->pause + 1) / 2;
    } else if (reading->pause < PAUSE_MOST) {
        reading->pause *= 2;
    }
    reading->last_ns = reading->turn_ns;
    reading->turn_ns = 0;
    reading->left = reading->pause > 1 ? reading->pause : 0;
}

/* An answer that is the last before a sample, or may be in one. */
static void take_sample(struct traffic *traffic, uint64_t now_ns)
{
    struct reading *reading = &traffic->reading;
    const uint64_t turn_ns = weir_loop_get_time(traffic->loop);

    if (reading->left == 1) {
        arm(traffic);
    }
    if (reading->turn_ns > 0 && turn_ns != reading->turn_ns) {
        pause_sampling(reading);
    }
    if (reading->left > 0 || turn_ns == reading->armed_ns) {
        return;
    }
    if (reading->turn_ns == 0) {
        const uint64_t waits_ns = read_waits(reading);
        reading->turn_ns = turn_ns;
        reading->wait_ns = waits_ns - reading->waits_ns;
        reading->waits_ns = waits_ns;
    }
    if (traffic->measuring) {
        histogram_record(&traffic->record->reading,
                         now_ns - turn_ns + reading->wait_ns);
    }
}

static void note_answer(struct conn *conn, uint64_t now_ns)
{
    struct traffic *traffic = conn->traffic;

    if (traffic->reading.left > 1) {
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
        .left = 1,
        .ready = traffic->ready,
    };
    traffic->ready = note_answer;
}

void reading_note_wake(struct traffic *traffic)
{
    struct reading *reading = &traffic->reading;

    if (reading->left > 0 ||
        reading->turn_ns == weir_loop_get_time(traffic->loop)) {
        return;
    }
    if (reading->turn_ns > 0) {
        pause_sampling(reading);
    }
    if (reading->left == 0) {
        arm(traffic);
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
