/*
 * Read pipes: what they promise.
 *
 * Each test runs over a pipe, a FIFO that was opened by its name, which worker
 * threads of the kernel read, and a socket.
 */
#define PAIRS_NEED RIG_RECEIVES | RIG_IS_PIPE
#include "tests/contract/harness.h"
#include "tests/marks.h"

#include <fcntl.h>
#include <weir/pipe.h>

PAIRS(pipe_read, the_writers_end_is_the_end_of_the_connection, rig)
{
    rig_receive(rig, 5);
    rig_peer_close(rig);
    rig_expect_lost(rig, 0);

    expect_events(rig, "made data eof lost");
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_EOF);
}

PAIRS(pipe_read, r12b__a_positive_answer_of_eof_received_changes_nothing, rig,
      .eof_result = 1)
{
    rig_peer_send(rig, 5);
    rig_peer_close(rig);
    rig_wait_lost(rig);

    expect_events(rig, "made data eof lost");
    expect_eq(rig->received, 5);
    expect_eq(rig->lost_err, 0);
}

PAIRS(pipe_read, complaint_76__an_error_of_eof_received_is_the_end, rig,
      .eof_result = -EPROTO)
{
    rig_peer_close(rig);
    rig_expect_lost(rig, -EPROTO);
    expect_eq(rig->exception_count, 1);
}

static int refuse_data(struct rig *rig, const struct weir_buf *buf)
{
    return -EPROTO;
}

PAIRS(pipe_read, complaint_76__an_error_of_data_received_aborts, rig,
      .hooks = {.data_received = refuse_data})
{
    rig_peer_send(rig, 5);
    rig_expect_lost(rig, -EPROTO);
    expect_eq(rig->exception_count, 1);
    expect_events(rig, "made data lost");
}

PAIRS(pipe_read, a_megabyte_arrives_in_order, rig)
{
    rig_receive(rig, 1 << 20);
    rig_peer_close(rig);
    rig_wait_lost(rig);
    expect_eq(rig->received, 1 << 20);
}

PAIRS(pipe_read, bytes_that_come_one_at_a_time_arrive_so, rig)
{
    for (uint64_t i = 1; i <= 300; i++) {
        rig_peer_send(rig, 1);
        rig_wait_received(rig, i);
        expect_eq(rig->received, i);
    }
}

PAIRS(pipe_read, bytes_wait_in_the_kernel_while_reading_is_paused, rig)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    expect(!weir_transport_is_reading(rig->t));
    rig_peer_send(rig, 100);
    rig_peer_close(rig);
    rig_turn_for(rig, 20 * RIG_MS);
    expect_events(rig, "made");

    expect_eq(weir_transport_resume_reading(rig->t), 0);
    rig_wait_lost(rig);
    expect_events(rig, "made data eof lost");
    expect_eq(rig->received, 100);
}

static int pause_after_data(struct rig *rig, const struct weir_buf *buf)
{
    return weir_transport_pause_reading(rig->t);
}

PAIRS(pipe_read, a_pause_in_data_received_holds_until_reading_is_resumed, rig,
      .hooks = {.data_received = pause_after_data})
{
    rig_receive(rig, 10);
    rig_peer_send(rig, 10);
    rig_turn_for(rig, 20 * RIG_MS);
    expect_eq(rig->received, 10);

    expect_eq(weir_transport_resume_reading(rig->t), 0);
    rig_wait_received(rig, 20);
    expect_eq(rig->received, 20);
}

PAIRS(pipe_read, close_leaves_what_was_not_read_and_comes_from_the_loop, rig)
{
    expect_eq(weir_transport_close(rig->t), 0);
    expect_eq(rig->lost_count, 0);
    expect(weir_transport_is_closing(rig->t));
    rig_peer_send(rig, 10);
    rig_expect_lost(rig, 0);

    expect_events(rig, "made lost");
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_CLOSED);
}

PAIRS(pipe_read, abort_ends_a_read_that_waits, rig)
{
    rig_turns(rig, 3);
    expect_eq(weir_transport_abort(rig->t), 0);
    expect_eq(rig->lost_count, 0);
    rig_expect_lost(rig, 0);
    expect_eq(weir_transport_get_end(rig->t), WEIR_END_ABORTED);
}

PAIRS(pipe_read, calls_of_the_other_direction_are_refused, rig)
{
    char byte = 0;
    const struct iovec piece = {.iov_base = &byte, .iov_len = 1};

    expect_eq(weir_transport_write(rig->t, "x", 1), -EOPNOTSUPP);
    expect_eq(weir_transport_writelines(rig->t, &piece, 1), -EOPNOTSUPP);
    expect_eq(weir_transport_write_ref(rig->t, "x", 1, NULL, NULL),
              -EOPNOTSUPP);
    expect_eq(weir_transport_write_eof(rig->t), -EOPNOTSUPP);
    expect(!weir_transport_can_write_eof(rig->t));
    expect_eq(set_marks(rig->t, 10, 1), -EOPNOTSUPP);
    expect_eq(weir_transport_get_write_buffer_size(rig->t), 0);
    expect_eq(weir_transport_get_socket(rig->t), -EOPNOTSUPP);
}

