/*
 * A connection that waits for closes of descriptors; see resting_rig.h.
 *
 * Its peer passes three descriptors with a byte, and it takes one of them: the
 * other two are dropped, and their closes wait.
 */
#include "tests/trace/resting_rig.h"
#include "tests/bind.h"
#include "tests/dump.h"

#include "uring/sys.h"

#include <weir/connect.h>

struct resting_rig rig;

static void made(void *user, weir_transport *t)
{
    rig.t = t;
}

static int data(void *user, weir_transport *t, const struct weir_buf *buf)
{
    char *text = user;
    expect_lt(strlen(text) + buf->len, TEXT_MAX);
    strncat(text, (const char *)buf->data, buf->len);
    if (rig.keeps) {
        rig.keeps = false;
        rig.kept = *buf;
        expect_eq(weir_buf_ref(&rig.kept), 0);
    }
    if (rig.pauses) {
        expect_eq(weir_transport_pause_reading(t), 0);
    }
    return 0;
}

static int fds(void *user, weir_transport *t, const int *fds, size_t count,
               bool lost)
{
    expect_eq(count, 1);
    cr_assert(lost);
    expect_eq(wr_sys_close(fds[0]), 0);
    rig.fds_count++;
    return 0;
}

static int ended(void *user, weir_transport *t)
{
    rig.eof_count++;
    return 1;
}

static void lost(void *user, weir_transport *t, int err)
{
    rig.lost_count++;
    rig.lost_err = err;
    rig.lost_ns = fake_now();
}

CALLBACKS(resting_protocol, STREAM, .connection_made = made,
          .data_received = data, .fds_received = fds, .eof_received = ended,
          .connection_lost = lost);

void rig_open(void)
{
    const struct weir_factory factory =
        bind_to(&resting_protocol, rig.received);
    struct weir_connect_options options = {.size = sizeof(options),
                                           .connection = {.fd_limit = 1}};
    const struct weir_loop_options loop_options = {.size = sizeof(loop_options),
                                                   .allocator = rig.allocator};
    fake_start(&(struct fake_options){
        .seed = rig.seed, .send_size = ROOM, .recv_size = ROOM});
    expect_eq(weir_loop_new(&loop_options, &rig.loop), 0);
    expect_ok(weir_create_connection_at(
        rig.loop, &factory, weir_endpoint_fd(fake_connected_unix_fd(&rig.peer)),
        &options, NULL, NULL, NULL));
    rig_run(MS);
    fake_hold_closes(true);
}

void rig_start(void)
{
    rig_open();
    peer_passes();
    rig_run(MS);
    expect_str_eq(rig.received, "f");
    expect_eq(rig.fds_count, 1);
    expect_eq(rig_waiting(), WAITING);
}

void rig_stop(int alive)
{
    expect_eq(weir_loop_free(rig.loop), alive);
    expect_eq(rig.lost_count, 1);
    fake_peer_close(rig.peer);
    fake_stop();
}

void rig_run(uint64_t time_ns)
{
    clock_run_for(rig.loop, time_ns);
}

void peer_sends(const char *text)
{
    expect_eq(fake_peer_write(rig.peer, text, strlen(text)), strlen(text));
}

void peer_passes(void)
{
    static uint64_t token;
    expect_eq(fake_peer_write_tokens(rig.peer, "f", 1, token, TOKENS), 1);
    token += TOKENS;
}

void expect_peer_reads(const char *text)
{
    char bytes[TEXT_MAX];
    const ssize_t len = fake_peer_read(rig.peer, bytes, sizeof(bytes) - 1);
    expect_eq(len, strlen(text));
    bytes[len > 0 ? len : 0] = '\0';
    expect_str_eq(bytes, text);
}

uint32_t rig_waiting(void)
{
    return fake_closing_tokens(0, UINT64_MAX);
}

void rig_end_closes(void)
{
    fake_hold_closes(false);
    fake_hold_closes(true);
    rig_run(MS);
}

void expect_lost(int err)
{
    expect_eq(rig.lost_count, 1);
    expect_eq(rig.lost_err, err, "%s", weir_err_name(rig.lost_err));
}

bool is_dumped(const char *words)
{
    return dump_has(rig.loop, words);
}
