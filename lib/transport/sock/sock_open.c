/*
 * Stream sockets: making a transport from a descriptor.
 *
 * The steps: the connection's options, in the kernel's socket and in weir; the
 * factory, which chooses the protocol; opening.
 */
#include "sock_impl.h"

#include <netinet/tcp.h>

_Static_assert(WR_KEEP_ALIVE_MAX_NS / WEIR_SECONDS(1) <= INT32_MAX, "an int");

/* A setting of TCP. */
struct sock_option {
    int level;
    int name;
    int value; /* 0: as the socket has it */
};

enum { SOCK_OPTIONS = 6 };

static int sock_open_set_option(int fd, int level, int name, int value)
{
    return wr_sys_setsockopt(fd, level, name, &value, sizeof(value));
}

/* The seconds of a time that wr_connection_options_read() has checked. */
static int sock_open_round_up(uint64_t time_ns)
{
    wr_assert(time_ns <= WR_KEEP_ALIVE_MAX_NS);
    return time_ns == 0 ? 0 : (int)((time_ns - 1) / WEIR_SECONDS(1) + 1);
}

/* Lists what @connection asks of a TCP socket; NULL asks for the defaults. */
static void sock_open_list(const struct weir_connection_options *connection,
                           struct sock_option ret[SOCK_OPTIONS])
{
    static const struct weir_connection_options defaults;
    const struct weir_connection_options *wanted =
        connection ? connection : &defaults;
    const struct sock_option options[] = {
        {IPPROTO_TCP, TCP_NODELAY, !wanted->no_nodelay},
        {SOL_SOCKET, SO_KEEPALIVE, wanted->keep_alive},
        {IPPROTO_TCP, TCP_KEEPIDLE,
         sock_open_round_up(wanted->keep_alive_idle_ns)},
        {IPPROTO_TCP, TCP_KEEPINTVL,
         sock_open_round_up(wanted->keep_alive_interval_ns)},
        {IPPROTO_TCP, TCP_KEEPCNT, (int)wanted->keep_alive_count},
        {IPPROTO_TCP, TCP_NOTSENT_LOWAT, (int)wanted->notsent_lowat_bytes},
    };

    _Static_assert(sizeof(options) == SOCK_OPTIONS * sizeof(*ret), "all");
    wr_assert(wanted->keep_alive || wanted->keep_alive_idle_ns == 0);
    wr_assert(wanted->keep_alive || wanted->keep_alive_interval_ns == 0);
    wr_assert(wanted->keep_alive_count <= WR_KEEP_ALIVE_MAX_COUNT);
    memcpy(ret, options, sizeof(options));
}

int wr_sock_configure(const weir_loop *loop, int fd, int family,
                      const struct weir_connection_options *connection)
{
    struct sock_option options[SOCK_OPTIONS];
    int err = 0;

    wr_assert(fd >= 0);
    if (family == AF_UNIX) {
        wr_socket_set_passrights(loop, fd,
                                 connection && connection->fd_limit > 0);
    }
    if (family != AF_INET && family != AF_INET6) {
        return 0;
    }
    sock_open_list(connection, options);
    for (int i = 0; err == 0 && i < SOCK_OPTIONS; i++) {
        if (options[i].value != 0) {
            err = sock_open_set_option(fd, options[i].level, options[i].name,
                                       options[i].value);
        }
    }
    return err;
}

static bool sock_open_has_option(int fd, const struct sock_option *option)
{
    int value = 0;
    socklen_t len = sizeof(value);

    wr_assert(option->value != 0);
    return wr_sys_getsockopt(fd, option->level, option->name, &value, &len) >=
               0 &&
           value == option->value;
}

bool wr_sock_is_configured(int fd, int family,
                           const struct weir_connection_options *connection)
{
    struct sock_option options[SOCK_OPTIONS];
    bool has_all = family == AF_INET || family == AF_INET6;

    sock_open_list(connection, options);
    for (int i = 0; has_all && i < SOCK_OPTIONS; i++) {
        has_all =
            options[i].value == 0 || sock_open_has_option(fd, &options[i]);
    }
    return has_all;
}

/* Puts urgent bytes in line. Otherwise a receive would skip the urgent byte,
 * and the kernel would close its descriptors on the receiving thread. Without
 * urgent bytes in the kernel the option has no effect. */
static void sock_open_take_fds(struct wr_sock *s, uint32_t fd_limit)
{
    wr_assert(fd_limit > 0 && fd_limit <= WEIR_FDS_MAX);
    s->takes_fds = true;
    s->moves_bulk = true; /* for ever */
    s->fd_limit = (uint8_t)fd_limit;
    wr_ignore(sock_open_set_option(s->c.fd, SOL_SOCKET, SO_OOBINLINE, 1) < 0);
}

/* True if connecting has succeeded without a packet; see sock_opening.c. */
static bool sock_open_is_pending(int fd)
{
    uint8_t state = 0; /* the first field of struct tcp_info */
    socklen_t len = sizeof(state);

    _Static_assert(offsetof(struct tcp_info, tcpi_state) == 0, "is first");
    return wr_sys_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &len) >= 0 &&
           state == TCP_SYN_SENT;
}

void wr_sock_refuse(weir_loop *loop, int fd,
                    const struct wr_sock_options *options)
{
    wr_assert(fd >= 0);
    if (options->set) {
        wr_socket_turn_away(loop, fd, options->family);
    } else {
        wr_socket_close(loop, fd, options->family);
    }
}

int wr_sock_open(weir_loop *loop, int fd, const struct weir_factory *factory,
                 const struct wr_sock_options *options, weir_transport **ret)
{
    struct wr_sock *s = wr_sock_make(loop, fd, options);
    if (!s) {
        wr_sock_refuse(loop, fd, options);
        return -ENOMEM;
    }
    if (WR_UNLIKELY(options->family == AF_UNIX && options->connection &&
                    options->connection->fd_limit > 0)) {
        sock_open_take_fds(s, options->connection->fd_limit);
    }
    int err = options->connection
                  ? wr_connection_apply(&s->c, options->connection)
                  : 0;
    if (err == 0) {
        err = wr_protocol_find(&s->c.t, factory);
    }
    if (err < 0) {
        wr_connection_discard(&s->c);
        wr_sock_refuse(loop, fd, options);
        return err;
    }
    if (WR_UNLIKELY(options->may_open) && sock_open_is_pending(fd)) {
        wr_sock_opening_begin(s);
    }
    wr_sock_begin(s);
    *ret = &s->c.t;
    return 0;
}