PAIRS(pipe_read, the_pipe_is_told_by_its_name, rig)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    expect_eq(weir_transport_get_extra_info(rig->t, "pipe", &info), 0);
    expect(fcntl(info.fd, F_GETFD) >= 0);
    expect_eq(weir_transport_get_extra_info(rig->t, "socket", &info), -ENOENT);
    expect_eq(weir_transport_get_extra_info(rig->t, "peername", &info),
              -ENOENT);
    rig_peer_close(rig);
    rig_wait_lost(rig);
    expect_eq(weir_transport_get_extra_info(rig->t, "pipe", &info), 0);
    expect_eq(info.fd, -EBADF);
    info.size = 0;
    expect_eq(weir_transport_get_extra_info(rig->t, "pipe", &info),
              WEIR_EOPTIONSIZE);
}

PAIRS(pipe_read, the_loop_can_be_freed_while_a_read_waits, rig)
{
    rig_turns(rig, 3);
    expect_eq(weir_loop_free(rig->loop), 1);
    rig->loop = NULL;
    expect_events(rig, "made lost");
    expect_eq(rig->lost_err, 0);
    weir_transport_unref(rig->t);
}

/* ---- limits ---- */

static struct weir_buf kept[4096];

static int keep_data(struct rig *rig, const struct weir_buf *buf)
{
    kept[rig->count] = *buf;
    return weir_buf_ref(&kept[rig->count++]);
}

PAIRS(pipe_read, reading_stops_at_the_limit_until_leases_are_given_back, rig,
      .connection = {.read_limit_bytes = 64 << 10},
      .hooks = {.data_received = keep_data})
{
    const uint64_t start_ns = rig_now_ns();
    uint8_t bytes[4096];

    for (uint64_t at = 0;
         rig_now_ns() < start_ns + 100 * RIG_MS || rig->received < 32 << 10;) {
        expect(rig_now_ns() < start_ns + RIG_WAIT_NS);
        rig_pattern(bytes, at, sizeof(bytes));
        ssize_t put = write(rig->peer, bytes, sizeof(bytes));
        at += put > 0 ? (uint64_t)put : 0;
        rig_turn(rig);
    }
    expect(rig->received <= 64 << 10);
    expect(weir_transport_get_read_buffer_size(rig->t) <= 64 << 10);

    const uint64_t before = rig->received;
    const int count = rig->count;
    rig->hooks.data_received = NULL;
    for (int i = 0; i < count; i++) {
        weir_buf_unref(kept[i].lease);
    }
    rig_wait_received(rig, before + 4096);
    rig->hooks.data_received = keep_data;
}

PAIRS(pipe_read, leases_outlive_the_connection, rig,
      .hooks = {.data_received = keep_data})
{
    rig_peer_send(rig, 1000);
    rig_peer_close(rig);
    rig_wait_lost(rig);
    expect_eq(rig->received, 1000);
    uint64_t at = 0;
    for (int i = 0; i < rig->count; i++) {
        expect(rig_is_pattern(kept[i].data, at, kept[i].len));
        at += kept[i].len;
        weir_buf_unref(kept[i].lease);
    }
}

/* ---- time-outs ---- */

/* The time of the turn, which its time-out counts from. */
static void note_time(struct rig *rig)
{
    rig->bytes = weir_loop_get_time(rig->loop);
}

PAIRS(pipe_read, a_pipe_that_brings_nothing_ends_by_the_read_time_out, rig,
      .hooks = {.connection_made = note_time},
      .connection = {.timeouts = {.read_ns = 30 * RIG_MS}})
{
    rig_expect_lost(rig, WEIR_EREADTIMEOUT);
    expect(weir_loop_get_time(rig->loop) - rig->bytes >= 20 * RIG_MS);
}

PAIRS(pipe_read, the_read_time_out_does_not_run_while_paused, rig,
      .connection = {.timeouts = {.read_ns = 30 * RIG_MS}})
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    rig_turn_for(rig, 60 * RIG_MS);
    expect_eq(rig->lost_count, 0);
    expect_eq(weir_transport_resume_reading(rig->t), 0);
    rig_expect_lost(rig, WEIR_EREADTIMEOUT);
}

