/*
 * The rig of the contract suites; see harness.h.
 *
 * Most tests run with the recorder as the protocol. It records each callback,
 * and checks that none is nested (R7; except pause_writing), that none comes
 * before connection_made or after connection_lost (R2), and that the bytes are
 * the pattern.
 */
#include "tests/contract/harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <weir/connect.h>

#define SMALL_BUFFER 16384

static const char *current_name = "no maker";

const char *rig_name(void)
{
    return current_name;
}

void rig_set_name(const char *name)
{
    current_name = name;
}

void rig_record(struct rig *rig, const char *event)
{
    const size_t len = strlen(rig->events);
    const size_t event_len = strlen(event);
    const bool repeated = len >= event_len && strcmp(event, "data") == 0 &&
                          strcmp(rig->events + len - event_len, event) == 0;
    if (repeated || len + event_len + 2 > sizeof(rig->events)) {
        return;
    }
    snprintf(rig->events + len, sizeof(rig->events) - len, "%s%s",
             len > 0 ? " " : "", event);
}

static void enter(struct rig *rig, const char *event)
{
    expect(rig->depth == 0);
    expect(rig->lost_count == 0);
    rig->depth++;
    rig_record(rig, event);
}

static void connection_made(void *user, weir_transport *t)
{
    struct rig *rig = user;
    enter(rig, "made");
    expect_eq(rig->made_count, 0);
    rig->made_count++;
    rig->t = weir_transport_ref(t);
    if (rig->small_buffers) {
        rig_narrow(t);
    }
    if (rig->hooks.connection_made) {
        rig->hooks.connection_made(rig);
    }
    rig->depth--;
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct rig *rig = user;
    enter(rig, "lost");
    expect(t == rig->t);
    expect_eq(rig->made_count, 1);
    rig->lost_count++;
    rig->lost_err = err;
    if (rig->hooks.connection_lost) {
        rig->hooks.connection_lost(rig);
    }
    rig->depth--;
}

static void pause_writing(void *user, weir_transport *t)
{
    struct rig *rig = user;
    expect(t == rig->t);
    expect_eq(rig->lost_count, 0);
    rig_record(rig, "pause");
    if (rig->hooks.pause_writing) {
        rig->hooks.pause_writing(rig);
    }
}

static void resume_writing(void *user, weir_transport *t)
{
    struct rig *rig = user;
    enter(rig, "resume");
    expect(t == rig->t);
    if (rig->hooks.resume_writing) {
        rig->hooks.resume_writing(rig);
    }
    rig->depth--;
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct rig *rig = user;
    enter(rig, "data");
    expect(t == rig->t);
    expect(buf->len > 0);
    expect_eq(rig->made_count, 1);
    expect(rig_is_pattern(buf->data, rig->received, buf->len));
    rig->received += buf->len;
    int result = 0;
    if (rig->hooks.data_received) {
        result = rig->hooks.data_received(rig, buf);
    }
    rig->depth--;
    return result;
}

static int eof_received(void *user, weir_transport *t)
{
    struct rig *rig = user;
    enter(rig, "eof");
    expect(t == rig->t);
    int result = rig->eof_result;
    if (rig->hooks.eof_received) {
        result = rig->hooks.eof_received(rig);
    }
    rig->depth--;
    return result;
}

CALLBACKS(rig_protocol, STREAM, .connection_made = connection_made,
          .connection_lost = connection_lost, .pause_writing = pause_writing,
          .resume_writing = resume_writing, .data_received = data_received,
          .eof_received = eof_received);

static void exception_hook(void *arg, weir_loop *loop,
                           const struct weir_exception *exception)
{
    struct rig *rig = arg;
    expect(loop == rig->loop);
    expect(exception->message != NULL);
    if (exception->notice == WEIR_NOTICE_ENGINE) {
        return;
    }
    rig->exception_count++;
    rig->exception_err = exception->err;
    rig->exception_callback = exception->callback;
    if (exception->err == WEIR_EREADTIMEOUT && rig->made_count == 0) {
        rig_opened(rig, exception->err, NULL);
    }
}

void rig_opened(void *arg, int err, weir_transport *t)
{
    struct rig *rig = arg;
    if (err < 0) {
        rig->made_count = 1;
        rig->lost_count = 1;
        rig->lost_err = err;
    }
}

