/*
 * The simulation's pipes: read ends and write ends of weir.
 *
 * Each has a timer for its own actions, and a peer that writes or reads in
 * pieces, stalls, and closes after all bytes or at any other time. The seed
 * decides everything.
 */
#include "tests/sim/pipe.h"

#include "weir/inspect.h"
#include "weir/pipe.h"

#include <errno.h>

#define PIPE_MAX    2u
#define ABORT_AFTER (2 * SIM_S)
/* A tenth of a second is much for the end of a reader to be seen. */
#define GONE_BEATS 20

static struct sim_pipe pipes[PIPE_MAX];
static uint32_t pipe_count;

static void act(void *arg)
{
    struct sim_pipe *p = arg;
    const uint64_t now_ns = fake_now();
    if (sim.in_api || sim.in_callback || p->state != SIM_MADE) {
        fake_fail("pipe %u: its timer comes in state %d", p->bytes.id,
                  (int)p->state);
    }
    sim.in_callback = true;
    if (p->close_asked && now_ns >= p->closing_ns + ABORT_AFTER) {
        sim_pipe_abort(p);
    } else if (now_ns >= p->close_ns) {
        sim_pipe_close(p);
    } else if (!weir_transport_is_closing(p->t)) {
        if (!p->reads) {
            sim_pipe_write(p);
        }
        if (fake_chance(25)) {
            sim_pipe_abort(p);
        } else if (fake_chance(25)) {
            sim_pipe_close(p);
        } else if (p->reading_paused || fake_chance(200)) {
            sim_pipe_toggle(p);
        }
    }
    if (p->acts_left > 0 && now_ns < p->close_ns) {
        p->acts_left--;
        sim_pipe_act_soon(p, fake_random(20 * SIM_MS));
    } else {
        sim_pipe_act_soon(p, now_ns < p->close_ns ? p->close_ns - now_ns
                                                  : ABORT_AFTER);
    }
    sim.in_callback = false;
}

void sim_pipe_act_soon(struct sim_pipe *p, uint64_t delay_ns)
{
    weir_handle_cancel(sim.loop, p->act);
    const int err = weir_loop_call_later(sim.loop, delay_ns, act, p, &p->act);
    if (err < 0 && (err != -ENOMEM || sim.alloc.failed == 0)) {
        fake_fail("call_later failed with %d", err);
    }
    if (err < 0) {
        sim_pipe_abort(p); /* nothing else would end it */
    }
}

static void nothing(void *arg)
{
}

static void let_go(struct sim_pipe *p)
{
    fake_trace("pipe %u: its peer lets go", p->bytes.id);
    fake_fifo_close(p->fifo);
    p->fifo = NULL;
}

static void stall(struct sim_pipe *p)
{
    p->stalled_to_ns = fake_now() + fake_random(50) * SIM_MS;
    fake_at(p->stalled_to_ns, nothing, NULL);
}

static bool peer_step(struct sim_pipe *p)
{
    uint8_t data[SIM_PIPE_PIECE];
    const size_t most =
        1 + (size_t)fake_random(fake_chance(300) ? SIM_PIPE_PIECE : 2000);
    if (!p->fifo || !p->started || fake_now() < p->stalled_to_ns) {
        return false;
    }
    if (p->peer_moved >= p->peer_plan) {
        let_go(p);
        return true;
    }
    ssize_t len;
    if (p->reads) {
        sim_fill(&p->bytes, false, p->peer_moved, data, most);
        len = fake_fifo_write(p->fifo, data, most);
    } else {
        len = fake_fifo_read(p->fifo, data, most);
    }
    if (len == -EAGAIN) {
        return false;
    }
    if (len <= 0) {
        if (p->is_whole && p->peer_moved != p->written) {
            fake_fail("pipe %u: its peer read %llu of %llu bytes", p->bytes.id,
                      (unsigned long long)p->peer_moved,
                      (unsigned long long)p->written);
        }
        let_go(p);
        return true;
    }
    if (!p->reads) {
        sim_check_bytes(&p->bytes, true, p->peer_moved, data, (size_t)len);
    }
    p->peer_moved += (uint64_t)len;
    if (fake_chance(p->reads ? 40 : 150)) {
        stall(p);
    }
    return true;
}

bool sim_pipes_step(void)
{
    for (uint32_t i = 0; i < pipe_count; i++) {
        if (fake_chance(600) && peer_step(&pipes[i])) {
            return true;
        }
    }
    return false;
}

static void watch_marks(const struct sim_pipe *p, uint64_t depth)
{
    const struct weir_water_marks marks =
        weir_transport_get_write_buffer_limits(p->t);
    const bool is_wrong = p->writing_paused
                              ? depth <= (uint64_t)marks.low_bytes
                              : depth > (uint64_t)marks.high_bytes;
    if (is_wrong && !weir_transport_is_closing(p->t)) {
        fake_fail("pipe %u: %llu bytes wait, paused: %d", p->bytes.id,
                  (unsigned long long)depth, p->writing_paused);
    }
}

