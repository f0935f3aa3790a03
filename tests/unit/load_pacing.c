/*
 * Requests of an open model, sent by a schedule with a simulated clock and
 * connections: when the timer is armed, which connection gets the next request,
 * how late it is, and what is dropped.
 *
 * Connections are letters.
 */
#define UNIT_RUN with_pacing
#include "tools/weir-load/run/pacing.c"

#include "tools/common/clock.h"

#include "tests/unit.h"

static struct pacing pacing;
static struct traffic traffic;
static struct record record;
static struct schedule_plan plan;
static struct conn conns[3];
static uint64_t clock_ns;
/* The connections that were sent to, as letters, and the time of the last
 * request. */
static char sent[32];
static uint64_t last_meant_ns;
static bool last_is_measured;
/* The timer of the loop. */
static bool is_armed;
static uint64_t armed_ns;
static weir_callback_fn *armed_cb;

int __wrap_weir_loop_call_at(weir_loop *loop, uint64_t at_ns,
                             weir_callback_fn *cb, void *arg,
                             struct weir_handle *ret);
int __wrap_weir_handle_cancel(weir_loop *loop, struct weir_handle handle);

int __wrap_weir_loop_call_at(weir_loop *loop, uint64_t at_ns,
                             weir_callback_fn *cb, void *arg,
                             struct weir_handle *ret)
{
    cr_assert_not(is_armed, "there is one timer at a time");
    expect_eq(arg, &pacing);
    is_armed = true;
    armed_ns = at_ns;
    armed_cb = cb;
    (void)loop;
    (void)ret;
    return 0;
}

int __wrap_weir_handle_cancel(weir_loop *loop, struct weir_handle handle)
{
    (void)loop;
    (void)handle;
    is_armed = false;
    return 0;
}

bool say(const char *format, ...)
{
    cr_assert(false, "%s", format);
    return false;
}

uint64_t clock_now_ns(void)
{
    return clock_ns;
}

bool conn_has_room(const struct conn *conn)
{
    return conn->outstanding == 0;
}

void conn_send_meant(struct conn *conn, uint64_t meant_ns, uint64_t now_ns,
                     bool is_measured)
{
    const size_t len = strlen(sent);

    expect_eq(now_ns, clock_ns);
    conn->outstanding++;
    conn->traffic->outstanding++;
    sent[len] = (char)('a' + (conn - conns));
    last_meant_ns = meant_ns;
    last_is_measured = is_measured;
}

void conn_tell_drained(struct traffic *self)
{
    expect_eq(self, &traffic);
}

static void with_pacing(void (*body)(void))
{
    /* Requests after 10, 20, 30, 40 and 50 ns. */
    plan = (struct schedule_plan){.stages = {{10, 0, 0}, {45, 1e8, 1e8}},
                                  .stage_count = 2};
    memset(&traffic, 0, sizeof(traffic));
    memset(conns, 0, sizeof(conns));
    memset(sent, 0, sizeof(sent));
    memset(&record, 0, sizeof(record));
    record_init(&record);
    traffic.record = &record;
    traffic.pacing = &pacing;
    traffic.reading.left = 1; /* no sample is near */
    traffic.remaining = UINT64_MAX;
    traffic.number_stride = 3;
    for (size_t i = 0; i < 3; i++) {
        conns[i].traffic = &traffic;
    }
    clock_ns = 1000;
    is_armed = false;
    pacing_init(&pacing, &traffic, &plan, 0, 1);
    body();
}

static void offer(size_t index)
{
    pacing_offer(&conns[index], clock_ns);
}

static void answer(size_t index)
{
    conns[index].outstanding--;
    traffic.outstanding--;
    offer(index);
}

/* Advances to this time after the start of the schedule, and runs a due timer.
 */
static void go_on_to(uint64_t ns)
{
    clock_ns = 1000 + ns;
    if (is_armed && armed_ns <= clock_ns) {
        is_armed = false;
        armed_cb(&pacing);
    }
}

static void start(uint64_t window_ns, uint64_t end_ns)
{
    pacing_start(&pacing, NULL, 1000, 1000 + window_ns, 1000 + end_ns);
}

UNIT(load_pacing, connections_get_requests_in_the_order_in_which_they_had_room)
{
    offer(1);
    offer(0);
    offer(2);
    offer(1);
    start(0, 100);
    expect_eq(armed_ns, 1010);
    go_on_to(9);
    expect_str_eq(sent, "");
    go_on_to(10);
    expect_str_eq(sent, "b");
    expect_eq(armed_ns, 1020);
    go_on_to(30);
    expect_str_eq(sent, "bac");
    answer(2);
    answer(1);
    go_on_to(50);
    expect_str_eq(sent, "baccb");
    expect_eq(last_meant_ns, 1050);
    cr_assert_not(is_armed, "the schedule is over");
    expect_eq(traffic.remaining, 0);
    expect_eq(traffic.measured.scheduled, 5);
}

UNIT(load_pacing, an_offer_that_sends_moves_the_timer)
{
    start(0, 100);
    clock_ns = 1012;
    offer(0);
    expect_str_eq(sent, "a");
    expect_eq(armed_ns, 1020);
}

