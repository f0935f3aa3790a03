/*
 * Moving a connection to another loop: bytes, ends and settings that move with
 * it, the callbacks of the two protocols, the server of the other loop, and
 * connections that cannot move.
 */
#define UNIT_RUN   mover_test
#define UNIT_TAKES struct mover *m
#include "tests/contract/move_rig.h"

#include <weir/pair.h>
#include <weir/sendfile.h>

UNIT(move, the_connection_goes_on_with_another_protocol_on_the_other_loop)
{
    mover_talk(m);

    mover_move(m);

    mover_expect(m, HERE, "made data moved");
    mover_expect(m, THERE, "made");
    expect(weir_transport_get_loop(mover_t(m)) == m->sides[THERE].loop);
    mover_talk(m);
    mover_expect(m, HERE, "made data moved");
    mover_expect(m, THERE, "made data");
    weir_transport_close(mover_t(m));
    MOVER_UNTIL(m, mover_is_lost(m));
    expect_eq(m->sides[THERE].lost_err, 0);
    expect_eq(mover_read_end(m), 0);
}

UNIT(move, it_may_come_back_as_often_as_one_likes)
{
    for (int i = 0; i < 20; i++) {
        mover_move(m);
        expect_eq(m->at, (i + 1) % 2);
        mover_talk(m);
    }
}

UNIT(move, the_old_transport_has_ended_and_keeps_its_addresses)
{
    struct weir_address before;
    struct weir_address after;
    char text[200];
    weir_transport *t = mover_t(m);
    weir_transport_get_peername(t, &before);

    mover_move(m);

    weir_transport_get_peername(t, &after);
    expect_eq(after.len, before.len);
    expect_eq(memcmp(&after.storage, &before.storage, before.len), 0);
    weir_transport_get_peername(mover_t(m), &after);
    expect_eq(after.len, before.len);
    expect_eq(weir_transport_get_end(t), WEIR_END_MOVED);
    weir_transport_get_error_text(t, text, sizeof(text));
    expect(strstr(text, "moved to another loop") != NULL);
    expect_eq(weir_transport_write(t, "x", 1), -ESHUTDOWN);
    expect_eq(weir_transport_close(t), 0);
    expect_eq(weir_transport_abort(t), 0);
    mover_talk(m);
}

UNIT(move, bytes_that_were_not_shown_go_along)
{
    expect_eq(weir_transport_pause_reading(mover_t(m)), 0);
    mover_send(m, 100000);
    mover_turn(m, 20);
    expect_eq(m->received, 0);

    mover_move(m);

    mover_receive(m, 1000);
    expect_eq(m->received, 101000);
    mover_expect(m, HERE, "made moved");
}

UNIT(move, more_bytes_than_the_limit_of_received_bytes_go_along)
{
    expect_eq(weir_transport_pause_reading(mover_t(m)), 0);
    mover_send(m, 8192);
    MOVER_UNTIL(m, weir_transport_get_read_buffer_size(mover_t(m)) >= 8192);
    expect_eq(weir_transport_set_read_buffer_limit(mover_t(m), 4096), 0);

    mover_move(m);

    MOVER_UNTIL(m, m->received == m->peer_sent);
    mover_talk(m);
}

UNIT(move, bytes_that_arrive_meanwhile_go_along)
{
    m->sides[THERE].stands = true;
    expect_eq(mover_begin(m), 0);
    mover_send(m, 5000);
    mover_turn(m, 5);
    mover_send(m, 5000);
    m->sides[THERE].stands = false;
    MOVER_UNTIL(m, mover_is_done(m));

    mover_receive(m, 1);
    mover_expect(m, HERE, "made moved");
    mover_expect(m, THERE, "made data");
}

UNIT(move, bytes_that_were_not_sent_go_along_although_the_peer_does_not_read)
{
    mover_clog(m);
    const uint64_t waiting = weir_transport_get_write_buffer_size(mover_t(m));

    mover_move(m);

    /* The kernel may have accepted more meanwhile: a window may grow late. */
    expect_leq(weir_transport_get_write_buffer_size(mover_t(m)), waiting);
    expect_gt(weir_transport_get_write_buffer_size(mover_t(m)), 0);
    mover_expect(m, HERE, "made pause moved");
    mover_expect(m, THERE, "made pause");
    mover_write(m, 10);
    mover_read(m, m->written - m->peer_received);
    mover_turn(m, 5);
    mover_expect(m, THERE, "made pause resume");
}

static void count_release(void *arg)
{
    ++*(int *)arg;
}

