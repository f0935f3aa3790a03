/*
 * A loop with a server or an attempt to connect, and plain peers; see maker.h.
 *
 * Each callback adds its letter to the log: F the factory, M made, L lost, D
 * done, C closed.
 */
#include "tests/contract/maker.h"

static void maker_log(struct maker *m, char event)
{
    size_t len = strlen(m->log);
    if (len + 1 < sizeof(m->log)) {
        m->log[len] = event;
    }
}

static void maker_made(void *user, weir_transport *t)
{
    struct maker *m = (struct maker *)user;
    maker_log(m, 'M');
    m->made++;
    m->t = t;
    weir_transport_get_peername(t, &m->peername);
    weir_transport_get_sockname(t, &m->sockname);
    if (m->in_made) {
        m->in_made(m);
    }
}

static void maker_lost(void *user, weir_transport *t, int err)
{
    struct maker *m = (struct maker *)user;
    maker_log(m, 'L');
    m->lost++;
    m->lost_err = err;
    m->t = m->t == t ? NULL : m->t;
}

static int maker_received(void *user, weir_transport *t,
                          const struct weir_buf *buf)
{
    struct maker *m = (struct maker *)user;
    m->received += buf->len;
    return m->echo ? weir_transport_write(t, buf->data, buf->len) : 0;
}

static CALLBACKS(maker_protocol, STREAM, .connection_made = maker_made,
                 .connection_lost = maker_lost,
                 .data_received = maker_received);

static int maker_create(void *arg, weir_transport *t,
                        struct weir_protocol_binding *ret)
{
    struct maker *m = (struct maker *)arg;
    maker_log(m, 'F');
    if (m->in_factory) {
        m->in_factory(m);
    }
    ret->protocol = &maker_protocol;
    ret->user = m;
    return m->factory_result;
}

static void maker_told(struct maker *m, int err)
{
    maker_log(m, 'D');
    m->done++;
    m->done_err = err;
    if (m->in_done) {
        m->in_done(m);
    }
}

void maker_server_done(void *arg, int err, weir_server *server)
{
    maker_told((struct maker *)arg, err);
}

void maker_connect_done(void *arg, int err, weir_transport *t)
{
    struct maker *m = (struct maker *)arg;
    cr_assert_eq(err == 0, t != NULL, "a transport, or an error");
    m->done_t = t;
    maker_told(m, err);
}

void maker_server_closed(void *arg, weir_server *server)
{
    struct maker *m = (struct maker *)arg;
    maker_log(m, 'C');
    m->closed++;
}

void maker_report(void *arg, weir_loop *loop,
                  const struct weir_exception *exception)
{
    struct maker *m = (struct maker *)arg;
    if (exception->notice == WEIR_NOTICE_ENGINE) {
        return;
    }
    cr_assert_not_null(exception->message);
    m->reports++;
    m->report_err = exception->err;
    m->report_server = exception->server;
}

void maker_open(struct maker *m)
{
    memset(m, 0, sizeof(*m));
    m->factory = (struct weir_factory){.create = maker_create, .arg = m};
    cr_assert_eq(weir_loop_new(NULL, &m->loop), 0);
    weir_loop_set_exception_handler(m->loop, maker_report, m);
}

int maker_close(struct maker *m)
{
    int alive = weir_loop_free(m->loop);
    weir_server_free(m->server);
    m->loop = NULL;
    m->server = NULL;
    return alive;
}

void maker_time_out(void *arg)
{
    ((struct maker *)arg)->timed_out = true;
}

enum { MAKER_TURNS = 10 };

static void maker_run_out(struct maker *m, uint64_t time_ns)
{
    m->timed_out = false;
    expect_ok(weir_loop_call_later(m->loop, time_ns, maker_time_out, m, NULL));
    RUN_UNTIL(m->loop, m->timed_out);
}

void maker_run(struct maker *m, maker_condition *condition)
{
    RUN_UNTIL(m->loop, condition(m));
}

void maker_run_for(struct maker *m, uint64_t time_ns)
{
    for (int i = 0; i < MAKER_TURNS; i++) {
        maker_run_out(m, time_ns / MAKER_TURNS);
    }
}

uint64_t maker_count_turns(struct maker *m, uint64_t time_ns)
{
    const uint64_t before = statistics_of(m->loop).turns;
    maker_run_out(m, time_ns);
    return statistics_of(m->loop).turns - before;
}

void maker_run_until_timer(struct maker *m)
{
    do {
        weir_loop_stop(m->loop);
        cr_assert_eq(weir_loop_run(m->loop), 0);
    } while (statistics_of(m->loop).timers == 0);
}

void maker_run_until_made(struct maker *m, int count)
{
    RUN_UNTIL(m->loop, m->made >= count);
}

bool maker_is_done(const struct maker *m)
{
    return m->done > 0;
}

