/*
 * The subject of the tests of ends, and the rounds; see tls_end_rig.h.
 *
 * Both ends of the TCP connection are made here, the subject adopts one of
 * them, and each round ends with checks that nothing is left.
 */
#include "tests/contract/tls_end_rig.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <weir/connect.h>
#include <weir/start_tls.h>

enum { SMALL_BUFFER = 16384, ROUND_COUNT = 4 };

static char end_name[64] = "no round";

const char *tls_end_name(void)
{
    return end_name;
}

static void end_record(struct tls_end *end, const char *event)
{
    const size_t len = strlen(end->events);
    if (strcmp(event, "data") == 0 && strstr(end->events, "data")) {
        return;
    }
    cr_assert_lt(len + strlen(event) + 2, sizeof(end->events));
    snprintf(end->events + len, sizeof(end->events) - len, "%s%s",
             len > 0 ? " " : "", event);
}

static void end_made(void *user, weir_transport *t)
{
    struct tls_end *end = user;
    end_record(end, "made");
    end->t = weir_transport_ref(t);
    if (end->in_made) {
        end->in_made(end);
    }
}

static void end_lost(void *user, weir_transport *t, int err)
{
    struct tls_end *end = user;
    expect_eq(t, end->t);
    end_record(end, "lost");
    end->lost_err = err;
}

static int end_data(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct tls_end *end = user;
    end_record(end, "data");
    cr_assert(rig_is_pattern(buf->data, end->received, buf->len));
    end->received += buf->len;
    if (end->in_data) {
        end->in_data(end);
    }
    return 0;
}

static int end_eof(void *user, weir_transport *t)
{
    struct tls_end *end = user;
    end_record(end, "eof");
    return end->stays_open;
}

static CALLBACKS(end_protocol, STREAM, .connection_made = end_made,
                 .connection_lost = end_lost, .data_received = end_data,
                 .eof_received = end_eof);

static void end_done(void *arg, int err, weir_transport *t)
{
    struct tls_end *end = arg;
    expect_eq(t != NULL, err == 0);
    end->done_count++;
    end->done_err = err;
    end->attempt = NULL;
}

static void end_report(void *arg, weir_loop *loop,
                       const struct weir_exception *exception)
{
    struct tls_end *end = arg;
    if (exception->notice == WEIR_NOTICE_ENGINE) {
        return;
    }
    end->report_count++;
    end->report_err = exception->err;
}

void tls_end_write(struct tls_end *end, size_t len)
{
    uint8_t buf[4096];
    for (size_t done = 0; done < len;) {
        const size_t part = len - done < sizeof(buf) ? len - done : sizeof(buf);
        rig_pattern(buf, end->written, part);
        expect_eq(weir_transport_write(end->t, buf, part), 0);
        end->written += part;
        done += part;
    }
}

void tls_end_clog(struct tls_end *end)
{
    end->peer.is_deaf = true;
    for (int i = 0; i < 40; i++) {
        tls_end_write(end, 16384);
        tls_end_turn(end);
    }
    cr_assert_gt(weir_transport_get_write_buffer_size(end->t), 200000);
}

void tls_end_turn(struct tls_end *end)
{
    weir_loop_stop(end->loop);
    expect_eq(weir_loop_run(end->loop), 0);
    tls_peer_step(end);
}

void tls_end_turns(struct tls_end *end, int count)
{
    for (int i = 0; i < count; i++) {
        tls_end_turn(end);
    }
}

void tls_end_step(struct tls_end *end)
{
    tls_end_turn(end);
    poll(NULL, 0, 1);
}

void tls_end_turn_for(struct tls_end *end, uint64_t time_ns)
{
    const uint64_t until_ns = rig_now_ns() + time_ns;
    for (int i = 0; i < RIG_TURNS_MIN || rig_now_ns() < until_ns; i++) {
        tls_end_step(end);
    }
}

void tls_end_wait_lost(struct tls_end *end)
{
    TLS_END_UNTIL(end, strstr(end->events, "lost") != NULL);
}

void tls_end_wait_done(struct tls_end *end)
{
    TLS_END_UNTIL(end, end->done_count > 0);
}

void tls_end_wait_received(struct tls_end *end, uint64_t bytes)
{
    TLS_END_UNTIL(end, end->received >= bytes);
}

void tls_end_wait_peer_end(struct tls_end *end)
{
    TLS_END_UNTIL(end, end->peer.end <= 0);
}

static struct weir_tls_settings end_settings(const struct tls_end *end)
{
    return (struct weir_tls_settings){
        .size = sizeof(struct weir_tls_settings),
        .context = tls_context_of(!end->is_client, end->version),
        .server_hostname = "localhost",
        .handshake_timeout_ns = end->handshake_timeout_ns,
        .shutdown_timeout_ns = end->shutdown_timeout_ns,
        .ignore_unexpected_eof = end->ignores_eof};
}