UNIT(move, memory_of_a_write_is_released_when_the_connection_has_left)
{
    static uint8_t bytes[100];
    int released = 0;
    mover_clog(m);
    rig_pattern(bytes, m->written, sizeof(bytes));
    m->written += sizeof(bytes);
    expect_ok(weir_transport_write_ref(mover_t(m), bytes, sizeof(bytes),
                                       count_release, &released));

    mover_move(m);

    expect_eq(released, 1);
    memset(bytes, 0, sizeof(bytes));
    mover_read(m, m->written - m->peer_received);
}

static void move_it(struct mover *m)
{
    m->in_data = NULL;
    expect_eq(mover_begin(m), 0);
    expect_eq(weir_transport_write(mover_t(m), "x", 1), -EBUSY);
    expect(weir_transport_is_closing(mover_t(m)));
    expect_eq(mover_begin(m), -EBUSY);
}

UNIT(move, it_may_begin_inside_data_received)
{
    mover_write(m, 1);
    m->in_data = move_it;
    mover_receive(m, 200000);

    MOVER_UNTIL(m, mover_is_done(m));
    expect_eq(m->done_err, 0);
    mover_expect(m, HERE, "made data moved");
    mover_talk(m);
}

static void move_once(void *user, weir_transport *t)
{
    struct mover_side *side = user;
    struct mover *m = side->mover;

    if (m->done_count == 0 && !m->pending) {
        expect(t == mover_t(m));
        expect_eq(mover_begin(m), 0);
        expect_eq(weir_transport_write(t, "x", 1), -EBUSY);
    }
}

static void bind_to_side(struct mover *m, const struct weir_protocol *protocol)
{
    const struct weir_protocol_binding binding = {protocol, &m->sides[m->at]};
    expect_eq(weir_transport_set_protocol(mover_t(m), &binding, NULL, 0), 0);
}

/* At the low mark 0 everything is sent: the connection is idle. */
UNIT(move, it_may_begin_inside_resume_writing)
{
    struct weir_protocol once = mover_protocol;
    once.resume_writing = move_once;
    bind_to_side(m, &once);
    const struct weir_water_marks none = {.high_bytes = 0, .low_bytes = 0};
    expect_eq(weir_transport_set_write_buffer_limits(mover_t(m), none), 0);
    mover_write(m, 5000);

    MOVER_UNTIL(m, mover_is_done(m));

    expect_eq(m->done_err, 0);
    mover_expect(m, HERE, "made pause moved");
    mover_talk(m);
}

UNIT(move, it_may_begin_inside_resume_writing_while_bytes_wait)
{
    struct weir_protocol once = mover_protocol;
    once.resume_writing = move_once;
    bind_to_side(m, &once);
    mover_clog(m);
    const struct weir_water_marks most = {.high_bytes = 1 << 20,
                                          .low_bytes = 900000};
    expect_eq(weir_transport_set_write_buffer_limits(mover_t(m), most), 0);
    do {
        expect_neq(mover_read_some(m), 0);
    } while (!mover_is_done(m));

    expect_eq(m->done_err, 0);
    mover_read(m, m->written - m->peer_received);
    mover_talk(m);
}

UNIT(move, it_may_begin_inside_pause_writing)
{
    struct weir_protocol once = mover_protocol;
    once.pause_writing = move_once;
    bind_to_side(m, &once);
    const struct weir_water_marks none = {.high_bytes = 0, .low_bytes = 0};
    expect_eq(weir_transport_set_write_buffer_limits(mover_t(m), none), 0);
    mover_write(m, 5000);

    MOVER_UNTIL(m, mover_is_done(m));

    expect_eq(m->done_err, 0);
    mover_talk(m);
}

UNIT(move, a_half_closed_connection_stays_so_and_its_protocol_is_told)
{
    m->eof_result = 1;
    mover_send(m, 3000);
    expect_eq(shutdown(m->peer, SHUT_WR), 0);
    mover_turn(m, 20);
    mover_expect(m, HERE, "made data eof");

    mover_move(m);

    mover_turn(m, 20);
    mover_expect(m, THERE, "made eof");
    mover_write(m, 5000);
    mover_read(m, 5000);
    weir_transport_close(mover_t(m));
    MOVER_UNTIL(m, mover_is_lost(m));
    expect_eq(mover_read_end(m), 0);
}

UNIT(move, an_end_that_comes_meanwhile_is_told_after_the_bytes)
{
    m->eof_result = 1;
    m->sides[THERE].stands = true;
    expect_eq(mover_begin(m), 0);
    mover_send(m, 3000);
    expect_eq(shutdown(m->peer, SHUT_WR), 0);
    mover_turn(m, 20);
    m->sides[THERE].stands = false;
    MOVER_UNTIL(m, mover_is_done(m));

    mover_turn(m, 20);
    mover_expect(m, HERE, "made moved");
    mover_expect(m, THERE, "made data eof");
}

