/*
 * The simulation's datagram endpoints: their plan, their timers, and checks
 * from outside.
 *
 * Between steps of the loop the length of each queue must match the accepted
 * datagrams, and counts must match the machine's. At each tick of the clock,
 * datagrams that can move must have moved.
 */
#include "tests/sim/datagram.h"

#include "weir/inspect.h"

#include <errno.h>

#define ABORT_AFTER (2 * SIM_S)

static struct sim_endpoint endpoints[SIM_ENDPOINT_MAX];
static uint32_t endpoint_count;

static void act_rarely(struct sim_endpoint *e)
{
    switch (fake_random(40)) {
    case 0:
        sim_endpoint_abort(e);
        break;
    case 1:
        sim_endpoint_close(e);
        break;
    case 2:
    case 3:
        sim_endpoint_limit(e);
        break;
    case 4:
    case 5:
    case 6:
        sim_endpoint_toggle(e);
        break;
    default:
        if (e->reading_paused) {
            sim_endpoint_toggle(e);
        }
        break;
    }
}

static void schedule_next(struct sim_endpoint *e, uint64_t now_ns)
{
    if (e->acts_left > 0 && now_ns < e->close_ns) {
        e->acts_left--;
        sim_endpoint_act_soon(e, fake_random(30 * SIM_MS));
    } else if (now_ns < e->close_ns) {
        sim_endpoint_act_soon(e, e->close_ns - now_ns);
    } else {
        sim_endpoint_act_soon(e, ABORT_AFTER);
    }
}

static void act(void *arg)
{
    struct sim_endpoint *e = arg;
    const uint64_t now_ns = fake_now();
    if (sim.in_api || sim.in_callback || e->state != SIM_MADE) {
        fake_fail("endpoint %u: its timer comes in state %d", e->id,
                  (int)e->state);
    }
    sim.in_callback = true;
    if (fake_chance(400)) {
        sim_endpoint_drop_kept(e);
    }
    if (e->close_asked && now_ns >= e->closing_ns + ABORT_AFTER) {
        sim_endpoint_abort(e);
    } else if (now_ns >= e->close_ns) {
        sim_endpoint_close(e);
    } else if (!weir_transport_is_closing(e->t)) {
        sim_endpoint_send(e);
        act_rarely(e);
    }
    schedule_next(e, now_ns);
    sim.in_callback = false;
}

void sim_endpoint_act_soon(struct sim_endpoint *e, uint64_t delay_ns)
{
    weir_handle_cancel(sim.loop, e->act);
    const int err = weir_loop_call_later(sim.loop, delay_ns, act, e, &e->act);
    if (err < 0 && (err != -ENOMEM || sim.alloc.failed == 0)) {
        fake_fail("call_later failed with %d", err);
    }
    if (err < 0) {
        sim_endpoint_abort(e); /* nothing else would end it */
    }
}

/* What has left the queue since the last look: sent, or told as an error. */
void sim_endpoint_watch(struct sim_endpoint *e)
{
    const uint64_t depth = weir_transport_get_write_buffer_size(e->t);
    struct weir_datagram_counts counts = {.size = sizeof(counts)};
    while (e->out_bytes > depth) {
        const size_t len = sim_datagram_len(e->out[e->out_head++]);
        e->out_bytes -= len + WEIR_DATAGRAM_COST;
        e->out_too_long += sim.datagram_max != 0 && len > sim.datagram_max;
    }
    wr_ignore(weir_transport_get_datagram_counts(e->t, &counts) < 0);
    const uint64_t failed = e->out_head - counts.sent;
    const int fd = weir_transport_get_socket(e->t);
    if (e->out_bytes != depth || counts.received != e->shown ||
        counts.errors != e->errors || failed > e->errors ||
        counts.sent != fake_taken_datagrams(fd) ||
        counts.dropped_by_kernel != fake_datagram_drops(fd) ||
        e->too_long != e->out_too_long) {
        fake_fail(
            "endpoint %u: %llu bytes wait, not %llu; %llu received, %llu "
            "shown; %u left the queue, %llu sent, %llu taken; %llu "
            "errors, %llu told; %u too long, %llu told",
            e->id, (unsigned long long)depth, (unsigned long long)e->out_bytes,
            (unsigned long long)counts.received, (unsigned long long)e->shown,
            e->out_head, (unsigned long long)counts.sent,
            (unsigned long long)fake_taken_datagrams(fd),
            (unsigned long long)counts.errors, (unsigned long long)e->errors,
            e->out_too_long, (unsigned long long)e->too_long);
    }
    if (counts.dropped_here > 0 && sim.alloc.failed == 0) {
        fake_fail("endpoint %u: %llu datagrams are lost, with memory", e->id,
                  (unsigned long long)counts.dropped_here);
    }
}

/* An error that a receive was told of is told once. One that a send was told of
 * in place of sending belongs to an earlier datagram, so that the one at hand
 * is tried again: it leaves unsent only after two of them. */
