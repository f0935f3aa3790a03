/*
 * Closes of every kind of connection whose peer does not end.
 *
 * The subject has written a few bytes and is closed. Its peer reads them, and
 * sends as fast as it can, a byte now and then, a part of a record, or nothing;
 * it never ends by itself. Each close must end, and report a missing
 * close_notify if it should wait for one.
 *
 * All kinds are on one loop at once. The peer is a plain transport; with TLS it
 * has an engine for each layer, which a test can make send anything.
 */
#include "tests/contract/harness.h"
#include "tests/tls/rig.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <weir/connect.h>
#include <weir/pair.h>
#include <weir/pipe.h>
#include <weir/start_tls.h>
#include <weir/tls.h>

enum kind { TCP, UNIX, MEMORY, READ_PIPE, WRITE_PIPE, KINDS };
enum { LAYERS = 2, TIMES = 3, CELLS = KINDS * (1 + LAYERS * TIMES) };

static const char *const kind_names[KINDS] = {"tcp", "unix", "memory",
                                              "read pipe", "write pipe"};
static const uint64_t times_ns[TIMES] = {0, RIG_S, 3600 * RIG_S};

struct cell {
    enum kind kind;
    int layers; /* of TLS */
    uint64_t shutdown_timeout_ns;
    weir_transport *t;
    int shaken; /* layers whose handshake has completed */
    bool is_closed;
    int lost_count;
    int lost_err;
    weir_transport *peer;          /* NULL before it is made, and once lost */
    struct tls_side sides[LAYERS]; /* of the peer; the last is the innermost */
    bool is_paused;
    int sent;
};

static weir_loop *loop;
static struct cell cells[CELLS];
static int cell_count;
static struct tls_account account;
static void (*act)(struct cell *cell);

static const char *cell_name(const struct cell *cell)
{
    static char text[80];
    snprintf(text, sizeof(text), "%s, %d of TLS, %llu s",
             kind_names[cell->kind], cell->layers,
             (unsigned long long)(cell->shutdown_timeout_ns / RIG_S));
    return text;
}

static void raw_send(void *arg, const void *data, size_t len)
{
    const struct cell *cell = arg;
    if (cell->peer) { /* the subject may be lost by now */
        wr_ignore(weir_transport_write(cell->peer, data, len) < 0);
    }
}

static void inner_send(void *arg, const void *data, size_t len)
{
    struct cell *cell = arg;
    expect_eq(wr_tls_engine_write(&cell->sides[0].engine, data, len), 0);
    tls_side_flush(&cell->sides[0]);
}

static void outer_opened(void *arg, const void *data, size_t len)
{
    struct cell *cell = arg;
    if (cell->layers > 1) {
        tls_side_feed(&cell->sides[1], data, len, len);
    }
}

static void inner_opened(void *arg, const void *data, size_t len)
{
}

static const struct tls_way outer_way = {.send = raw_send,
                                         .opened = outer_opened};
static const struct tls_way inner_way = {.send = inner_send,
                                         .opened = inner_opened};

static void peer_made(void *user, weir_transport *t)
{
    ((struct cell *)user)->peer = t;
}

static int peer_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct cell *cell = user;
    if (cell->layers > 0) {
        tls_side_feed(&cell->sides[0], buf->data, buf->len, buf->len);
    }
    return 0;
}

static int peer_ended(void *user, weir_transport *t)
{
    return 1;
}

static void peer_acts(struct cell *cell)
{
    if (cell->is_closed && cell->peer && !cell->is_paused && act &&
        cell->kind != WRITE_PIPE) {
        act(cell);
    }
}

static void peer_pause(void *user, weir_transport *t)
{
    ((struct cell *)user)->is_paused = true;
}

static void peer_resume(void *user, weir_transport *t)
{
    struct cell *cell = user;
    cell->is_paused = false;
    peer_acts(cell);
}

static void peer_lost(void *user, weir_transport *t, int err)
{
    ((struct cell *)user)->peer = NULL;
}