UNIT(load_pacing, a_connection_that_was_lost_since_has_no_room)
{
    offer(0);
    offer(1);
    conns[0].outstanding = 1;
    start(0, 100);
    go_on_to(10);
    expect_str_eq(sent, "b");
}

UNIT(load_pacing, the_wait_for_a_connection_is_not_the_clients_lateness)
{
    offer(0);
    start(0, 100);
    go_on_to(13);
    expect_eq(record.lateness.max, 3);
    expect_eq(record.own_lateness.max, 3);
    go_on_to(24);
    cr_assert_not(is_armed, "all connections are busy");
    go_on_to(29);
    offer(1);
    expect_str_eq(sent, "ab");
    expect_eq(record.lateness.max, 9);
    expect_eq(record.own_lateness.max, 4);
    expect_eq(record.blocked.count, 1);
    expect_eq(record.blocked.max, 5);
    expect_eq(traffic.waited, 1);
    expect_eq(traffic.late_ns, 4);
    cr_assert(is_armed);
    offer(2);
    go_on_to(30);
    expect_eq(record.lateness.min, 0);
    expect_eq(traffic.waited, 1, "it had room at once");
}

UNIT(load_pacing, what_has_waited_was_blocked_when_that_was_first_seen)
{
    start(0, 100);
    go_on_to(12);
    go_on_to(14);
    conns[0].outstanding = 1;
    offer(0);
    conns[0].outstanding = 0;
    clock_ns = 1018;
    offer(0);
    expect_eq(record.lateness.max, 8);
    expect_eq(record.own_lateness.max, 2);
}

UNIT(load_pacing, no_more_are_under_way_than_may_be)
{
    pacing.in_flight_max = 2;
    for (size_t i = 0; i < 3; i++) {
        offer(i);
    }
    start(0, 100);
    go_on_to(30);
    expect_str_eq(sent, "ab");
    traffic.outstanding = 3;
    offer(0);
    expect_str_eq(sent, "ab");
    traffic.outstanding = 1;
    offer(0);
    expect_str_eq(sent, "abc");
}

UNIT(load_pacing, what_finds_no_connection_is_dropped_where_that_is_asked_for)
{
    pacing.is_skipping = true;
    start(25, 100);
    go_on_to(40);
    expect_eq(traffic.warmup.dropped, 2);
    expect_eq(traffic.warmup.scheduled, 2);
    expect_eq(traffic.measured.dropped, 2);
    expect_eq(traffic.measured.scheduled, 2);
    expect_eq(traffic.next_number, 12);
    offer(0);
    go_on_to(50);
    expect_str_eq(sent, "a");
    cr_assert(last_is_measured);
    expect_eq(traffic.next_number, 12);
}

UNIT(load_pacing, requests_before_the_window_are_not_measured)
{
    offer(0);
    offer(1);
    start(20, 100);
    go_on_to(11);
    cr_assert_not(last_is_measured);
    expect_eq(record.lateness.count, 0);
    expect_eq(traffic.warmup.scheduled, 1);
    go_on_to(20);
    cr_assert(last_is_measured);
    expect_eq(record.lateness.count, 1);
    expect_eq(traffic.measured.scheduled, 1);
}

UNIT(load_pacing, the_schedule_ends_with_the_window_or_the_number_of_requests)
{
    start(0, 30);
    offer(0);
    go_on_to(10);
    offer(1);
    go_on_to(20);
    offer(2);
    go_on_to(60);
    expect_str_eq(sent, "ab");
    expect_eq(traffic.measured.scheduled, 2);

    pacing_stop(&pacing, clock_ns);
    memset(conns, 0, sizeof(conns));
    pacing_init(&pacing, &traffic, &plan, 0, 1);
    for (size_t i = 0; i < 3; i++) {
        conns[i].traffic = &traffic;
        offer(i);
    }
    traffic.outstanding = 0;
    traffic.remaining = 1;
    clock_ns = 1000;
    start(0, 100);
    go_on_to(60);
    expect_str_eq(sent, "aba");
}

UNIT(load_pacing, requests_that_have_become_due_are_counted_once)
{
    start(0, 45);
    expect_eq(pacing_count_due(&pacing, 1010), 0);
    expect_eq(pacing_count_due(&pacing, 1021), 2);
    expect_eq(pacing_count_due(&pacing, 1021), 0);
    expect_eq(pacing_count_due(&pacing, 1200), 2);
    expect_eq(pacing_count_due(&pacing, 1300), 0);

    pacing_init(&pacing, &traffic, &plan, 0, 1);
    start(0, 100);
    expect_eq(pacing_count_due(&pacing, 1090), 5);
}

UNIT(load_pacing, what_was_not_sent_when_it_stops_is_dropped)
{
    pacing_stop(&pacing, 1100);
    start(0, 100);
    pacing_stop(&pacing, 1030);
    expect_eq(traffic.measured.dropped, 3);
    cr_assert_not(is_armed);
    cr_assert_not(pacing.is_started);
    offer(0);
    expect_str_eq(sent, "");
}