UNIT(move, write_eof_goes_along_and_comes_after_the_last_byte)
{
    mover_clog(m);
    expect_eq(weir_transport_write_eof(mover_t(m)), 0);

    mover_move(m);

    expect_eq(weir_transport_write(mover_t(m), "x", 1), -ESHUTDOWN);
    expect_eq(mover_read_end(m), 0);
    expect_eq(m->peer_received, m->written);
    mover_receive(m, 100);
}

UNIT(move, an_end_that_was_sent_is_not_sent_again)
{
    expect_eq(weir_transport_write_eof(mover_t(m)), 0);
    expect_eq(mover_read_end(m), 0);

    mover_move(m);

    expect_eq(weir_transport_write(mover_t(m), "x", 1), -ESHUTDOWN);
    mover_receive(m, 100);
}

UNIT(move, a_peer_that_ends_during_a_move_is_noticed_on_the_other_loop)
{
    m->sides[THERE].stands = true;
    expect_eq(mover_begin(m), 0);
    mover_turn(m, 5);
    close(m->peer);
    m->peer = -1;
    m->sides[THERE].stands = false;
    MOVER_UNTIL(m, mover_is_done(m));

    MOVER_UNTIL(m, mover_is_lost(m));
    mover_expect(m, HERE, "made moved");
    mover_expect(m, THERE, "made eof lost");
}

UNIT(move, marks_limits_and_timeouts_go_along)
{
    const struct weir_timeouts timeouts = {.size = sizeof(timeouts),
                                           .idle_ns = 50 * RIG_MS};
    const struct weir_water_marks marks = {.high_bytes = 300, .low_bytes = 200};
    expect_eq(weir_transport_set_write_buffer_limits(mover_t(m), marks), 0);
    expect_eq(weir_transport_set_write_hard_limit(mover_t(m), 1000), 0);
    expect_eq(weir_transport_set_timeouts(mover_t(m), &timeouts), 0);

    mover_move(m);

    const struct weir_water_marks now =
        weir_transport_get_write_buffer_limits(mover_t(m));
    expect_eq(now.high_bytes, 300);
    expect_eq(now.low_bytes, 200);
    expect_eq(weir_transport_write(mover_t(m), (uint8_t[1001]){0}, 1001),
              -ENOBUFS);
    expect_eq(weir_transport_take_write_error(mover_t(m)), -ENOBUFS);
    MOVER_UNTIL(m, mover_is_lost(m));
    expect_eq(m->sides[THERE].lost_err, WEIR_EIDLE);
}

static void server_done(void *arg, int err, weir_server *server)
{
    expect_eq(err, 0);
    ++*(int *)arg;
}

static int refuse_all(void *arg, weir_transport *t,
                      struct weir_protocol_binding *ret)
{
    return -EPROTO;
}

static weir_server *make_server(weir_loop *loop, uint64_t limit)
{
    const struct weir_server_options options = {
        .size = sizeof(options), .no_sockets = true, .connection_limit = limit};
    const struct weir_factory factory = {refuse_all, NULL};
    weir_server *server;
    int done = 0;
    expect_ok(weir_create_server(loop, &factory, NULL, 0, &options, server_done,
                                 &done, &server));
    while (!done) {
        expect_geq(weir_loop_run_once(loop), 0);
    }
    return server;
}

static void take(struct mover *m, weir_transport *t)
{
    m->factory_err = weir_server_add_transport(m->arg, t);
}

UNIT(move, a_server_of_the_other_loop_counts_and_ends_it)
{
    weir_server *server = make_server(m->sides[THERE].loop, 1);
    m->arg = server;
    m->in_factory = take;
    expect_eq(weir_server_add_transport(server, mover_t(m)), -EINVAL);

    mover_move(m);

    expect_eq(m->factory_err, 0);
    expect_eq(weir_server_get_connection_count(server), 1);
    expect_eq(weir_server_stop(server, UINT64_MAX, NULL, NULL), 0);
    MOVER_UNTIL(m, mover_is_lost(m));
    expect_eq(weir_server_get_connection_count(server), 0);
    weir_server_free(server);
}

UNIT(move, a_server_that_is_full_or_closed_takes_none_and_it_comes_back)
{
    weir_server *server = make_server(m->sides[THERE].loop, 1);
    m->arg = server;
    m->in_factory = take;
    weir_server_close(server);
    mover_fail(m, -ESHUTDOWN);
    weir_server_free(server);
    m->in_factory = NULL;
    m->factory_err = 0;
    mover_talk(m);
}

