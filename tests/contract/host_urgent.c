/*
 * Peers of an embedded loop that send urgent data and then more, or end, at the
 * moment in which the kernel gives up the receive.
 *
 * A TCP receive just before urgent data gives up if the kernel has more
 * completions to handle for the thread. The kernel handles them in order, for
 * all rings of the thread. So a byte arrives at the loop through a Unix pair
 * first: its receive makes space for the sender, for which a ring of the test
 * polls, and the receive after it finds more to handle. All of this must happen
 * while the thread is not in the kernel, so it spins.
 *
 * The poll that sees such an end also reports errors, which are not an end.
 */
#define UNIT_RUN   urgent_test
#define UNIT_TAKES struct rig *rig
#include "tests/contract/loop_rig.h"
#include "tests/contract/need_uring.h"

#include <arpa/inet.h>
#include <liburing.h>
#include <limits.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <weir/connect.h>
#include <weir/embed.h>

/* The scheduler disturbs some rounds: then the receive sees everything. */
enum { ROUNDS = 20, HOST_LIMIT_MS = 60000, AGAIN_MS = 200 };

struct rig {
    int epfd;
    struct io_uring ring; /* of the test: sees that the pair has space */
    int before;           /* peer of the pair, whose byte arrives first */
    int begun;            /* TCP connections of the loop */
    int ended;
    int last_err;
    int received; /* bytes of all connections */
    int peer;     /* of the last one */
    int fd;       /* of the last one, which the loop has */
    void (*act)(const struct rig *rig);
    atomic_bool may_act;
    atomic_bool has_acted;
};

static void tcp_made(void *user, weir_transport *t)
{
    ((struct rig *)user)->begun++;
}

static int tcp_received(void *user, weir_transport *t,
                        const struct weir_buf *buf)
{
    ((struct rig *)user)->received += (int)buf->len;
    return 0;
}

static void tcp_lost(void *user, weir_transport *t, int err)
{
    struct rig *rig = (struct rig *)user;
    rig->ended++;
    rig->last_err = err;
}

static CALLBACKS(tcp, STREAM, .connection_made = tcp_made,
                 .data_received = tcp_received, .connection_lost = tcp_lost);

static int drop(void *user, weir_transport *t, const struct weir_buf *buf)
{
    return 0;
}

static CALLBACKS(pair, STREAM, .data_received = drop);

static int wait_ms(void)
{
    const uint64_t deadline_ns = weir_loop_get_deadline(loop);
    const uint64_t now_ns = weir_loop_get_time(loop);

    if (deadline_ns == UINT64_MAX) {
        return HOST_LIMIT_MS;
    }
    return deadline_ns > now_ns ? (int)((deadline_ns - now_ns) / MS) + 1 : 0;
}

static void host_round(const struct rig *rig)
{
    struct epoll_event event;
    const int count = epoll_wait(rig->epfd, &event, 1, wait_ms());

    if (count > 0 || wait_ms() == 0) {
        expect_eq(weir_loop_run_once(loop), 0);
    }
}

static void open_host(struct rig *rig)
{
    struct epoll_event event = {.events = EPOLLIN};

    open_loop(NULL);
    rig->epfd = epoll_create1(EPOLL_CLOEXEC);
    const int fd = weir_loop_get_fd(loop); /* before its first run */
    expect_geq(fd, 0);
    expect_ok(epoll_ctl(rig->epfd, EPOLL_CTL_ADD, fd, &event));
    rig->before = adopt_pair(&pair, rig);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&rig->ring);
    io_uring_prep_poll_multishot(sqe, rig->before, POLLOUT);
    expect_eq(io_uring_submit(&rig->ring), 1);
    for (int i = 0; i < 4; i++) {
        expect_eq(weir_loop_run_once(loop), 0);
    }
}

static void urgent_test(void (*body)(struct rig *rig))
{
    struct rig rig = {.begun = 0};

    need_uring();
    expect_ok(io_uring_queue_init(8, &rig.ring, IORING_SETUP_COOP_TASKRUN));
    open_host(&rig);
    body(&rig);
    io_uring_queue_exit(&rig.ring);
    close(rig.before);
    close(rig.epfd);
    expect_leq(weir_loop_free(loop), 1);
    loop = NULL;
}

static void connect_peer(struct rig *rig)
{
    const struct weir_factory factory = bind_to(&tcp, rig);
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int wanted = rig->begun + 1;

    expect_ok(bind(listener, (struct sockaddr *)&at, len));
    expect_ok(listen(listener, 1));
    expect_ok(getsockname(listener, (struct sockaddr *)&at, &len));
    rig->peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect_ok(connect(rig->peer, (struct sockaddr *)&at, len));
    const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    expect_geq(fd, 0);
    close(listener);
    rig->fd = fd;
    expect_ok(weir_create_connection_at(loop, &factory, weir_endpoint_fd(fd),
                                        NULL, NULL, NULL, NULL));
    TURN_UNTIL(host_round(rig), rig->begun == wanted && wait_ms() > 0);
}