bool maker_is_made(const struct maker *m)
{
    return m->made > 0;
}

bool maker_is_lost(const struct maker *m)
{
    return m->lost > 0;
}

bool maker_is_closed(const struct maker *m)
{
    return m->closed > 0;
}

bool maker_is_empty(const struct maker *m)
{
    return m->made > 0 && m->lost == m->made;
}

void maker_expect_done(struct maker *m, int err)
{
    maker_run(m, maker_is_done);
    expect_eq(m->done_err, err);
}

void maker_expect_lost(struct maker *m, int err)
{
    maker_run(m, maker_is_lost);
    expect_eq(m->lost_err, err);
}

void maker_test(void (*body)(struct maker *m))
{
    struct maker m;
    maker_open(&m);
    body(&m);
    maker_close(&m);
}

void maker_begin_server(struct maker *m, const char *host, uint16_t port,
                        const struct weir_server_options *options)
{
    expect_ok(weir_create_server(m->loop, &m->factory, host, port, options,
                                 maker_server_done, m, &m->server));
}

void maker_serve(struct maker *m, const char *host,
                 const struct weir_server_options *options)
{
    maker_begin_server(m, host, 0, options);
    maker_expect_done(m, 0);
}

void peer_set_timeout(int fd)
{
    const struct timeval timeout = {.tv_sec = MAKER_FAILSAFE_S};
    expect_ok(
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
}

int peer_connect_to(const struct weir_address *address)
{
    int fd = socket(address->storage.any.sa_family, SOCK_STREAM, 0);
    cr_assert_geq(fd, 0);
    peer_set_timeout(fd);
    if (connect(fd, &address->storage.any, address->len) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

struct weir_address peer_address(const char *host, uint16_t port)
{
    struct weir_address address;
    cr_assert_eq(weir_address_parse(host, port, &address), 0);
    return address;
}

uint16_t address_port(const struct weir_address *address)
{
    return ntohs(address->storage.any.sa_family == AF_INET6
                     ? address->storage.inet6.sin6_port
                     : address->storage.inet.sin_port);
}

uint16_t server_port(weir_server *server)
{
    struct weir_address address;
    cr_assert_geq(weir_server_get_socket(server, 0, &address), 0);
    return address_port(&address);
}

int peer_connect(struct maker *m)
{
    struct weir_address address =
        peer_address("127.0.0.1", server_port(m->server));
    int fd = peer_connect_to(&address);
    cr_assert_geq(fd, 0, "%s", strerror(-fd));
    return fd;
}

int peer_listen(int backlog, struct weir_address *ret)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_geq(fd, 0);
    *ret = peer_address("127.0.0.1", 0);
    cr_assert_eq(bind(fd, &ret->storage.any, ret->len), 0);
    cr_assert_eq(listen(fd, backlog), 0);
    cr_assert_eq(getsockname(fd, &ret->storage.any, &ret->len), 0);
    return fd;
}

ssize_t peer_read(int fd, void *buf, size_t size)
{
    ssize_t len;
    do { /* pending work of the ring ends a wait with a time-out */
        len = recv(fd, buf, size, 0);
    } while (len < 0 && errno == EINTR);
    return len < 0 ? -errno : len;
}

ssize_t maker_read(struct maker *m, int fd, void *buf, size_t size)
{
    const uint64_t until_ns =
        weir_loop_get_time(m->loop) + MAKER_FAILSAFE_S * 1000 * MS;
    ssize_t len;
    while ((len = recv(fd, buf, size, MSG_DONTWAIT)) < 0 && errno == EAGAIN) {
        maker_run_for(m, MS);
        cr_assert_lt(weir_loop_get_time(m->loop), until_ns,
                     "nothing came in time; so far: %s", m->log);
    }
    return len < 0 ? -errno : len;
}

int get_option(int fd, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);
    cr_assert_eq(getsockopt(fd, level, name, &value, &len), 0, "%s",
                 strerror(errno));
    return value;
}

bool is_open(int fd)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return access(path, F_OK) == 0;
}

bool wait_closed(int fd)
{
    for (int i = 0; i < 60000 && is_open(fd); i++) {
        usleep(1000);
    }
    return !is_open(fd);
}

int maker_serve_one(struct maker *m)
{
    maker_open(m);
    m->echo = true;
    maker_serve(m, "127.0.0.1", NULL);
    const int fd = peer_connect(m);
    maker_run(m, maker_is_made);
    return fd;
}

void peer_tcp_pair(int *ret_fds)
{
    struct weir_address address;
    const int listener = peer_listen(1, &address);
    ret_fds[1] = peer_connect_to(&address);
    ret_fds[0] = accept(listener, NULL, NULL);
    expect_geq(ret_fds[0], 0);
    close(listener);
}

bool maker_has_received(const struct maker *m)
{
    return m->received > 0;
}