UNIT(move, a_move_needs_a_factory_and_another_loop)
{
    const struct weir_factory none = {NULL, NULL};
    const struct weir_factory factory = {refuse_all, NULL};
    weir_mailbox *to = m->sides[THERE].mailbox;
    expect_eq(weir_transport_move(mover_t(m), to, NULL, NULL, NULL, NULL),
              -EINVAL);
    expect_eq(weir_transport_move(mover_t(m), to, &none, NULL, NULL, NULL),
              -EINVAL);
    expect_eq(weir_transport_move(mover_t(m), m->sides[HERE].mailbox, &factory,
                                  NULL, NULL, NULL),
              -EINVAL);
    expect_eq(weir_transport_move(mover_t(m), NULL, &factory, NULL, NULL, NULL),
              -EINVAL);
    expect_eq(
        weir_transport_move(mover_t(m), to, &factory, NULL, NULL, &m->pending),
        -EINVAL);
    expect_eq(m->pending, NULL);
    mover_talk(m);
}

UNIT(move, a_protocol_without_connection_moved_stays)
{
    struct weir_protocol older = mover_protocol;
    const struct weir_protocol_binding binding = {&older, &m->sides[HERE]};
    older.size = offsetof(struct weir_protocol, connection_moved);
    expect_eq(weir_transport_set_protocol(mover_t(m), &binding, NULL, 0), 0);
    expect_eq(mover_begin(m), -EOPNOTSUPP);
    older.size = sizeof(older);
    older.connection_moved = NULL;
    expect_eq(mover_begin(m), -EOPNOTSUPP);
    weir_transport_abort(mover_t(m));
    MOVER_UNTIL(m, mover_is_lost(m));
}

UNIT(move, without_memory_the_connection_stays_with_all_its_bytes)
{
    uint64_t failed;
    uint64_t refused = 0;
    uint64_t count = 0;

    mover_clog(m);
    do {
        const int before = m->at;
        failed = mover_memory.failed;
        allocator_fail_in(&mover_memory, ++count);
        int err = mover_begin(m);
        if (err == 0) {
            MOVER_UNTIL(m, mover_is_done(m));
            err = m->done_err;
        }
        mover_memory.fail_at = 0;
        expect(err == 0 || err == -ENOMEM);
        expect_eq(m->at == before, err == -ENOMEM);
        refused += err == -ENOMEM;
    } while (mover_memory.failed > failed);
    expect_geq(refused, 3, "the move, its parcel, the bytes");
    mover_read(m, m->written - m->peer_received);
    mover_talk(m);
}

UNIT(move, a_pair_in_memory_stays)
{
    struct mover_side ends[2] = {{.mover = m}, {.mover = m}};
    const struct weir_protocol_binding bindings[2] = {
        {&mover_protocol, &ends[0]}, {&mover_protocol, &ends[1]}};
    const struct weir_factory factory = {refuse_all, NULL};
    weir_transport *t[2];
    expect_eq(weir_transport_pair(m->sides[HERE].loop, bindings, NULL, t), 0);
    expect_eq(weir_transport_move(t[0], m->sides[THERE].mailbox, &factory, NULL,
                                  NULL, NULL),
              -EOPNOTSUPP);
    weir_transport_abort(t[0]);
    weir_transport_abort(t[1]);
    mover_turn(m, 5);
    weir_transport_unref(ends[0].t);
    weir_transport_unref(ends[1].t);
    m->at = HERE;
}

UNIT(move, a_connection_that_ends_stays)
{
    weir_transport_close(mover_t(m));
    expect_eq(mover_begin(m), -ESHUTDOWN);
    MOVER_UNTIL(m, mover_is_lost(m));
    expect_eq(mover_begin(m), -ESHUTDOWN);
}

static void move_back(struct mover *m, weir_transport *t)
{
    const struct weir_factory factory = {refuse_all, NULL};
    m->arg = t;
    expect_eq(weir_transport_move(t, m->sides[HERE].mailbox, &factory, NULL,
                                  NULL, NULL),
              -EBUSY);
}

UNIT(move, a_connection_that_has_not_been_made_stays)
{
    m->in_factory = move_back;
    mover_move(m);
    expect(m->arg == mover_t(m));
    mover_talk(m);
}

UNIT(move, a_write_that_was_refused_is_told_first)
{
    expect_eq(weir_transport_set_write_hard_limit(mover_t(m), 10), 0);
    expect_eq(weir_transport_write(mover_t(m), (uint8_t[11]){0}, 11), -ENOBUFS);
    expect_eq(mover_begin(m), -ENOBUFS);
    expect_eq(weir_transport_take_write_error(mover_t(m)), -ENOBUFS);
    mover_move(m);
}
