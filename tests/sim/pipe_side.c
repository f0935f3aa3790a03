/*
 * The protocol of the simulation's pipes, and what it does.
 *
 * A read end must receive every byte that was written, in order, and then one
 * end. A write end that ends without an error must have written every byte that
 * it accepted.
 */
#include "tests/marks.h"
#include "tests/sim/pipe.h"

#include "weir/error.h"

#include <errno.h>

static void count(enum sim_count what, bool is_one)
{
    sim.result.counts[what] += is_one;
}

void sim_pipe_close(struct sim_pipe *p)
{
    const bool waits = weir_transport_get_write_buffer_size(p->t) > 0;
    sim_enter_api(false);
    const int err = fake_chance(500) && !p->reads
                        ? weir_transport_write_eof(p->t)
                        : weir_transport_close(p->t);
    sim_leave_api();
    if (err != 0 || !weir_transport_is_closing(p->t)) {
        fake_fail("pipe %u: close gave %d", p->bytes.id, err);
    }
    count(SIM_PIPE_CLOSES_LATER, waits && !p->close_asked && !p->abort_asked);
    p->closing_ns = p->close_asked ? p->closing_ns : fake_now();
    p->close_asked = true;
    fake_trace("pipe %u: close", p->bytes.id);
}

void sim_pipe_abort(struct sim_pipe *p)
{
    sim_enter_api(false);
    const int err = weir_transport_abort(p->t);
    sim_leave_api();
    if (err != 0 || !weir_transport_is_closing(p->t)) {
        fake_fail("pipe %u: abort gave %d", p->bytes.id, err);
    }
    count(SIM_PIPE_ABORTS, !p->abort_asked);
    p->abort_asked = true;
    fake_trace("pipe %u: abort", p->bytes.id);
}

void sim_pipe_toggle(struct sim_pipe *p)
{
    if (!p->reads || weir_transport_is_closing(p->t)) {
        return;
    }
    p->reading_paused = !p->reading_paused;
    sim_enter_api(false);
    if (p->reading_paused) {
        weir_transport_pause_reading(p->t);
    } else {
        weir_transport_resume_reading(p->t);
    }
    sim_leave_api();
}

static bool may_refuse(const struct sim_pipe *p, int err)
{
    switch (err) {
    case -ESHUTDOWN:
        return p->close_asked || p->abort_asked;
    case -EPIPE:
        return !p->fifo || weir_transport_get_error(p->t) != 0;
    case -ENOMEM:
        return sim.alloc.failed > 0;
    default:
        return false;
    }
}

void sim_pipe_write(struct sim_pipe *p)
{
    uint8_t data[SIM_PIPE_PIECE];
    uint32_t left = 1 + (uint32_t)fake_random(3);
    while (left-- > 0 && !(p->writing_paused && p->minds_marks)) {
        const size_t len =
            1 + (size_t)fake_random(fake_chance(200) ? SIM_PIPE_PIECE : 3000);
        sim_fill(&p->bytes, true, p->written, data, len);
        sim_enter_api(true);
        const int err = weir_transport_write(p->t, data, len);
        sim_leave_api();
        if (err < 0) {
            if (!may_refuse(p, err)) {
                fake_fail("pipe %u: a write gave %d", p->bytes.id, err);
            }
            if (err == -ENOMEM) { /* or a close would be told of it too */
                wr_ignore(weir_transport_take_write_error(p->t) == err);
                sim_pipe_abort(p);
            }
            return;
        }
        p->written += len;
    }
}

static void begin(const struct sim_pipe *p, const weir_transport *t,
                  const char *what)
{
    if (sim.in_api || sim.in_callback || p->state != SIM_MADE || p->t != t) {
        fake_fail("pipe %u: %s in state %d", p->bytes.id, what, (int)p->state);
    }
    sim.in_callback = true;
    fake_trace("pipe %u: %s", p->bytes.id, what);
}

static void begin_reading(const struct sim_pipe *p, const weir_transport *t,
                          const char *what)
{
    begin(p, t, what);
    if (!p->reads || p->eof || p->close_asked || p->abort_asked ||
        p->callback_err < 0 || p->reading_paused) {
        fake_fail("pipe %u: %s after its end", p->bytes.id, what);
    }
}

static void act_inside(struct sim_pipe *p)
{
    switch (fake_random(150)) {
    case 0:
        sim_pipe_close(p);
        break;
    case 1:
        sim_pipe_abort(p);
        break;
    case 2:
        p->callback_err = SIM_CALLBACK_ERR;
        break;
    case 3:
    case 4:
    case 5:
        sim_pipe_toggle(p);
        break;
    default:
        break;
    }
}

static void connection_made(void *user, weir_transport *t)
{
    struct sim_pipe *p = user;
    if (p->state != SIM_NONE || sim.in_callback || p->refuses) {
        fake_fail("pipe %u: made in state %d", p->bytes.id, (int)p->state);
    }
    sim.in_callback = true;
    sim.made_count++;
    p->state = SIM_MADE;
    p->t = t;
    if (fake_chance(500)) {
        const int err = set_marks(t, (int64_t)fake_random(20000), WEIR_DEFAULT);
        if (err != 0 && !p->reads) {
            fake_fail("pipe %u: marks gave %d", p->bytes.id, err);
        }
    }
    act_inside(p);
    p->callback_err = 0; /* this callback cannot fail */
    sim_pipe_act_soon(p, fake_random(20 * SIM_MS));
    sim.in_callback = false;
}