/* What was accepted is in the queue, or in the machine. */
uint64_t sim_pipes_watch(void)
{
    uint64_t queued = 0;
    for (uint32_t i = 0; i < pipe_count; i++) {
        const struct sim_pipe *p = &pipes[i];
        if (p->state != SIM_MADE) {
            continue;
        }
        const uint64_t depth = weir_transport_get_write_buffer_size(p->t);
        queued += depth;
        if (!p->reads) {
            watch_marks(p, depth);
        }
        if (!p->reads && p->fifo && !p->abort_asked &&
            weir_transport_get_error(p->t) == 0 &&
            fake_fifo_taken(p->fifo) < p->written - depth) {
            fake_fail("pipe %u: %llu bytes are written, %llu wait, %llu were "
                      "taken",
                      p->bytes.id, (unsigned long long)p->written,
                      (unsigned long long)depth,
                      (unsigned long long)fake_fifo_taken(p->fifo));
        }
    }
    return queued;
}

/* Bytes or the peer's end wait, and nothing holds them up. */
static bool could_move(const struct sim_pipe *p)
{
    if (weir_transport_get_error(p->t) != 0 || p->abort_asked) {
        return true;
    }
    if (p->reads) {
        return weir_transport_is_reading(p->t) &&
               (!p->fifo || fake_fifo_len(p->fifo) > 0);
    }
    return !p->fifo || (weir_transport_get_write_buffer_size(p->t) > 0 &&
                        fake_fifo_room(p->fifo) >= 4096);
}

static void beat(struct sim_pipe *p)
{
    const uint64_t moved =
        p->received + p->written + (p->fifo ? fake_fifo_taken(p->fifo) : 0);
    if (p->state != SIM_MADE || sim.alloc.failed > 0) {
        return;
    }
    p->idle_beats = could_move(p) && moved == p->moved ? p->idle_beats + 1 : 0;
    p->moved = moved;
    if (p->idle_beats > GONE_BEATS && !p->reads && !p->fifo) {
        fake_fail("pipe %u: its reader has gone, and it stays", p->bytes.id);
    }
    if (p->idle_beats > SIM_IDLE_BEATS) {
        weir_loop_dump(sim.loop, stderr);
        fake_fail("pipe %u: it could go on, and does not", p->bytes.id);
    }
}

void sim_pipes_beat(void)
{
    for (uint32_t i = 0; i < pipe_count; i++) {
        beat(&pipes[i]);
    }
}

bool sim_pipes_are_over(void)
{
    for (uint32_t i = 0; i < pipe_count; i++) {
        if (!pipes[i].done || pipes[i].state == SIM_MADE) {
            return false;
        }
    }
    return true;
}

void sim_pipes_plan(void)
{
    memset(pipes, 0, sizeof(pipes));
    pipe_count = fake_chance(300) ? 1 + (uint32_t)fake_random(PIPE_MAX) : 0;
    for (uint32_t i = 0; i < pipe_count; i++) {
        struct sim_pipe *p = &pipes[i];
        p->bytes.id = 100 + i;
        p->reads = fake_chance(500);
        p->is_buffered = fake_chance(500);
        p->by_name = fake_chance(300);
        p->refuses = fake_chance(30);
        p->minds_marks = fake_chance(800);
        p->peer_plan = fake_random(p->reads ? 150000 : 60000);
        p->acts_left = (uint32_t)fake_random(20);
        p->close_ns = fake_now() + fake_random(SIM_S / 2);
    }
}

static int factory(void *arg, weir_transport *t,
                   struct weir_protocol_binding *ret)
{
    struct sim_pipe *p = arg;
    if (p->refuses) {
        return SIM_CALLBACK_ERR;
    }
    ret->protocol = &sim_pipe_protocols[p->is_buffered];
    ret->user = p;
    return 0;
}

static void done(void *arg, int err, weir_transport *t)
{
    struct sim_pipe *p = arg;
    const bool may_fail = (err == SIM_CALLBACK_ERR && p->refuses) ||
                          (err == -ENOMEM && sim.alloc.failed > 0) ||
                          (err == -ECANCELED && sim.stop_ns != 0);
    if (p->done || (err == 0) != (t != NULL) || (err < 0 && !may_fail)) {
        fake_fail("pipe %u: done with %d", p->bytes.id, err);
    }
    p->done = true;
}

static void start(struct sim_pipe *p)
{
    const struct weir_factory own = {factory, p};
    const struct weir_connect_options options = {
        .size = sizeof(options),
        .connection = {.read_limit_bytes = sim.read_limit}};
    int fd = -1;
    p->fifo =
        fake_fifo_open(p->reads, p->by_name, 4096u << fake_random(5), &fd);
    p->whole = p->fifo;
    p->started = true;
    sim_enter_api(false);
    const int err = p->reads ? weir_connect_read_pipe(sim.loop, &own, fd,
                                                      &options, done, p, NULL)
                             : weir_connect_write_pipe(sim.loop, &own, fd,
                                                       &options, done, p, NULL);
    sim_leave_api();
    if (err < 0 && (err != -ENOMEM || sim.alloc.failed == 0)) {
        fake_fail("pipe %u: its making gave %d", p->bytes.id, err);
    }
    p->done |= err < 0;
}

void sim_pipes_start(void)
{
    for (uint32_t i = 0; i < pipe_count; i++) {
        start(&pipes[i]);
    }
}

void sim_pipes_end(void)
{
    for (uint32_t i = 0; i < pipe_count; i++) {
        pipes[i].abort_asked |= pipes[i].state == SIM_MADE;
    }
}

void sim_pipes_check(void)
{
    for (uint32_t i = 0; i < pipe_count; i++) {
        const struct sim_pipe *p = &pipes[i];
        if (p->state == SIM_MADE || p->started != p->done) {
            fake_fail("pipe %u: it ends in state %d, done %d", p->bytes.id,
                      (int)p->state, p->done);
        }
    }
}
