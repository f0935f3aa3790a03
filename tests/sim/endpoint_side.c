/*
 * The protocol of the simulation's datagram endpoints, and what it does.
 *
 * Each datagram must be received once, in the machine's order, complete or
 * marked as truncated; each error must have a reason; nothing may come after
 * the end. The protocol sends in every way, keeps datagrams, pauses, moves the
 * marks, and closes or aborts, perhaps with datagrams in the queue.
 */
#include "tests/marks.h"
#include "tests/sim/datagram.h"

#include "weir/error.h"

#include <errno.h>

static void count(enum sim_count what, bool is_one)
{
    sim.result.counts[what] += is_one;
}

static bool lacks_memory(int err)
{
    return err == -ENOMEM && sim.alloc.failed > 0;
}

void sim_endpoint_close(struct sim_endpoint *e)
{
    sim_enter_api(false);
    const int err = weir_transport_close(e->t);
    sim_leave_api();
    if (err != 0 || !weir_transport_is_closing(e->t)) {
        fake_fail("endpoint %u: close gave %d", e->id, err);
    }
    if (!e->close_asked && !e->abort_asked) {
        count(SIM_DATAGRAM_CLOSES_LATER,
              weir_transport_get_write_buffer_size(e->t) > 0);
        e->closing_ns = fake_now();
    }
    fake_trace("endpoint %u: close", e->id);
    e->close_asked = true;
}

void sim_endpoint_abort(struct sim_endpoint *e)
{
    count(SIM_DATAGRAM_ABORTS,
          weir_transport_get_write_buffer_size(e->t) > 0 && !e->abort_asked);
    sim_enter_api(false);
    const int err = weir_transport_abort(e->t);
    sim_leave_api();
    if (err != 0 || weir_transport_get_write_buffer_size(e->t) != 0) {
        fake_fail("endpoint %u: abort gave %d", e->id, err);
    }
    fake_trace("endpoint %u: abort", e->id);
    e->abort_asked = true;
}

void sim_endpoint_drop_kept(struct sim_endpoint *e)
{
    while (e->kept_count > 0) {
        const uint32_t i = --e->kept_count;
        if (!sim_datagram_is(e->kept_number[i], e->kept[i].data,
                             e->kept[i].len)) {
            fake_fail("endpoint %u: a datagram that was kept has changed",
                      e->id);
        }
        weir_buf_unref(e->kept[i].lease);
    }
}

void sim_endpoint_limit(struct sim_endpoint *e)
{
    const int64_t high =
        fake_chance(300) ? WEIR_DEFAULT : (int64_t)fake_random(8000);
    e->marks_moved = true;
    sim_enter_api(true);
    const int err = set_marks(e->t, high, WEIR_DEFAULT);
    sim_leave_api();
    if (err != 0) {
        fake_fail("endpoint %u: marks gave %d", e->id, err);
    }
}

void sim_endpoint_toggle(struct sim_endpoint *e)
{
    e->reading_paused = !e->reading_paused;
    fake_trace("endpoint %u: reading %s", e->id,
               e->reading_paused ? "paused" : "resumed");
    sim_enter_api(false);
    if (e->reading_paused) {
        weir_transport_pause_reading(e->t);
    } else {
        weir_transport_resume_reading(e->t);
    }
    if (weir_transport_is_reading(e->t) ==
        (e->reading_paused || weir_transport_is_closing(e->t))) {
        fake_fail("endpoint %u: reading is paused: %d", e->id,
                  e->reading_paused);
    }
    sim_leave_api();
}

/* Memory that is sent by reference. */
struct ref {
    struct sim_endpoint *e;
    uint32_t number;
    uint8_t data[];
};

static void release_ref(void *arg)
{
    struct ref *ref = arg;
    const size_t len = sim_datagram_len(ref->number);
    if (!sim_datagram_is(ref->number, ref->data, len) ||
        ref->e->refs_out == 0) {
        fake_fail("endpoint %u: a wrong release", ref->e->id);
    }
    ref->e->refs_out--;
    memset(ref->data, 0xdd, len);
    free(ref);
}