static void *act_outside_of_the_kernel(void *arg)
{
    struct rig *rig = (struct rig *)arg;

    while (!atomic_load(&rig->may_act)) {
    }
    const bool is_sent = send(rig->before, "x", 1, MSG_NOSIGNAL) == 1;
    rig->act(rig);
    atomic_store(&rig->has_acted, true);
    return is_sent ? NULL : rig;
}

/* The acting thread is already running when it is told to act, so that this
 * thread need not wait for it in the kernel. */
static void let_act(struct rig *rig, void (*act)(const struct rig *rig))
{
    pthread_t thread;
    void *failed;

    rig->act = act;
    atomic_store(&rig->may_act, false);
    atomic_store(&rig->has_acted, false);
    expect_ok(pthread_create(&thread, NULL, act_outside_of_the_kernel, rig));
    spin(MS);
    atomic_store(&rig->may_act, true);
    while (!atomic_load(&rig->has_acted)) {
    }
    expect_geq(io_uring_get_events(&rig->ring), 0);
    expect_ok(pthread_join(thread, &failed));
    expect_eq(failed == NULL, true);
    io_uring_cq_advance(&rig->ring, io_uring_cq_ready(&rig->ring));
}

static void send_urgent_and_end(const struct rig *rig)
{
    send(rig->peer, "!", 1, MSG_OOB | MSG_NOSIGNAL);
    close(rig->peer);
}

static void send_urgent_and_reset(const struct rig *rig)
{
    const struct linger none = {.l_onoff = 1};

    send(rig->peer, "!", 1, MSG_OOB | MSG_NOSIGNAL);
    setsockopt(rig->peer, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    close(rig->peer);
}

static void send_urgent_between(const struct rig *rig)
{
    send(rig->peer, "before", 6, MSG_NOSIGNAL);
    send(rig->peer, "!", 1, MSG_OOB | MSG_NOSIGNAL);
    send(rig->peer, "behind", 6, MSG_NOSIGNAL);
}

UNIT(host_urgent, the_end_behind_an_urgent_byte_is_seen)
{
    for (int i = 0; i < ROUNDS; i++) {
        connect_peer(rig);

        let_act(rig, send_urgent_and_end);

        TURN_UNTIL(host_round(rig), rig->ended == i + 1);
        expect_eq(rig->last_err, 0);
    }
}

UNIT(host_urgent, a_reset_behind_an_urgent_byte_is_seen)
{
    for (int i = 0; i < ROUNDS; i++) {
        connect_peer(rig);

        let_act(rig, send_urgent_and_reset);

        TURN_UNTIL(host_round(rig), rig->ended == i + 1);
        expect_eq(rig->last_err, -ECONNRESET);
    }
}

static void send_next_or_turn(const struct rig *rig, int *ret_sent)
{
    struct epoll_event event;

    if (epoll_wait(rig->epfd, &event, 1, AGAIN_MS) == 0) {
        expect_eq(send(rig->peer, "next", 4, MSG_NOSIGNAL), 4);
        *ret_sent += 4;
    }
    expect_eq(weir_loop_run_once(loop), 0);
}

/* The kernel may also give up the receive of the next bytes if something else
 * has marked the thread by then, and so on: the peer sends until everything has
 * arrived. */
UNIT(host_urgent, bytes_behind_an_urgent_byte_come_with_the_next_ones)
{
    for (int i = 0; i < ROUNDS; i++) {
        int sent = rig->received + 12;

        connect_peer(rig);
        let_act(rig, send_urgent_between);
        expect_eq(send(rig->peer, "next", 4, MSG_NOSIGNAL), 4);
        sent += 4;

        TURN_UNTIL(send_next_or_turn(rig, &sent), rig->received == sent);

        close(rig->peer);
        TURN_UNTIL(host_round(rig), rig->ended == i + 1);
        expect_eq(rig->last_err, 0);
    }
}

/* The error queue has the times at which bytes were sent, and nothing reads
 * them. */
UNIT(host_urgent, errors_that_nobody_reads_do_not_keep_the_loop_busy)
{
    const int times = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE |
                      SOF_TIMESTAMPING_OPT_TSONLY;
    int turn_count = 0;

    connect_peer(rig);
    struct pollfd error = {.fd = rig->fd};
    expect_ok(setsockopt(rig->fd, SOL_SOCKET, SO_TIMESTAMPING, &times,
                         sizeof(times)));
    expect_eq(send(rig->fd, "hello", 5, MSG_NOSIGNAL), 5);
    expect_eq(poll(&error, 1, HOST_LIMIT_MS), 1);
    for (int i = 0; i < 1000; i++) {
        struct epoll_event event;
        if (epoll_wait(rig->epfd, &event, 1, 0) > 0) {
            expect_eq(weir_loop_run_once(loop), 0);
            turn_count++;
        }
    }

    expect_leq(turn_count, 100);
    expect_eq(rig->ended, 0);
    close(rig->peer);
    TURN_UNTIL(host_round(rig), rig->ended == 1);
}