static bool may_fail_with(const struct sim_pipe *p, int err)
{
    switch (err) {
    case SIM_CALLBACK_ERR:
        return p->callback_err == err;
    case -EPIPE:
        return !p->reads && !p->fifo;
    case -ENOMEM:
        return sim.alloc.failed > 0;
    default:
        return false;
    }
}

/* Nothing that was accepted is lost without an error, and nothing that was
 * written is lost before the end of the stream. */
static void check_clean_end(const struct sim_pipe *p, enum weir_end how)
{
    if (p->reads) {
        if (how == WEIR_END_EOF
                ? !p->eof || p->fifo || p->received != p->peer_moved
                : !p->close_asked) {
            fake_fail("pipe %u: end %d after %llu of %llu bytes", p->bytes.id,
                      (int)how, (unsigned long long)p->received,
                      (unsigned long long)p->peer_moved);
        }
        return;
    }
    if (how == WEIR_END_EOF ? p->fifo != NULL : !p->close_asked) {
        fake_fail("pipe %u: end %d", p->bytes.id, (int)how);
    }
    if (fake_fifo_taken(p->whole) != p->written) {
        fake_fail("pipe %u: a clean end after %llu of %llu bytes", p->bytes.id,
                  (unsigned long long)fake_fifo_taken(p->whole),
                  (unsigned long long)p->written);
    }
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct sim_pipe *p = user;
    begin(p, t, "connection_lost");
    if (err != weir_transport_get_error(t) ||
        (err != 0 && !may_fail_with(p, err))) {
        fake_fail("pipe %u: lost with %d", p->bytes.id, err);
    }
    if (err == 0 && !p->abort_asked) {
        check_clean_end(p, weir_transport_get_end(t));
        count(p->reads ? SIM_PIPE_READ_ENDS : SIM_PIPE_WRITE_ENDS, true);
        p->is_whole = !p->reads && weir_transport_get_end(t) == WEIR_END_CLOSED;
    }
    count(SIM_PIPE_BROKEN, err == -EPIPE);
    p->state = SIM_LOST;
    sim.lost_count++;
    weir_handle_cancel(sim.loop, p->act);
    sim.in_callback = false;
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct sim_pipe *p = user;
    begin_reading(p, t, "data_received");
    sim_check_bytes(&p->bytes, false, p->received, buf->data, buf->len);
    p->received += buf->len;
    act_inside(p);
    sim.in_callback = false;
    return p->callback_err;
}

static int eof_received(void *user, weir_transport *t)
{
    struct sim_pipe *p = user;
    begin_reading(p, t, "eof_received");
    p->eof = true;
    if (p->fifo || p->received != p->peer_moved) {
        fake_fail("pipe %u: the end of the stream after %llu of %llu bytes",
                  p->bytes.id, (unsigned long long)p->received,
                  (unsigned long long)p->peer_moved);
    }
    sim.in_callback = false;
    return (int)fake_random(2); /* which changes nothing */
}

static void pause_writing(void *user, weir_transport *t)
{
    struct sim_pipe *p = user;
    const struct weir_water_marks marks =
        weir_transport_get_write_buffer_limits(t);
    if (p->state != SIM_MADE || p->writing_paused ||
        weir_transport_get_write_buffer_size(t) <= (uint64_t)marks.high_bytes) {
        fake_fail("pipe %u: pause_writing out of turn", p->bytes.id);
    }
    p->writing_paused = true;
    count(SIM_PIPE_PAUSES, true);
}

static void resume_writing(void *user, weir_transport *t)
{
    struct sim_pipe *p = user;
    begin(p, t, "resume_writing");
    const struct weir_water_marks marks =
        weir_transport_get_write_buffer_limits(t);
    if (!p->writing_paused ||
        weir_transport_get_write_buffer_size(t) > (uint64_t)marks.low_bytes) {
        fake_fail("pipe %u: resume_writing out of turn", p->bytes.id);
    }
    p->writing_paused = false;
    if (fake_chance(500)) {
        sim_pipe_write(p);
    }
    sim.in_callback = false;
}

static int get_buffer(void *user, weir_transport *t, size_t hint,
                      void **ret_buf, size_t *ret_size)
{
    struct sim_pipe *p = user;
    if (p->state != SIM_MADE || p->t != t) {
        fake_fail("pipe %u: get_buffer out of turn", p->bytes.id);
    }
    *ret_buf = p->memory;
    *ret_size = 1 + (size_t)fake_random(sizeof(p->memory));
    return 0;
}

static int buffer_updated(void *user, weir_transport *t, size_t len)
{
    struct sim_pipe *p = user;
    begin_reading(p, t, "buffer_updated");
    sim_check_bytes(&p->bytes, false, p->received, p->memory, len);
    p->received += len;
    act_inside(p);
    sim.in_callback = false;
    return p->callback_err;
}

#define COMMON                                                                 \
    .size = sizeof(struct weir_protocol), .connection_made = connection_made,  \
    .connection_lost = connection_lost, .pause_writing = pause_writing,        \
    .resume_writing = resume_writing, .eof_received = eof_received

const struct weir_protocol sim_pipe_protocols[2] = {
    {COMMON, .kind = WEIR_PROTOCOL_STREAM, .data_received = data_received},
    {COMMON, .kind = WEIR_PROTOCOL_BUFFERED, .get_buffer = get_buffer,
     .buffer_updated = buffer_updated},
};
