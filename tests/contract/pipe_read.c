/*
 * Promises of read pipes.
 *
 * Each test runs over a pipe, a FIFO opened by name, which kernel workers read,
 * and a socket.
 */
#define PAIRS_NEED RIG_RECEIVES | RIG_IS_PIPE
#include "tests/contract/scenes.h"

#include <fcntl.h>
#include <weir/pipe.h>

SCENE(pipe_read, the_writers_end_is_the_end_of_the_connection,
      "receives pipe wide",
      "receive 5; leave; lost 0 EOF; events made data eof lost")
SCENE(pipe_read, r12b__a_positive_answer_of_eof_received_changes_nothing,
      "receives pipe wide eof=1",
      "send 5; leave; lost 0; events made data eof lost; received 5")
SCENE(pipe_read, complaint_76__an_error_of_eof_received_is_the_end,
      "receives pipe wide", "leave; lost EPROTO; exceptions 1",
      "@eof fail EPROTO")
SCENE(pipe_read, complaint_76__an_error_of_data_received_aborts,
      "receives pipe wide",
      "send 5; lost EPROTO; exceptions 1; events made data lost",
      "@data fail EPROTO")
SCENE(pipe_read, a_megabyte_arrives_in_order, "receives pipe wide",
      "receive 1M; leave; lost 0; received 1M")
SCENE(pipe_read, bytes_that_come_one_at_a_time_arrive_so, "receives pipe wide",
      "note received; receive 1; received +1; again 299")
SCENE(pipe_read, bytes_wait_in_the_kernel_while_reading_is_paused,
      "receives pipe wide",
      "pause; reading 0; send 100; leave; run 20; events made; resume; "
      "lost 0; events made data eof lost; received 100")
SCENE(pipe_read, a_pause_in_data_received_holds_until_reading_is_resumed,
      "receives pipe wide",
      "receive 10; send 10; run 20; received 10; resume; until received 20",
      "@data pause")
SCENE(pipe_read, close_leaves_what_was_not_read_and_comes_from_the_loop,
      "receives pipe wide",
      "close; alive; closing 1; send 10; lost 0 CLOSED; events made lost")
SCENE(pipe_read, abort_ends_a_read_that_waits, "receives pipe wide",
      "turn 3; abort; alive; lost 0 ABORTED")
SCENE(pipe_read, calls_of_the_other_direction_are_refused,
      "receives pipe wide each",
      "write 1 EOPNOTSUPP; eof EOPNOTSUPP; can-eof 0; marks 10 1 EOPNOTSUPP; "
      "pending 0; no-socket EOPNOTSUPP")

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

SCENE(pipe_read, leases_outlive_the_connection, "receives pipe wide",
      "send 1000; leave; lost 0; received 1000; give", "@data keep")

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

SCENE(pipe_read, the_read_time_out_does_not_run_while_paused,
      "receives pipe wide read-ms=30",
      "pause; run 60; alive; resume; lost WEIR_EREADTIMEOUT")
SCENE(pipe_read, the_read_time_out_runs_again_after_leases_are_given_back,
      "receives pipe wide read=8192 read-ms=30",
      "receive 8K; run 60; alive; give; lost WEIR_EREADTIMEOUT", "@data keep")
SCENE(pipe_read, an_idle_pipe_ends_by_the_idle_time_out,
      "receives pipe wide idle-ms=30", "lost WEIR_EIDLE")

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

/* Returns true if kernel workers read, so that bytes are copied. */
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