void set_socket_option(int fd, int level, int name, int value)
{
    expect_eq(setsockopt(fd, level, name, &value, sizeof(value)), 0);
}

void set_nonblocking(int fd)
{
    expect_eq(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

bool rig_is_under_way(int fd)
{
    struct tcp_info info = {0}; /* qemu-user only fills in the state */
    socklen_t len = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0) {
        expect_eq(errno, EOPNOTSUPP);
        return false;
    }
    return info.tcpi_unacked > 0;
}

void rig_wait_way(int fd)
{
    const uint64_t until_ns = rig_now_ns() + RIG_S;
    while (rig_is_under_way(fd) && rig_now_ns() < until_ns) {
        poll(NULL, 0, 1);
    }
}

int listen_tcp(uint16_t *ret_port, int receive_buffer)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t len = sizeof(addr);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect(fd >= 0);
    if (receive_buffer > 0) {
        set_socket_option(fd, SOL_SOCKET, SO_RCVBUF, receive_buffer);
    }
    expect_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    expect_eq(listen(fd, 4096), 0);
    expect_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    *ret_port = ntohs(addr.sin_port);
    return fd;
}

int rig_create(void *arg, weir_transport *t, struct weir_protocol_binding *ret)
{
    struct rig *rig = arg;
    expect(weir_transport_get_loop(t) == rig->loop);
    ret->protocol = rig->protocol ? rig->protocol : &rig_protocol;
    ret->user = rig;
    return 0;
}

static void open_connected(struct rig *rig)
{
    const struct weir_factory factory = {.create = rig_create, .arg = rig};
    uint16_t port;
    int fd = listen_tcp(&port, rig->small_buffers ? SMALL_BUFFER : 0);
    expect_ok(weir_create_connection(
        rig->loop, &factory, "127.0.0.1", port,
        SIZED(weir_connect_options, .connection = rig->connection), NULL, NULL,
        NULL));
    rig_turn(rig);
    rig->peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    expect(rig->peer >= 0);
    set_socket_option(rig->peer, IPPROTO_TCP, TCP_NODELAY, 1);
    close(fd);
}

void rig_server_done(void *arg, int err, weir_server *server)
{
    struct rig *rig = arg;
    expect_eq(err, 0);
    expect(server == rig->server);
    rig->count = 1;
}

void rig_wait_server(struct rig *rig)
{
    RUN_UNTIL(rig->loop, rig->count > 0);
    rig->count = 0;
}

static void open_accepted(struct rig *rig)
{
    const struct weir_factory factory = {.create = rig_create, .arg = rig};
    struct weir_address addr;
    expect_ok(weir_create_server(
        rig->loop, &factory, "127.0.0.1", 0,
        SIZED(weir_server_options, .connection = rig->connection),
        rig_server_done, rig, &rig->server));
    rig_wait_server(rig);
    expect(weir_server_get_socket(rig->server, 0, &addr) >= 0);
    rig->peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect(rig->peer >= 0);
    set_socket_option(rig->peer, IPPROTO_TCP, TCP_NODELAY, 1);
    if (rig->small_buffers) {
        set_socket_option(rig->peer, SOL_SOCKET, SO_RCVBUF, SMALL_BUFFER);
    }
    expect_eq(connect(rig->peer, &addr.storage.any, addr.len), 0);
}

static void open_unix(struct rig *rig)
{
    const struct weir_factory factory = {.create = rig_create, .arg = rig};
    int fds[2];
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    rig->peer = fds[0];
    expect_ok(weir_create_connection_at(
        rig->loop, &factory, weir_endpoint_fd(fds[1]),
        SIZED(weir_connect_options, .connection = rig->connection), NULL, NULL,
        NULL));
}