PAIRS(pipe_read, the_read_time_out_runs_again_after_leases_are_given_back, rig,
      .connection = {.read_limit_bytes = 8 << 10,
                     .timeouts = {.read_ns = 30 * RIG_MS}},
      .hooks = {.data_received = keep_data})
{
    rig_peer_send(rig, 8 << 10);
    rig_wait_received(rig, 8 << 10);
    rig_turn_for(rig, 60 * RIG_MS);
    expect_eq(rig->lost_count, 0);

    for (int i = 0; i < rig->count; i++) {
        weir_buf_unref(kept[i].lease);
    }
    rig_expect_lost(rig, WEIR_EREADTIMEOUT);
}

PAIRS(pipe_read, an_idle_pipe_ends_by_the_idle_time_out, rig,
      .connection = {.timeouts = {.idle_ns = 30 * RIG_MS}})
{
    rig_expect_lost(rig, WEIR_EIDLE);
}

/* ---- protocols that bring memory ---- */

static uint8_t own_memory[1000];

static int get_buffer(void *user, weir_transport *t, size_t hint,
                      void **ret_buf, size_t *ret_size)
{
    *ret_buf = own_memory;
    *ret_size = sizeof(own_memory);
    return 0;
}

static int buffer_updated(void *user, weir_transport *t, size_t len)
{
    struct rig *rig = user;
    expect(rig_is_pattern(own_memory, rig->received, len));
    rig->received += len;
    return 0;
}

static void made(void *user, weir_transport *t)
{
    rig_protocol.connection_made(user, t);
}

static void lost(void *user, weir_transport *t, int err)
{
    rig_protocol.connection_lost(user, t, err);
}

static CALLBACKS(buffered, BUFFERED, .connection_made = made,
                 .connection_lost = lost, .get_buffer = get_buffer,
                 .buffer_updated = buffer_updated);

/* True where worker threads of the kernel read, and bytes are copied. */
static bool is_read_by_worker(const struct rig *rig)
{
    char features[4096];

    if (strcmp(rig_name(), "read pipe") == 0) {
        weir_loop_get_features_text(rig->loop, features, sizeof(features));
        return strstr(features, "pipe_nowait      6.4   yes") == NULL;
    }
    return strcmp(rig_name(), "read fifo") == 0;
}

PAIRS(pipe_read, a_buffered_protocol_is_read_into_without_a_copy, rig,
      .protocol = &buffered)
{
    rig_receive(rig, 300000);
    const struct weir_loop_statistics stats = rig_statistics(rig);
    expect_eq(stats.copied_to_protocol, is_read_by_worker(rig) ? 300000 : 0);
    expect_eq(stats.copied_by_compaction, is_read_by_worker(rig) ? 300000 : 0);
    expect_eq(stats.received_bytes, 300000);
    rig_peer_close(rig);
    rig_expect_lost(rig, 0);
}

PAIRS(pipe_read, a_plain_protocol_is_shown_bytes_without_a_copy, rig)
{
    rig_receive(rig, 300000);
    const struct weir_loop_statistics stats = rig_statistics(rig);
    expect_eq(stats.copied_by_compaction, is_read_by_worker(rig) ? 300000 : 0);
}

/* ---- a relay ---- */

static weir_transport *far_end;
static int far_lost;

static void far_made(void *user, weir_transport *t)
{
    far_end = weir_transport_ref(t);
}

static void far_gone(void *user, weir_transport *t, int err)
{
    expect_eq(err, 0);
    far_lost++;
}

static int create_far(void *arg, weir_transport *t,
                      struct weir_protocol_binding *ret)
{
    static CALLBACKS(protocol, STREAM, .connection_made = far_made,
                     .connection_lost = far_gone);
    ret->protocol = &protocol;
    return 0;
}

static int pass_on(struct rig *rig, const struct weir_buf *buf)
{
    return weir_transport_write_buf(far_end, buf);
}

PAIRS(pipe_read, bytes_are_passed_on_to_another_pipe_without_a_copy, rig,
      .hooks = {.data_received = pass_on})
{
    const struct weir_factory factory = {.create = create_far};
    static uint8_t got[65536];
    uint64_t total = 0;
    int fds[2];

    far_end = NULL;
    far_lost = 0;
    expect_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    expect_ok(weir_connect_write_pipe(rig->loop, &factory, fds[1], NULL, NULL,
                                      NULL, NULL));
    RUN_UNTIL(rig->loop, far_end != NULL);
    while (total < 1 << 20) {
        if (rig->peer_sent < 1 << 20) {
            rig_peer_send(rig, 4096);
        }
        ssize_t len = read(fds[0], got, sizeof(got));
        if (len > 0) {
            expect(rig_is_pattern(got, total, (size_t)len));
            total += (uint64_t)len;
        }
        rig_turn(rig);
    }
    expect_eq(rig_statistics(rig).copied_by_write, 0);
    expect_eq(weir_transport_close(far_end), 0);
    RUN_UNTIL(rig->loop, far_lost > 0);
    weir_transport_unref(far_end);
    close(fds[0]);
}