static int send_ref(struct sim_endpoint *e, uint32_t number,
                    const struct weir_address *to)
{
    const size_t len = sim_datagram_len(number);
    struct ref *ref = malloc(sizeof(*ref) + len);
    if (!ref) {
        abort();
    }
    ref->e = e;
    ref->number = number;
    sim_datagram_fill(number, ref->data);
    const struct weir_message message = {.size = sizeof(message),
                                         .data = ref->data,
                                         .len = len,
                                         .address = to,
                                         .release = release_ref,
                                         .release_arg = ref};
    e->refs_out++;
    const int err = weir_transport_sendmsg(e->t, &message);
    if (err < 0) { /* then it is not called */
        release_ref(ref);
    }
    return err;
}

static int send_copy(struct sim_endpoint *e, uint32_t number,
                     const struct weir_address *to)
{
    static uint8_t data[SIM_DATAGRAM_SIZE];
    const size_t len = sim_datagram_len(number);
    sim_datagram_fill(number, data);
    const int err = weir_transport_sendto(e->t, data, len, to);
    memset(data, 0xdd, len);
    return err;
}

static bool may_refuse(const struct sim_endpoint *e, int err, uint64_t bytes)
{
    const uint64_t depth = weir_transport_get_write_buffer_size(e->t);
    switch (err) {
    case -ESHUTDOWN:
        return e->close_asked || e->abort_asked;
    case -EPIPE:
        return weir_transport_get_error(e->t) != 0;
    case -ENOBUFS:
        return depth + bytes > e->write_limit;
    default:
        return lacks_memory(err);
    }
}

static void note_sent(struct sim_endpoint *e, uint32_t number, int res)
{
    const uint64_t bytes = sim_datagram_len(number) + WEIR_DATAGRAM_COST;
    fake_trace("endpoint %u: datagram %u of %zu bytes is sent: %d", e->id,
               number, sim_datagram_len(number), res);
    if (res < 0) {
        if (!may_refuse(e, res, bytes)) {
            fake_fail("endpoint %u: sending gave %d", e->id, res);
        }
        return;
    }
    if (res != e->writing_paused) {
        fake_fail("endpoint %u: sending gave %d, paused %d", e->id, res,
                  e->writing_paused);
    }
    sim_datagram_allow(number);
    e->out[e->out_tail++] = number;
    e->out_bytes += bytes;
}

static bool may_send(const struct sim_endpoint *e)
{
    return e->out_tail < SIM_OUT_MAX && !(e->writing_paused && e->minds_marks);
}

/* A new datagram for the box, whether it is there or not. */
static void send_own(struct sim_endpoint *e)
{
    const bool names_box = !e->connects || fake_chance(300);
    const struct weir_address *to = names_box ? &e->box_name : NULL;
    const uint32_t number =
        may_send(e) ? sim_datagram_new(sim_datagram_random_size(), true) : 0;
    if (number == 0) {
        return;
    }
    sim_enter_api(true);
    const int res =
        fake_chance(500) ? send_copy(e, number, to) : send_ref(e, number, to);
    sim_leave_api();
    note_sent(e, number, res);
}

void sim_endpoint_send(struct sim_endpoint *e)
{
    uint32_t left = fake_chance(600) ? 1 : (uint32_t)fake_random(30);
    while (left-- > 0) {
        send_own(e);
    }
}

/* Back to where it came from, from the memory that it is in. */
static void send_back(struct sim_endpoint *e, uint32_t number,
                      const struct weir_datagram *datagram)
{
    const struct weir_message message = {.size = sizeof(message),
                                         .data = datagram->buf.data,
                                         .len = datagram->buf.len,
                                         .address = &datagram->peer,
                                         .lease = datagram->buf.lease};
    if (!may_send(e)) {
        return;
    }
    sim_enter_api(true);
    const int res = weir_transport_sendmsg(e->t, &message);
    sim_leave_api();
    note_sent(e, number, res);
}

static void begin(const struct sim_endpoint *e, const weir_transport *t,
                  const char *what)
{
    if (sim.in_api || sim.in_callback || e->state != SIM_MADE || e->t != t) {
        fake_fail("endpoint %u: %s in state %d", e->id, what, (int)e->state);
    }
    sim.in_callback = true;
}

static void act_inside(struct sim_endpoint *e)
{
    switch (fake_random(300)) {
    case 0:
        sim_endpoint_close(e);
        break;
    case 1:
        sim_endpoint_abort(e);
        break;
    case 2:
        e->callback_err = SIM_CALLBACK_ERR;
        break;
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 8:
        if (!weir_transport_is_closing(e->t)) {
            sim_endpoint_toggle(e);
        }
        break;
    case 9:
    case 10:
        sim_endpoint_limit(e);
        break;
    default:
        break;
    }
}