static const struct pair_maker makers[] = {
    {.name = "tcp connected",
     .traits = RIG_BOTH_WAYS | RIG_HAS_KERNEL | RIG_IS_PLAIN | RIG_CAN_RESET |
               RIG_HAS_ADDRESSES,
     .open = open_connected},
    {.name = "tcp accepted",
     .traits = RIG_BOTH_WAYS | RIG_HAS_KERNEL | RIG_IS_PLAIN | RIG_CAN_RESET |
               RIG_HAS_ADDRESSES,
     .open = open_accepted},
    {.name = "unix connected",
     .traits = RIG_BOTH_WAYS | RIG_HAS_KERNEL | RIG_IS_PLAIN | RIG_IS_UNIX,
     .open = rig_open_unix_connected},
    {.name = "unix accepted",
     .traits = RIG_BOTH_WAYS | RIG_HAS_KERNEL | RIG_IS_PLAIN | RIG_IS_UNIX,
     .open = rig_open_unix_accepted},
    {.name = "unix pair",
     .traits = RIG_BOTH_WAYS | RIG_HAS_KERNEL | RIG_IS_PLAIN | RIG_IS_UNIX |
               RIG_IS_NAMELESS,
     .open = open_unix},
#if WR_TESTS_TLS
    {.name = "tls connected",
     .traits = RIG_BOTH_WAYS | RIG_HAS_KERNEL | RIG_CAN_RESET |
               RIG_HAS_ADDRESSES | RIG_IS_TLS,
     .open = rig_open_tls_connected},
    {.name = "tls 1.2 connected",
     .traits = RIG_BOTH_WAYS | RIG_HAS_KERNEL | RIG_CAN_RESET |
               RIG_HAS_ADDRESSES | RIG_IS_TLS,
     .open = rig_open_tls12_connected},
    {.name = "tls accepted",
     .traits = RIG_BOTH_WAYS | RIG_HAS_KERNEL | RIG_CAN_RESET |
               RIG_HAS_ADDRESSES | RIG_IS_TLS,
     .open = rig_open_tls_accepted},
    {.name = "tls over unix",
     .traits = RIG_BOTH_WAYS | RIG_HAS_KERNEL | RIG_IS_NAMELESS | RIG_IS_TLS,
     .open = rig_open_tls_unix},
    {.name = "tls by start_tls",
     .traits = RIG_BOTH_WAYS | RIG_HAS_KERNEL | RIG_CAN_RESET |
               RIG_HAS_ADDRESSES | RIG_IS_TLS,
     .open = rig_open_start_tls},
    {.name = "tls in tls",
     .traits = RIG_BOTH_WAYS | RIG_HAS_KERNEL | RIG_CAN_RESET |
               RIG_HAS_ADDRESSES | RIG_IS_TLS | RIG_IS_NESTED,
     .open = rig_open_tls_in_tls},
#endif
    {.name = "memory",
     .traits = RIG_BOTH_WAYS | RIG_CAN_RESET | RIG_IS_MEMORY,
     .open = rig_open_pair},
    {.name = "read pipe",
     .traits = RIG_RECEIVES | RIG_IS_PIPE | RIG_IS_PLAIN,
     .open = rig_open_pipe},
    {.name = "read fifo",
     .traits = RIG_RECEIVES | RIG_IS_PIPE | RIG_IS_PLAIN,
     .open = rig_open_fifo},
    {.name = "read socket",
     .traits = RIG_RECEIVES | RIG_IS_PIPE | RIG_IS_PLAIN,
     .open = rig_open_socket_pipe},
    {.name = "write pipe",
     .traits = RIG_SENDS | RIG_IS_PIPE | RIG_IS_PLAIN,
     .open = rig_open_pipe},
    {.name = "write fifo",
     .traits = RIG_SENDS | RIG_IS_PIPE | RIG_IS_PLAIN,
     .open = rig_open_fifo},
    {.name = "write socket",
     .traits = RIG_SENDS | RIG_IS_PIPE | RIG_IS_PLAIN,
     .open = rig_open_socket_pipe},
};

enum { MAKER_COUNT = sizeof(makers) / sizeof(makers[0]) };

static struct unit_fds open_before;

static void open_maker(struct rig *rig)
{
    rig->maker->open(rig);
    set_nonblocking(rig->peer);
    RUN_UNTIL(rig->loop, rig->made_count > 0);
    if (rig->server) {
        weir_server_close(rig->server);
        rig_turns(rig, 3); /* its accepts are cancelled */
    }
}