static void watch_refusals(const struct sim_endpoint *e)
{
    const int fd = weir_transport_get_socket(e->t);
    const uint64_t received = fake_received_errors(fd);
    const uint64_t sent = fake_sent_errors(fd);
    const uint64_t unsent =
        e->out_head - e->out_too_long - fake_taken_datagrams(fd);
    if (e->refused < received || e->refused > received + sent ||
        2 * (e->refused - received) + 1 < sent || 2 * unsent > sent) {
        fake_fail("endpoint %u: %llu refusals are told, %llu were received, "
                  "%llu came in place of sending; %llu datagrams left unsent",
                  e->id, (unsigned long long)e->refused,
                  (unsigned long long)received, (unsigned long long)sent,
                  (unsigned long long)unsent);
    }
}

static void watch_marks(const struct sim_endpoint *e)
{
    const uint64_t depth = weir_transport_get_write_buffer_size(e->t);
    const struct weir_water_marks marks =
        weir_transport_get_write_buffer_limits(e->t);
    if ((!e->writing_paused && depth > (uint64_t)marks.high_bytes) ||
        (e->writing_paused && depth <= (uint64_t)marks.low_bytes &&
         !e->marks_moved)) {
        fake_fail("endpoint %u: %llu bytes wait, paused: %d", e->id,
                  (unsigned long long)depth, e->writing_paused);
    }
}

uint64_t sim_endpoints_watch(void)
{
    uint64_t queued = 0;
    for (uint32_t i = 0; i < endpoint_count; i++) {
        struct sim_endpoint *e = &endpoints[i];
        if (e->state != SIM_MADE) {
            continue;
        }
        queued += weir_transport_get_write_buffer_size(e->t);
        if (!e->abort_asked && weir_transport_get_error(e->t) == 0) {
            sim_endpoint_watch(e);
        }
        if (e->connects && !e->abort_asked &&
            weir_transport_get_error(e->t) == 0) {
            watch_refusals(e);
        }
        if (!weir_transport_is_closing(e->t)) {
            watch_marks(e);
        }
    }
    return queued;
}

/* Datagrams wait in the machine or in the queue, and nothing holds them up. */
static bool could_move(const struct sim_endpoint *e)
{
    const int fd = weir_transport_get_socket(e->t);
    const bool reads =
        weir_transport_is_reading(e->t) && e->kept_count == 0 &&
        (fake_has_datagrams(fd) ||
         (sim.alloc.failed == 0 && e->shown < fake_given_count(fd)));
    const bool writes = weir_transport_get_write_buffer_size(e->t) > 0 &&
                        fake_has_datagram_room(fd) &&
                        (!e->box || fake_box_has_place(e->box));
    return reads || writes || weir_transport_get_error(e->t) != 0 ||
           e->abort_asked;
}

static void beat(struct sim_endpoint *e)
{
    const uint64_t moved = e->shown + e->out_head + e->errors;
    if (e->state != SIM_MADE || sim.alloc.failed > 0) {
        return;
    }
    sim.result.counts[SIM_DATAGRAM_HELD_UP] +=
        e->reading_paused && !weir_transport_is_closing(e->t) &&
        fake_has_datagrams(weir_transport_get_socket(e->t));
    e->idle_beats = could_move(e) && moved == e->moved ? e->idle_beats + 1 : 0;
    e->moved = moved;
    if (e->idle_beats > SIM_IDLE_BEATS) {
        weir_loop_dump(sim.loop, stderr);
        fake_fail("endpoint %u: it could go on, and does not", e->id);
    }
    if (e->close_asked && e->close_limit_ns != 0 &&
        fake_now() > e->closing_ns + e->close_limit_ns + SIM_S) {
        fake_fail("endpoint %u: it closes for ever", e->id);
    }
}

void sim_endpoints_beat(void)
{
    for (uint32_t i = 0; i < endpoint_count; i++) {
        beat(&endpoints[i]);
    }
}

bool sim_endpoints_step(void)
{
    if (endpoint_count == 0) {
        return false;
    }
    const uint32_t first = (uint32_t)fake_random(endpoint_count);
    for (uint32_t i = 0; i < endpoint_count; i++) {
        if (sim_box_step(&endpoints[(first + i) % endpoint_count])) {
            return true;
        }
    }
    return false;
}

bool sim_endpoints_are_over(void)
{
    for (uint32_t i = 0; i < endpoint_count; i++) {
        if (!endpoints[i].done || endpoints[i].state == SIM_MADE) {
            return false;
        }
    }
    return true;
}

