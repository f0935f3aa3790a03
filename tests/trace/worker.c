/*
 * Receives that the kernel gives up, and completions that are wrong.
 *
 * A receive that is woken too often without bytes ends, or continues in a
 * worker thread (see wr_prep_recv()). In a ring for a host, one that has met an
 * urgent byte may see nothing more (see wr_ring_misses_ends()). A completion
 * that contradicts the state of its buffer ends the connection with
 * WEIR_EBADBUFFER. Other connections do not notice.
 */
#include "adopt.h"
#include "tests/allocator.h"
#include "tests/bind.h"
#include "tests/dump.h"
#include "tests/until.h"
#include "uring/feature.h"
#include "uring/op.h"

#include <weir/connect.h>
#include <weir/embed.h>
#include <weir/pipe.h>

enum { CONNS = 2, URGENT = 200, PIECE = 1000 };

struct conn {
    struct fake_peer *peer;
    weir_transport *t;
    uint64_t sent;
    uint64_t received;
    int lost_count;
    int lost_err;
};

static struct test_allocator allocator;
static weir_loop *loop;
static struct conn conns[CONNS];

static uint8_t byte_at(const struct conn *conn, uint64_t position)
{
    return (uint8_t)(position * 7 + (uint64_t)(conn - conns) * 101);
}

static void made(void *user, weir_transport *t)
{
    ((struct conn *)user)->t = t;
}

static int received(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct conn *conn = user;
    const uint8_t *data = buf->data;
    for (size_t i = 0; i < buf->len; i++) {
        expect_eq(data[i], byte_at(conn, conn->received + i));
    }
    conn->received += buf->len;
    return 0;
}

static void lost(void *user, weir_transport *t, int err)
{
    struct conn *conn = user;
    conn->lost_count++;
    conn->lost_err = err;
}

static CALLBACKS(protocol, STREAM, .connection_made = made,
                 .data_received = received, .connection_lost = lost);

static void turns(int count)
{
    for (int i = 0; i < count; i++) {
        weir_loop_stop(loop);
        expect_eq(weir_loop_run(loop), 0);
    }
}

static void start_as(uint32_t missing, bool has_host)
{
    /* With epoll no receive is given up, and none goes on in a worker. */
    allocator_init(&allocator);
    struct weir_loop_options options = allocator_options(&allocator);
    options.engine = WEIR_ENGINE_URING;

    fake_start(&(struct fake_options){.missing = missing, .trace = true});
    memset(conns, 0, sizeof(conns));
    expect_eq(weir_loop_new(&options, &loop), 0);
    if (has_host) {
        expect_geq(weir_loop_get_fd(loop), 0);
    }
    for (int i = 0; i < CONNS; i++) {
        adopt(loop, &protocol, &conns[i], NULL, &conns[i].peer);
    }
    turns(2);
}

static void start(uint32_t missing)
{
    start_as(missing, false);
}

static void stop(int alive)
{
    expect_eq(weir_loop_free(loop), alive);
    for (int i = 0; i < CONNS; i++) {
        fake_peer_close(conns[i].peer);
    }
    fake_stop();
}

static void say(struct conn *conn)
{
    uint8_t bytes[PIECE];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = byte_at(conn, conn->sent + i);
    }
    expect_eq(fake_peer_write(conn->peer, bytes, sizeof(bytes)), PIECE);
    conn->sent += sizeof(bytes);
}

/* Each connection sends some bytes, twice, and they are received. */
static void check_talk(void)
{
    for (int i = 0; i < 2 * CONNS; i++) {
        say(&conns[i % CONNS]);
        turns(3);
    }
    for (int i = 0; i < CONNS; i++) {
        expect_eq(conns[i].received, conns[i].sent);
        expect_eq(conns[i].lost_count, 0);
    }
}