static void connection_made(void *user, weir_transport *t)
{
    struct sim_endpoint *e = user;
    if (e->state != SIM_NONE || sim.in_api || sim.in_callback || e->refuses) {
        fake_fail("endpoint %u: made in state %d", e->id, (int)e->state);
    }
    sim.in_callback = true;
    sim.made_count++;
    e->state = SIM_MADE;
    e->t = t;
    if (fake_chance(300)) {
        sim_endpoint_limit(e);
    }
    if (fake_chance(500)) {
        sim_endpoint_send(e);
    }
    act_inside(e);
    e->callback_err = 0; /* this callback cannot fail */
    sim_endpoint_act_soon(e, fake_random(20 * SIM_MS));
    sim.in_callback = false;
}

/* Is this the datagram that the machine gave as number @number? */
static bool is_given(const struct sim_endpoint *e, uint64_t number,
                     const struct weir_datagram *datagram)
{
    const size_t len = sim_datagram_len((uint32_t)number);
    const size_t shown = len < e->size_limit_bytes ? len : e->size_limit_bytes;
    const uint32_t flags =
        len > e->size_limit_bytes ? WEIR_DATAGRAM_TRUNCATED : 0;
    return datagram->size_bytes == len && datagram->buf.len == shown &&
           datagram->flags == flags &&
           sim_datagram_is((uint32_t)number, datagram->buf.data, shown) &&
           weir_address_is_equal(&datagram->peer, &e->box_name);
}

/* Those before it were lost here, for want of memory. */
static uint32_t find_given(struct sim_endpoint *e,
                           const struct weir_datagram *datagram)
{
    const int fd = weir_transport_get_socket(e->t);
    struct weir_datagram_counts counts = {.size = sizeof(counts)};
    wr_ignore(weir_transport_get_datagram_counts(e->t, &counts) < 0);
    while (e->next_given < fake_given_count(fd) &&
           e->next_given - e->shown <= counts.dropped_here) {
        const uint64_t number = fake_given_tag(fd, e->next_given++);
        if (is_given(e, number, datagram)) {
            return (uint32_t)number;
        }
    }
    fake_fail("endpoint %u: a datagram of %zu bytes, %zu of them here, flags "
              "%u, is not number %llu of %llu that were given",
              e->id, datagram->size_bytes, datagram->buf.len, datagram->flags,
              (unsigned long long)e->next_given,
              (unsigned long long)fake_given_count(fd));
}

static void keep(struct sim_endpoint *e, uint32_t number,
                 const struct weir_datagram *datagram)
{
    struct weir_buf *kept = &e->kept[e->kept_count];
    *kept = datagram->buf;
    const int err = weir_buf_ref(kept);
    if (err < 0) {
        if (!lacks_memory(err)) {
            fake_fail("endpoint %u: keeping gave %d", e->id, err);
        }
        return;
    }
    e->kept_number[e->kept_count++] = number;
    count(SIM_DATAGRAMS_KEPT, true);
}

static int datagram_received(void *user, weir_transport *t,
                             const struct weir_datagram *datagram)
{
    struct sim_endpoint *e = user;
    begin(e, t, "datagram_received");
    if (e->close_asked || e->abort_asked || e->callback_err < 0 ||
        e->reading_paused) {
        fake_fail("endpoint %u: datagram_received after its end", e->id);
    }
    const uint32_t number = find_given(e, datagram);
    fake_trace("endpoint %u: datagram %u is received", e->id, number);
    e->shown++;
    count(SIM_DATAGRAMS_SHOWN, true);
    if (datagram->flags == 0 && fake_chance(400)) {
        send_back(e, number, datagram);
    }
    if (e->kept_count < SIM_KEPT_MAX && datagram->buf.len > 0 &&
        fake_chance(150)) {
        keep(e, number, datagram);
    }
    act_inside(e);
    sim.in_callback = false;
    return e->callback_err;
}

static bool may_tell(const struct sim_endpoint *e, int err)
{
    switch (err) {
    case -ECONNREFUSED:
        return e->box == NULL && (e->connects || e->family == AF_UNIX);
    case -EMSGSIZE:
        return sim.datagram_max != 0;
    case -ENOMEM:
        return sim.datagrams_lack_memory;
    case -ETIMEDOUT:
        return e->peer_wait_ns != 0;
    default:
        return false;
    }
}