void sim_endpoints_plan(void)
{
    memset(endpoints, 0, sizeof(endpoints));
    sim_box_forget();
    endpoint_count =
        fake_chance(500) ? 1 + (uint32_t)fake_random(SIM_ENDPOINT_MAX) : 0;
    for (uint32_t i = 0; i < endpoint_count; i++) {
        struct sim_endpoint *e = &endpoints[i];
        e->id = i;
        e->family = fake_chance(300) ? AF_UNIX : AF_INET;
        e->connects = e->family == AF_INET && fake_chance(500);
        e->refuses = fake_chance(30);
        e->minds_marks = fake_chance(800);
        e->size_limit_bytes = fake_chance(300) ? 1 + (uint32_t)fake_random(3000)
                                               : WEIR_DATAGRAM_SIZE_MAX;
        e->write_limit =
            fake_chance(200) ? 100 + fake_random(20000) : 64u << 20;
        e->close_limit_ns = fake_chance(300) ? 1 + fake_random(50 * SIM_MS) : 0;
        e->peer_wait_ns = e->family == AF_UNIX && fake_chance(500)
                              ? 1 + fake_random(10 * SIM_MS)
                              : 0;
        e->acts_left = (uint32_t)fake_random(20);
        e->close_ns = fake_now() + fake_random(SIM_S / 2);
        sim_box_plan(e);
    }
}

static int factory(void *arg, weir_transport *t,
                   struct weir_protocol_binding *ret)
{
    struct sim_endpoint *e = arg;
    if (sim.in_api || sim.in_callback || e->state != SIM_NONE) {
        fake_fail("endpoint %u: its factory is called in state %d", e->id,
                  (int)e->state);
    }
    if (e->refuses) {
        return SIM_CALLBACK_ERR;
    }
    ret->protocol = &sim_endpoint_protocol;
    ret->user = e;
    return 0;
}

static bool may_not_be_made(const struct sim_endpoint *e, int err)
{
    switch (err) {
    case -EMFILE:
        return sim.fds_fail;
    case -ENOMEM:
        return sim.alloc.failed > 0;
    case -ECANCELED:
        return e->cancelled || sim.stop_ns != 0;
    case SIM_CALLBACK_ERR:
        return e->refuses;
    default:
        return false;
    }
}

static void done(void *arg, int err, weir_transport *t)
{
    struct sim_endpoint *e = arg;
    if (e->done || sim.in_api || sim.in_callback || (err == 0) != (t != NULL) ||
        (t && t != e->t) || (err < 0 && !may_not_be_made(e, err))) {
        fake_fail("endpoint %u: done with %d", e->id, err);
    }
    e->done = true;
    e->maker = NULL;
    sim.result.counts[SIM_DATAGRAM_CANCELS] += err == -ECANCELED;
}

static void start(struct sim_endpoint *e)
{
    const struct weir_factory own = {factory, e};
    struct weir_address local = {.len = 0};
    const struct weir_datagram_options options = {
        .size = sizeof(options),
        .size_limit_bytes = e->size_limit_bytes,
        .read_limit_bytes = sim.read_limit,
        .write_hard_limit_bytes = e->write_limit,
        .close_timeout_ns = e->close_limit_ns,
        .peer_wait_ns = e->peer_wait_ns};
    const char name[] = {0, 'e', 'n', 'd', (char)('0' + e->id)};
    if (weir_address_from_unix(name, sizeof(name), &local) < 0) {
        fake_fail("no name for endpoint %u", e->id);
    }
    e->started = true;
    sim_enter_api(false);
    const int err = weir_create_datagram_endpoint_at(
        sim.loop, &own,
        e->family == AF_UNIX ? weir_endpoint_addresses(&local, 1)
                             : weir_endpoint_host("127.0.0.1", 0),
        e->connects ? weir_endpoint_addresses(&e->box_name, 1)
                    : weir_endpoint_none(),
        &options, done, e, &e->maker);
    if (err == 0 && fake_chance(50)) {
        e->cancelled = true;
        weir_pending_cancel(e->maker);
    }
    sim_leave_api();
    if (err < 0 && (err != -ENOMEM || sim.alloc.failed == 0)) {
        fake_fail("endpoint %u: its making gave %d", e->id, err);
    }
    e->done = err < 0;
}

void sim_endpoints_start(void)
{
    for (uint32_t i = 0; i < endpoint_count; i++) {
        start(&endpoints[i]);
    }
}

void sim_endpoints_end(void)
{
    for (uint32_t i = 0; i < endpoint_count; i++) {
        if (endpoints[i].state == SIM_MADE) {
            sim_endpoint_drop_kept(&endpoints[i]);
            endpoints[i].abort_asked = true;
        }
    }
}

void sim_endpoints_check(void)
{
    for (uint32_t i = 0; i < endpoint_count; i++) {
        const struct sim_endpoint *e = &endpoints[i];
        if (e->state == SIM_MADE || e->started != e->done || e->refs_out != 0 ||
            e->kept_count != 0) {
            fake_fail("endpoint %u: it ends in state %d, done %d, %u of its "
                      "references out, %u datagrams kept",
                      e->id, (int)e->state, e->done, e->refs_out,
                      e->kept_count);
        }
    }
}
