/*
 * A sample takes the place of traffic.ready, which is called after each answer,
 * until the iteration is over. What answers bring in the iteration in which the
 * timer came is left out: it was received before the timer.
 */
#include "reading.h"

#include "conn.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* From one sample to the next, at least. */
#define PAUSE_NS UINT64_C(2000000)

static void arm_later(struct traffic *traffic);

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

/* Begins a sample, or begins it again. */
static void begin(struct traffic *traffic)
{
    struct reading *reading = &traffic->reading;

    reading->armed_ns = weir_loop_get_time(traffic->loop);
    reading->turn_ns = 0;
    reading->wait_ns = read_waits(reading);
}

static void end(struct traffic *traffic)
{
    traffic->ready = traffic->reading.ready;
    traffic->reading.is_armed = false;
}

/* Takes the place of traffic.ready. */
static void take_sample(struct conn *conn, uint64_t now_ns)
{
    struct traffic *traffic = conn->traffic;
    struct reading *reading = &traffic->reading;
    const uint64_t turn_ns = weir_loop_get_time(traffic->loop);

    if (reading->turn_ns == 0 && turn_ns != reading->armed_ns) {
        reading->turn_ns = turn_ns;
        reading->wait_ns = read_waits(reading) - reading->wait_ns;
    }
    if (turn_ns != reading->turn_ns && reading->turn_ns > 0) {
        end(traffic);
        arm_later(traffic);
    } else if (turn_ns == reading->turn_ns && traffic->measuring) {
        histogram_record(&traffic->record->reading,
                         now_ns - turn_ns + reading->wait_ns);
    }
    reading->ready(conn, now_ns);
}

static void arm_cb(void *arg)
{
    struct traffic *traffic = arg;

    assert(!traffic->reading.is_armed);
    begin(traffic);
    traffic->reading.is_armed = true;
    traffic->ready = take_sample;
}

/* Without the memory for a timer there are no more samples. */
static void arm_later(struct traffic *traffic)
{
    if (weir_loop_call_later(traffic->loop, PAUSE_NS, arm_cb, traffic,
                             &traffic->reading.timer) < 0) {
        traffic->reading.timer = (struct weir_handle){0};
    }
}

void reading_start(struct traffic *traffic)
{
    traffic->reading = (struct reading){
        .fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC),
        .ready = traffic->ready,
    };
    arm_later(traffic);
}

void reading_note_wake(struct traffic *traffic)
{
    if (traffic->reading.is_armed && traffic->reading.turn_ns == 0) {
        begin(traffic);
    }
}

void reading_stop(struct traffic *traffic)
{
    struct reading *reading = &traffic->reading;

    if (!reading->ready) {
        return;
    }
    weir_loop_cancel(traffic->loop, reading->timer);
    end(traffic);
    reading->ready = NULL;
    if (reading->fd >= 0) {
        close(reading->fd);
    }
}