/* A lack of memory may be of no peer. */
static bool is_peer(const struct sim_endpoint *e, int err,
                    const struct weir_address *peer)
{
    return peer ? weir_address_is_equal(peer, &e->box_name) : err == -ENOMEM;
}

static void error_received(void *user, weir_transport *t, int err,
                           const struct weir_address *peer)
{
    struct sim_endpoint *e = user;
    begin(e, t, "error_received");
    if (!is_peer(e, err, peer)) {
        fake_fail("endpoint %u: an error of another peer: %d", e->id, err);
    }
    if (e->abort_asked || e->callback_err < 0 || !may_tell(e, err)) {
        fake_fail("endpoint %u: an error from nowhere: %d", e->id, err);
    }
    e->errors++;
    e->refused += err == -ECONNREFUSED;
    e->too_long += err == -EMSGSIZE;
    count(SIM_DATAGRAM_REFUSALS, err == -ECONNREFUSED);
    count(SIM_DATAGRAM_TIMEOUTS, err == -ETIMEDOUT);
    if (fake_chance(100) && !weir_transport_is_closing(t)) {
        send_own(e);
    }
    act_inside(e);
    e->callback_err = 0;
    sim.in_callback = false;
}

static void pause_writing(void *user, weir_transport *t)
{
    struct sim_endpoint *e = user;
    const struct weir_water_marks marks =
        weir_transport_get_write_buffer_limits(t);
    if (e->state != SIM_MADE || e->writing_paused ||
        (sim.in_api && !sim.in_write) ||
        weir_transport_get_write_buffer_size(t) <= (uint64_t)marks.high_bytes) {
        fake_fail("endpoint %u: pause_writing out of turn", e->id);
    }
    e->writing_paused = true;
    e->marks_moved = false;
    count(SIM_DATAGRAM_PAUSES, true);
}

static void resume_writing(void *user, weir_transport *t)
{
    struct sim_endpoint *e = user;
    begin(e, t, "resume_writing");
    const struct weir_water_marks marks =
        weir_transport_get_write_buffer_limits(t);
    if (!e->writing_paused ||
        weir_transport_get_write_buffer_size(t) > (uint64_t)marks.low_bytes) {
        fake_fail("endpoint %u: resume_writing out of turn", e->id);
    }
    e->writing_paused = false;
    if (fake_chance(500)) {
        send_own(e); /* even while it is closing */
    }
    sim.in_callback = false;
}

/* Sent, or told as an error: nothing that was accepted is lost in silence. */
static void check_clean_end(struct sim_endpoint *e)
{
    if (!e->close_asked) {
        fake_fail("endpoint %u: closed by nobody", e->id);
    }
    if (e->out_head != e->out_tail) {
        fake_fail("endpoint %u: a clean end with %u datagrams in its queue",
                  e->id, e->out_tail - e->out_head);
    }
}

static bool may_fail_with(const struct sim_endpoint *e, int err)
{
    return (err == SIM_CALLBACK_ERR && e->callback_err == err) ||
           (err == WEIR_ECLOSETIMEOUT && e->close_asked &&
            e->close_limit_ns != 0);
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct sim_endpoint *e = user;
    begin(e, t, "connection_lost");
    if (!e->abort_asked && err == 0) {
        sim_endpoint_watch(e);
        check_clean_end(e);
    }
    if (err != weir_transport_get_error(t) ||
        (err != 0 && !may_fail_with(e, err))) {
        fake_fail("endpoint %u: lost with %d", e->id, err);
    }
    if (weir_transport_sendto(t, "x", 1, &e->box_name) >= 0) {
        fake_fail("endpoint %u: sends after its loss", e->id);
    }
    count(SIM_DATAGRAM_CLEAN_ENDS, err == 0 && !e->abort_asked);
    count(SIM_DATAGRAM_BROKEN_ENDS, err == SIM_CALLBACK_ERR);
    count(SIM_DATAGRAM_CLOSE_TIMEOUTS, err == WEIR_ECLOSETIMEOUT);
    e->state = SIM_LOST;
    sim.lost_count++;
    weir_handle_cancel(sim.loop, e->act);
    sim_endpoint_drop_kept(e);
    sim.in_callback = false;
}

const struct weir_protocol sim_endpoint_protocol = {
    .size = sizeof(sim_endpoint_protocol),
    .kind = WEIR_PROTOCOL_DATAGRAM,
    .connection_made = connection_made,
    .connection_lost = connection_lost,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
    .datagram_received = datagram_received,
    .error_received = error_received,
};