static void begin(struct rig *rig)
{
    memset(&rig->loop, 0, sizeof(*rig) - offsetof(struct rig, loop));
    rig->maker = &makers[rig->round];
    rig->peer = -1;
    current_name = rig->maker->name;
    unit_fds_read(&open_before);
    expect_eq(weir_loop_new(SIZED(weir_loop_options,
                                  .held_limit_bytes = rig->held_limit_bytes),
                            &rig->loop),
              0);
    weir_loop_set_exception_handler(rig->loop, exception_hook, rig);
    open_maker(rig);
}

static void end(struct rig *rig)
{
    if (rig->file > 0) {
        close(rig->file);
    }
    rig_peer_close(rig);
    if (!rig->loop) {
        rig_close_tls(rig);
        rig_close_pair(rig);
        return; /* the test has freed it */
    }
    if (rig->lost_count == 0) {
        expect_eq(weir_transport_abort(rig->t), 0);
        rig_wait_lost(rig);
    }
    expect_eq(rig->lost_count, 1);
    expect_eq(rig->depth, 0);
    if (rig->server) {
        weir_server_free(rig->server);
    }
    rig_close_pair(rig);
    rig_turn(rig);
    weir_transport_unref(rig->t);
    const struct weir_loop_statistics stats = rig_statistics(rig);

    expect_eq(stats.connections, 0);
    expect_eq(stats.queued_bytes, 0);
    expect_eq(stats.leases, 0);
    expect_eq(stats.held_bytes, 0);
    expect_eq(stats.timers, 0);
    expect_eq(weir_loop_free(rig->loop), 0);
    rig_close_tls(rig);
    if (rig->connection.fd_limit > 0) {
        /* A thread closes the socket, which would count in a later test. */
        expect_lt(unit_fds_wait_left(&open_before), 0);
    }
}

size_t rig_maker_count(void)
{
    return MAKER_COUNT;
}

/* Returns false if the build has made none, without wolfSSL or openssl. */
static bool has_certificates(void)
{
    return getenv("WEIR_TLS_CERTIFICATES") != NULL;
}

bool rig_has_traits(size_t number, unsigned int traits)
{
    const unsigned int has = makers[number].traits;
    return (has & traits) == traits &&
           (!(has & RIG_IS_TLS) || has_certificates());
}

void rig_begin_beside(struct rig *rig, const struct rig *first, size_t number)
{
    static char both[64];

    memset(&rig->loop, 0, sizeof(*rig) - offsetof(struct rig, loop));
    rig->maker = &makers[number];
    rig->loop = first->loop;
    rig->peer = -1;
    snprintf(both, sizeof(both), "%s, %s", first->maker->name,
             rig->maker->name);
    current_name = both;
    open_maker(rig);
}

void rig_end_beside(struct rig *rig)
{
    rig_peer_close(rig);
    expect_eq(rig->lost_count, 1);
    if (rig->server) {
        weir_server_free(rig->server);
    }
    rig_close_pair(rig);
    weir_transport_unref(rig->t);
    rig_close_tls(rig);
}

bool rig_can(const struct rig *rig, unsigned int traits)
{
    return (rig->maker->traits & traits) == traits;
}

bool rig_next_that(struct rig *rig, unsigned int traits)
{
    if (rig->maker) {
        end(rig);
        rig->round++;
        rig->rounds_run++;
    }
    for (; rig->round < MAKER_COUNT; rig->round++) {
        if (rig_has_traits(rig->round, traits) &&
            !(makers[rig->round].traits & rig->lacks)) {
            begin(rig);
            return true;
        }
    }
    if (rig->rounds_run == 0 && (traits & (RIG_IS_TLS | RIG_IS_NESTED)) &&
        !has_certificates()) {
        cr_skip_test("no certificates; runs with openssl");
    }
    expect_gt(rig->rounds_run, 0, "no maker has the traits %u without %u",
              traits, rig->lacks);
    rig->maker = NULL;
    rig->loop = NULL;
    return false;
}

bool rig_next(struct rig *rig)
{
    return rig_next_that(rig, RIG_BOTH_WAYS);
}

void rig_rounds(const struct rig *rig, unsigned int needs,
                void (*round)(struct rig *rig))
{
    struct rig own = *rig;
    while (rig_next_that(&own, own.needs ? own.needs : needs)) {
        round(&own);
    }
}