static CALLBACKS(peer_protocol, STREAM, .connection_made = peer_made,
                 .data_received = peer_received, .eof_received = peer_ended,
                 .pause_writing = peer_pause, .resume_writing = peer_resume,
                 .connection_lost = peer_lost);

static void send_data(struct cell *cell, const void *data, size_t len)
{
    if (cell->layers == 0) {
        raw_send(cell, data, len);
        return;
    }
    struct tls_side *side = &cell->sides[cell->layers - 1];
    if (side->engine.state != WR_TLS_ENGINE_FAILED) {
        expect_eq(wr_tls_engine_write(&side->engine, data, len), 0);
        tls_side_flush(side);
    }
}

static void send_as_fast_as_it_can(struct cell *cell)
{
    static const uint8_t bytes[16000];
    for (int i = 0; i < 8 && cell->peer && !cell->is_paused; i++) {
        send_data(cell, bytes, sizeof(bytes));
    }
}

static void send_a_byte(struct cell *cell)
{
    send_data(cell, "x", 1);
}

/* Sends a part of a record that is never completed, some iterations after the
 * close. */
static void send_a_part(struct cell *cell)
{
    static const uint8_t part[] = {23, 3, 3, 0x3f, 0xff, 1, 2, 3};
    if (cell->sent++ == 10) {
        raw_send(cell, part, sizeof(part));
    }
}

static void send_nothing(struct cell *cell)
{
}

static void subject_made(void *user, weir_transport *t)
{
    ((struct cell *)user)->t = weir_transport_ref(t);
}

static void subject_lost(void *user, weir_transport *t, int err)
{
    struct cell *cell = user;
    cell->lost_count++;
    cell->lost_err = err;
}

static CALLBACKS(subject_protocol, STREAM, .connection_made = subject_made,
                 .connection_lost = subject_lost);

static void adopt(struct cell *cell, int fd, bool is_peer)
{
    const struct weir_factory factory =
        bind_to(is_peer ? &peer_protocol : &subject_protocol, cell);
    expect_ok(weir_create_connection_at(loop, &factory, weir_endpoint_fd(fd),
                                        NULL, NULL, NULL, NULL));
}

static void open_pipe(struct cell *cell)
{
    const struct weir_factory subject = bind_to(&subject_protocol, cell);
    const struct weir_factory peer = bind_to(&peer_protocol, cell);
    const bool reads = cell->kind == READ_PIPE;
    int fds[2];

    expect_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    expect_ok(weir_connect_read_pipe(loop, reads ? &subject : &peer, fds[0],
                                     NULL, NULL, NULL, NULL));
    expect_ok(weir_connect_write_pipe(loop, reads ? &peer : &subject, fds[1],
                                      NULL, NULL, NULL, NULL));
}

static void open_cell(struct cell *cell)
{
    const struct weir_protocol_binding bindings[2] = {
        {.protocol = &subject_protocol, .user = cell},
        {.protocol = &peer_protocol, .user = cell}};
    int fds[2];

    switch (cell->kind) {
    case TCP:
    case UNIX:
        if (cell->kind == TCP) {
            tcp_pair(fds, 0, 0);
        } else {
            expect_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
        }
        adopt(cell, fds[0], false);
        adopt(cell, fds[1], true);
        break;
    case MEMORY:
        expect_eq(weir_transport_pair(loop, bindings, NULL, NULL), 0);
        break;
    default:
        open_pipe(cell);
    }
    RUN_UNTIL(loop, cell->t && cell->peer);
}

static void layer_done(void *arg, int err, weir_transport *t)
{
    struct cell *cell = arg;
    expect_eq(err, 0, "%s: %s", cell_name(cell), weir_err_name(err));
    cell->shaken++;
}