static void check_urgent_bytes(uint32_t missing, const char *how)
{
    start(missing);
    fake_text_clear();

    fake_peer_urge(conns[0].peer, URGENT);
    turns(3);

    cr_assert_not_null(strstr(fake_text(), how), "%s", fake_text());
    check_talk();
    fake_peer_urge(conns[1].peer, URGENT); /* later ones too */
    turns(3);
    check_talk();
    stop(CONNS);
}

UNIT(worker, a_receive_that_was_woken_too_often_ends_and_is_armed_again)
{
    check_urgent_bytes(0, "recv fd=1001 = -125\n");
}

UNIT(worker, a_receive_with_plain_buffers_ends_and_is_armed_again_too)
{
    check_urgent_bytes(1u << WR_FEATURE_BUF_INC, "recv fd=1001 = -125\n");
}

UNIT(worker, a_single_receive_goes_on_in_a_worker_with_a_plain_buffer)
{
    check_urgent_bytes(1u << WR_FEATURE_RECV_CREDIT,
                       "recv fd=1001 goes on in a worker\n");
}

UNIT(worker, a_single_receive_in_a_worker_can_be_cancelled)
{
    start(1u << WR_FEATURE_RECV_CREDIT);
    fake_peer_urge(conns[0].peer, URGENT);
    turns(3);

    weir_transport_close(conns[0].t);
    turns(4);

    expect_eq(conns[0].lost_count, 1);
    expect_eq(conns[0].lost_err, 0);
    stop(CONNS - 1);
}

UNIT(worker, a_completion_that_cannot_be_true_ends_only_its_connection)
{
    start(0);
    check_talk();

    fake_spoil_receive(WR_CQE_BUF_MORE); /* "used up", and it is not */
    say(&conns[0]);
    turns(4);

    expect_eq(conns[0].lost_count, 1);
    expect_eq(conns[0].lost_err, WEIR_EBADBUFFER);
    expect_eq(conns[0].received, conns[0].sent - PIECE,
              "bytes that may be another's were delivered");
    stop(CONNS - 1);
}

UNIT(worker, a_buffer_that_does_not_exist_ends_only_its_connection)
{
    start(0);

    fake_spoil_receive(200u << WR_CQE_BUFFER_SHIFT);
    say(&conns[0]);
    turns(4);

    expect_eq(conns[0].lost_err, WEIR_EBADBUFFER);
    expect_eq(conns[0].received, 0);
    expect_eq(conns[1].lost_count, 0);
    stop(CONNS - 1);
}

/* The peer says something that no armed receive sees. */
static void say_unheard(struct conn *conn)
{
    fake_peer_deafen(conn->peer);
    say(conn);
    turns(3);
    expect_eq(conn->received, conn->sent - PIECE);
    expect_eq(conn->lost_count, 0);
}

static void check_heard_to_the_end(const struct conn *conn, int lost_err)
{
    turns(6);
    expect_eq(conn->received, conn->sent);
    expect_eq(conn->lost_count, 1);
    expect_eq(conn->lost_err, lost_err);
}

UNIT(worker, a_host_sees_the_end_that_its_first_receive_has_missed)
{
    start_as(0, true);
    say_unheard(&conns[0]);

    fake_peer_shutdown(conns[0].peer);

    check_heard_to_the_end(&conns[0], 0);
    stop(CONNS - 1);
}

UNIT(worker, a_host_sees_the_end_that_a_later_receive_has_missed)
{
    start_as(0, true);
    check_talk();
    say_unheard(&conns[0]);

    fake_peer_shutdown(conns[0].peer);

    check_heard_to_the_end(&conns[0], 0);
    stop(CONNS - 1);
}

UNIT(worker, a_host_sees_the_reset_that_a_receive_has_missed)
{
    start_as(0, true);
    check_talk();
    say_unheard(&conns[0]);

    fake_peer_reset(conns[0].peer);

    check_heard_to_the_end(&conns[0], -ECONNRESET);
    stop(CONNS - 1);
}