static void end_adopt(struct tls_end *end, int fd)
{
    const struct weir_factory factory = bind_to(&end_protocol, end);
    struct weir_tls_settings settings = end_settings(end);
    const struct weir_connect_options options = {
        .size = sizeof(options),
        .tls = end->way == TLS_END_STARTED ? NULL : &settings,
        .connection = {.size = sizeof(options.connection),
                       .read_limit_bytes = end->read_limit_bytes}};

    settings.ignore_unexpected_eof &= end->way == TLS_END_MADE;
    expect_ok(weir_create_connection_at(end->loop, &factory,
                                        weir_endpoint_fd(fd), &options,
                                        end_done, end, &end->attempt));
    weir_tls_context_unref(settings.context);
}

static void end_started(void *arg, int err, weir_transport *t)
{
    struct tls_end *end = arg;
    expect_eq(t, end->t);
    expect_eq(err, 0);
    end->is_starting = false;
}

static void end_begin(struct tls_end *end)
{
    static const char *const ways[TLS_END_WAYS] = {
        [TLS_END_MADE] = "",
        [TLS_END_STARTED] = " that was started",
        [TLS_END_NESTED] = " in TLS",
    };
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .allocator = end->allocator};
    int fds[2];

    memset(&end->loop, 0, sizeof(*end) - offsetof(struct tls_end, loop));
    end->version = end->round % 2 ? 12 : 13;
    end->is_client = end->round / 2 % 2;
    end->way = (enum tls_end_way)(end->round / ROUND_COUNT);
    snprintf(end_name, sizeof(end_name), "%s of TLS 1.%d%s",
             end->is_client ? "client" : "server", end->version - 10,
             ways[end->way]);
    expect_eq(weir_loop_new(&options, &end->loop), 0);
    weir_loop_set_exception_handler(end->loop, end_report, end);
    tcp_pair(fds, end->small_buffers ? SMALL_BUFFER : 0, 0);
    if (end->small_buffers) {
        set_socket_option(fds[1], SOL_SOCKET, SO_SNDBUF, SMALL_BUFFER);
    }
    /* A reset drops what Nagle's algorithm has held back. */
    set_socket_option(fds[0], IPPROTO_TCP, TCP_NODELAY, 1);
    set_nonblocking(fds[0]);
    tls_peer_open(end, fds[0]);
    end_adopt(end, fds[1]);
    if (end->way == TLS_END_NESTED) {
        tls_peer_begin_outer(end);
    }
    if (end->way != TLS_END_MADE) {
        TLS_END_UNTIL(end, end->t && (end->way == TLS_END_STARTED ||
                                      end->peer.outer.engine.state ==
                                          WR_TLS_ENGINE_OPEN));
        const struct weir_tls_settings settings = end_settings(end);
        weir_transport *t;
        end->is_starting = true;
        expect_ok(weir_transport_start_tls(end->t, &settings, NULL, end_started,
                                           end, &t));
        weir_tls_context_unref(settings.context);
        weir_transport_ref(t);
        weir_transport_unref(end->t);
        end->t = t;
    }
    if (!end->no_handshake) {
        tls_peer_begin(end);
        TLS_END_UNTIL(end,
                      end->t && !end->is_starting &&
                          end->peer.side.engine.state == WR_TLS_ENGINE_OPEN);
        tls_end_turns(end, 2); /* tickets have arrived */
    }
}

static void end_end(struct tls_end *end)
{
    if (end->t && !strstr(end->events, "lost")) {
        expect_eq(weir_transport_abort(end->t), 0);
        tls_end_wait_lost(end);
    }
    weir_transport_unref(end->t);
    /* A transport below outlives TLS until the peer has the alert. */
    TLS_END_UNTIL(end, statistics_of(end->loop).connections == 0);
    tls_end_turns(end, 3);
    const struct weir_loop_statistics stats = statistics_of(end->loop);
    expect_eq(stats.connections, 0);
    expect_eq(stats.queued_bytes, 0);
    expect_eq(stats.leases, 0);
    expect_eq(stats.held_bytes, 0);
    expect_eq(stats.timers, 0);
    expect_eq(weir_loop_free(end->loop), 0);
    tls_peer_fini(end);
}

bool tls_end_next(struct tls_end *end)
{
    tls_require();
    if (end->loop) {
        end_end(end);
        end->loop = NULL;
        end->round++;
    }
    if (end->round == ROUND_COUNT * (end->all_ways ? TLS_END_WAYS : 1)) {
        return false;
    }
    end_begin(end);
    return true;
}

void tls_end_rounds(const struct tls_end *end,
                    void (*round)(struct tls_end *end))
{
    struct tls_end own = *end;

    while (tls_end_next(&own)) {
        round(&own);
    }
}