static void add_layer(struct cell *cell)
{
    const int i = cell->shaken;
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    const struct weir_tls_settings tls = {.size = sizeof(tls),
                                          .context = tls_context_of(true, 0),
                                          .shutdown_timeout_ns =
                                              cell->shutdown_timeout_ns};
    weir_tls_context *client = tls_context_of(false, 0);
    weir_transport *old = cell->t;

    expect_ok(
        weir_transport_start_tls(old, &tls, NULL, layer_done, cell, &cell->t));
    weir_transport_ref(cell->t);
    weir_transport_unref(old);
    cell->sides[i].way = i == 0 ? &outer_way : &inner_way;
    cell->sides[i].arg = cell;
    expect_eq(tls_side_open(&cell->sides[i], client, &how, &account), 0);
    tls_side_step(&cell->sides[i]);
    RUN_UNTIL(loop, cell->shaken == i + 1);
    weir_tls_context_unref(client);
    weir_tls_context_unref(tls.context);
}

static void add_cell(enum kind kind, int layers, uint64_t shutdown_timeout_ns)
{
    struct cell *cell = &cells[cell_count++];

    *cell = (struct cell){.kind = kind,
                          .layers = layers,
                          .shutdown_timeout_ns = shutdown_timeout_ns};
    open_cell(cell);
    while (cell->shaken < layers) {
        add_layer(cell);
    }
}

static void close_cell(struct cell *cell)
{
    if (cell->kind != READ_PIPE) {
        expect_eq(weir_transport_write(cell->t, "bytes", 5), 0);
    }
    expect_eq(weir_transport_close(cell->t), 0);
    cell->is_closed = true;
}

static void tick(void *arg)
{
    struct weir_handle handle;
    for (int i = 0; i < cell_count; i++) {
        peer_acts(&cells[i]);
    }
    expect_ok(weir_loop_call_later(loop, 20 * RIG_MS, tick, NULL, &handle));
}

static bool all_are_lost(void)
{
    for (int i = 0; i < cell_count; i++) {
        if (cells[i].lost_count == 0) {
            return false;
        }
    }
    return true;
}

static void end_cell(struct cell *cell)
{
    const bool waits = cell->layers > 0 && cell->shutdown_timeout_ns > 0;

    expect_eq(cell->lost_count, 1, "%s", cell_name(cell));
    expect_eq(cell->lost_err, waits ? WEIR_ETLSTIMEOUT : 0, "%s: %s",
              cell_name(cell), weir_err_name(cell->lost_err));
    expect_eq(weir_transport_get_end(cell->t), WEIR_END_CLOSED);
    weir_transport_unref(cell->t);
    for (int i = 0; i < cell->layers; i++) {
        tls_side_close(&cell->sides[i]);
    }
}

static void close_all(void (*manner)(struct cell *cell), int times)
{
    tls_require();
    expect_eq(weir_loop_new(NULL, &loop), 0);
    tls_account_open(&account);
    cell_count = 0;
    act = manner;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        add_cell(kind, 0, 0);
        for (int i = 0; i < times * LAYERS && kind <= MEMORY; i++) {
            add_cell(kind, 1 + i % LAYERS, times_ns[i / LAYERS]);
        }
    }
    for (int i = 0; i < cell_count; i++) {
        close_cell(&cells[i]);
    }
    tick(NULL);
    RUN_UNTIL(loop, all_are_lost());
    act = NULL;
    for (int i = 0; i < cell_count; i++) {
        end_cell(&cells[i]);
    }
    weir_loop_free(loop);
    tls_account_close(&account);
}

UNIT(close_ends, peers_that_send_as_fast_as_they_can_keep_none)
{
    close_all(send_as_fast_as_it_can, TIMES);
}

UNIT(close_ends, peers_that_send_a_byte_now_and_then_keep_none)
{
    close_all(send_a_byte, TIMES);
}

UNIT(close_ends, peers_that_send_a_part_of_a_record_keep_none)
{
    close_all(send_a_part, TIMES);
}

/* Waits as long as the program specifies, which is less than an hour here. */
UNIT(close_ends, silent_peers_keep_none)
{
    close_all(send_nothing, TIMES - 1);
}