UNIT(worker, a_host_sees_the_end_that_a_paused_receive_has_missed)
{
    start_as(0, true);
    fake_peer_deafen(conns[0].peer);
    weir_transport_pause_reading(conns[0].t);
    say(&conns[0]);
    fake_peer_shutdown(conns[0].peer);
    turns(4);
    expect_eq(conns[0].received, 0);

    weir_transport_resume_reading(conns[0].t);

    check_heard_to_the_end(&conns[0], 0);
    stop(CONNS - 1);
}

/* The error is the send's, so the poll knows of none. */
UNIT(worker, a_host_sees_the_end_of_a_connection_whose_send_has_failed)
{
    start_as(0, true);
    check_talk();
    say_unheard(&conns[0]);

    weir_transport_write(conns[0].t, "x", 1);
    fake_peer_reset_send(conns[0].peer);

    check_heard_to_the_end(&conns[0], -ECONNRESET);
    stop(CONNS - 1);
}

UNIT(worker, a_host_sees_an_end_while_no_buffer_can_be_made)
{
    start_as(0, true);
    check_talk();
    say_unheard(&conns[0]);
    allocator.size_limit = 64 << 10; /* smaller than a buffer */

    fake_peer_shutdown(conns[0].peer);

    check_heard_to_the_end(&conns[0], 0);
    stop(CONNS - 1);
}

UNIT(worker, no_poll_looks_for_an_end_that_cannot_be_missed)
{
    start(0);
    check_talk();
    expect_eq(weir_loop_get_fd(loop) >= 0, true);

    check_talk();

    cr_assert_null(strstr(fake_text(), "poll"), "%s", fake_text());
    stop(CONNS);
}

/* Unix sockets pass no urgent bytes that could hide it. */
UNIT(worker, no_poll_looks_for_the_end_of_a_unix_socket_in_a_host)
{
    const struct weir_factory factory = bind_to(&protocol, &conns[0]);
    memset(conns, 0, sizeof(conns));
    fake_start(&(struct fake_options){.trace = true});
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_geq(weir_loop_get_fd(loop), 0);
    expect_ok(weir_create_connection_at(
        loop, &factory,
        weir_endpoint_fd(fake_connected_unix_fd(&conns[0].peer)), NULL, NULL,
        NULL, NULL));
    turns(2);
    say(&conns[0]);
    turns(3);

    expect_eq(conns[0].received, conns[0].sent);
    cr_assert_null(strstr(fake_text(), "poll"), "%s", fake_text());
    expect_eq(weir_loop_free(loop), 1);
    fake_peer_close(conns[0].peer);
    fake_stop();
}

UNIT(worker, a_pipe_ends_although_cancels_are_lost)
{
    const struct weir_factory factory = bind_to(&protocol, &conns[0]);
    static const char page[4096];
    int fd;
    memset(conns, 0, sizeof(conns));
    fake_start(&(struct fake_options){.seed = 1});
    expect_eq(weir_loop_new(NULL, &loop), 0);
    struct fake_fifo *fifo = fake_fifo_open(false, true, sizeof(page), &fd);
    expect_ok(
        weir_connect_write_pipe(loop, &factory, fd, NULL, NULL, NULL, NULL));
    turns(2);
    expect_eq(fake_fifo_write(fifo, page, sizeof(page)), (ssize_t)sizeof(page));
    expect_eq(weir_transport_write(conns[0].t, "x", 1), 0);
    turns(2);
    expect_dumped(loop, "io=working");

    fake_set_fault(FAKE_CANCEL_LOST, 1000);
    weir_transport_abort(conns[0].t);
    turns(3);
    expect_eq(conns[0].lost_count, 0);
    fake_set_fault(FAKE_CANCEL_LOST, 0);
    RUN_UNTIL(loop, conns[0].lost_count > 0);

    expect_eq(conns[0].lost_err, 0);
    expect_eq(weir_loop_free(loop), 0);
    fake_fifo_close(fifo);
    fake_stop();
}
