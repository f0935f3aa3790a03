/*
 * weir embedded in a plain epoll loop: every byte is echoed, timers, tasks,
 * posts and signals work, and there are as many iterations as events: none is
 * missed and none is unnecessary.
 */
#define UNIT_RUN   host_test
#define UNIT_TAKES struct host *host
#include "tests/contract/asleep.h"
#include "tests/contract/host_kinds.h"
#include "tests/contract/quiet.h"

#include <signal.h>
#include <sys/epoll.h>
#include <weir/stream.h>
#include <weir/task.h>
#include <weir/watch.h>

enum { ROUNDS = 500, HOST_LIMIT_MS = 60000 };

struct host {
    struct guest guest;
    pid_t tid;
    int epfd;
    bool done;
    uint64_t waits;
};

static void host_watch(struct host *host, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    expect_eq(epoll_ctl(host->epfd, EPOLL_CTL_ADD, fd, &event), 0);
}

static void host_open(struct host *host)
{
    *host =
        (struct host){.tid = gettid(), .epfd = epoll_create1(EPOLL_CLOEXEC)};
    guest_open(&host->guest);
    host_watch(host, weir_loop_get_fd(loop));
    host_watch(host, host->guest.client);
}

static void host_close(struct host *host)
{
    guest_close(&host->guest);
    close(host->epfd);
}

static void host_test(void (*body)(struct host *host))
{
    struct host host;
    host_open(&host);
    body(&host);
    host_close(&host);
}

/* Calls epoll_wait() for one event. A completion in the ring interrupts it
 * without a signal, and so does a stop of the process; then the wait starts
 * again, because no call has changed the deadline. */
static int host_wait(struct host *host, struct epoll_event *event, int wait_ms)
{
    int count;

    do {
        count = epoll_wait(host->epfd, event, 1, wait_ms);
    } while (count < 0 && errno == EINTR);
    expect_geq(count, 0);
    return count;
}

static void host_round(struct host *host)
{
    struct epoll_event event;
    const int wait_ms = guest_wait_ms();
    const int count =
        host_wait(host, &event, wait_ms < 0 ? HOST_LIMIT_MS : wait_ms);

    const bool is_client = count > 0 && event.data.fd == host->guest.client;

    host->waits++;
    if (is_client) {
        guest_read(&host->guest);
    }
    if ((count > 0 && !is_client) || guest_wait_ms() == 0) {
        guest_turn(&host->guest);
    }
}

static void set_done(void *arg)
{
    ((struct host *)arg)->done = true;
}

static void with_each_kind(void (*body)(struct any_host *host))
{
    for (const struct host_kind *kind = host_kinds; kind->name; kind++) {
        struct any_host host;
        struct guest guest = {.turns = 0};
        guest_open(&guest);
        any_host_open(&host, kind);
        host.guest = guest;
        body(&host);
        any_host_close(&host);
        guest_close(&host.guest);
    }
}

static bool has_echo(const struct any_host *host)
{
    struct pollfd look = {.fd = host->guest.client, .events = POLLIN};
    return poll(&look, 1, 0) > 0;
}

UNIT_IN(host_epoll, every_byte_is_echoed_and_no_turn_is_spun, with_each_kind,
        struct any_host *host)
{
    for (int i = 1; i <= ROUNDS; i++) {
        guest_send(&host->guest);
        TURN_UNTIL(any_host_round(host), has_echo(host));
        guest_read(&host->guest);
        expect_eq(host->guest.echoed, i, "%s", host->kind->name);
    }

    /* A byte is received in one iteration and its send completes in the next.
     */
    expect_leq(host->guest.turns, 3 * ROUNDS + 20, "%s", host->kind->name);
    expect_leq(host->guest.idle, ROUNDS / 10 + 20, "%s", host->kind->name);
}

struct remote_client {
    struct host *host;
    int fd;
    int echoed;
};

static void *talk_to_a_sleeper(void *arg)
{
    struct remote_client *client = (struct remote_client *)arg;
    char byte;

    for (int i = 0; i < ROUNDS; i++) {
        cr_assert(wait_until_asleep(client->host->tid));
        expect_eq(send(client->fd, "x", 1, MSG_NOSIGNAL), 1);
        expect_eq(recv(client->fd, &byte, 1, 0), 1);
        client->echoed++;
    }
    expect_ok(
        weir_loop_call_soon_threadsafe(loop, set_done, client->host, NULL));
    return NULL;
}

UNIT(host_epoll, a_host_that_sleeps_is_woken_by_every_byte_and_by_nothing_else)
{
    pthread_t thread;
    struct remote_client client = {.host = host,
                                   .fd = socket(AF_INET, SOCK_STREAM, 0)};
    expect_ok(connect(client.fd, (struct sockaddr *)&host->guest.address,
                      sizeof(host->guest.address)));
    expect_eq(pthread_create(&thread, NULL, talk_to_a_sleeper, &client), 0);

    TURN_UNTIL(host_round(host), host->done);

    expect_eq(pthread_join(thread, NULL), 0);
    expect_eq(client.echoed, ROUNDS);
    expect_leq(host->guest.turns, 3 * ROUNDS + 20);
    expect_leq(host->guest.idle, ROUNDS / 10 + 20);
    expect_leq(host->waits, 4 * ROUNDS + 20);
    close(client.fd);
}

UNIT(host_epoll, an_idle_guest_costs_no_turn)
{
    struct epoll_event event;
    host->guest.wanted = 1;
    guest_send(&host->guest);
    TURN_UNTIL(host_round(host), host->guest.echoed == host->guest.wanted);
    while (guest_wait_ms() == 0 || host_wait(host, &event, 20) > 0) {
        guest_turn(&host->guest);
        expect_lt(host->guest.turns, 50);
    }

    expect_eq(guest_wait_ms(), -1);
    expect_eq(host_wait(host, &event, 30), 0);
}

/* The server's only accept has ended in this iteration. */
static int close_server(void *arg, weir_reader *reader, weir_writer *writer)
{
    weir_server_close(*(weir_server **)arg);
    return 0;
}

static int serve_one(weir_loop *on, void *arg)
{
    const struct weir_start_server_options options = {
        .size = sizeof(options), .server.connection_limit = 1, .arg = arg};
    return weir_start_server(on, close_server, "127.0.0.1", 0, &options, arg);
}

static int connect_to(const struct weir_address *address)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    expect_ok(connect(fd, &address->storage.any, address->len));
    return fd;
}

UNIT(host_epoll, a_listener_that_lives_on_does_not_wake_the_host)
{
    weir_server *server;
    struct weir_address address;
    int served;
    expect_eq(weir_loop_run_task(loop, serve_one, &server, &served), 0);
    expect_eq(served, 0);
    const int kept = keep_file_of(weir_server_get_socket(server, 0, &address));
    guest_turn(&host->guest);
    guest_turn(&host->guest);
    const int first = connect_to(&address);
    TURN_UNTIL(host_round(host), weir_server_get_socket_count(server) == 0);

    const int late = connect_to(&address);

    expect_guest_rests(loop);
    close(first);
    close(late);
    close(kept);
    weir_server_free(server);
}

/* The host checks neither timers nor the time. */
UNIT_IN(host_epoll, timers_fire_by_the_deadline, with_each_kind,
        struct any_host *host)
{
    const uint64_t start_ns = clock_ns();
    event_count = 0;
    for (int i = 1; i <= 10; i++) {
        later((uint64_t)i * 3 * MS, note_number, number(i));
    }

    TURN_UNTIL(any_host_round(host), event_count == 10);

    for (int i = 0; i < event_count; i++) {
        expect_eq(events[i].number, i + 1, "%s", host->kind->name);
    }
    expect_geq(clock_ns() - start_ns, 30 * MS);
    expect_leq(host->guest.turns, 60, "%s", host->kind->name);
}

/* Further away than an int of milliseconds can hold. */
UNIT(host_epoll, a_timer_in_a_month_does_not_make_the_host_wait_for_ever)
{
    later(UINT64_C(30) * 24 * 3600 * 1000 * MS, set_done, host);
    while (guest_wait_ms() == 0) {
        guest_turn(&host->guest);
        expect_lt(host->guest.turns, 50);
    }

    expect_gt(guest_wait_ms(), 1000);
}

static int sleep_and_tell(weir_loop *on, void *arg)
{
    int err = weir_sleep(on, 2 * MS);
    if (err == 0) {
        err = weir_sleep(on, 2 * MS);
    }
    set_done(arg);
    return err;
}

/* The task is spawned outside of an iteration; the deadline shows it to the
 * host. */
UNIT(host_epoll, a_task_that_is_spawned_between_turns_runs)
{
    weir_task *task;
    while (guest_wait_ms() == 0) {
        guest_turn(&host->guest);
    }
    expect_eq(weir_task_spawn(loop, sleep_and_tell, host, NULL, &task), 0);
    expect_eq(guest_wait_ms(), 0);

    TURN_UNTIL(host_round(host), host->done);

    weir_task_unref(task);
}

static void *post_to_a_sleeper(void *arg)
{
    cr_assert(wait_until_asleep(((struct host *)arg)->tid));
    expect_eq(weir_loop_call_soon_threadsafe(loop, set_done, arg, NULL), 0);
    return NULL;
}

UNIT(host_epoll, a_post_of_another_thread_wakes_the_host)
{
    pthread_t thread;
    expect_eq(pthread_create(&thread, NULL, post_to_a_sleeper, host), 0);

    TURN_UNTIL(host_round(host), host->done);

    expect_eq(pthread_join(thread, NULL), 0);
    expect_leq(host->guest.turns, 30);
}

static void take_signal(void *arg, int signum)
{
    expect_eq(signum, SIGUSR1);
    set_done(arg);
}

UNIT(host_epoll, a_signal_wakes_the_host)
{
    expect_ok(weir_loop_add_signal_handler(loop, SIGUSR1, take_signal, host));
    for (int i = 0; i < 5; i++) { /* now its read is in the kernel */
        guest_turn(&host->guest);
    }
    expect_eq(raise(SIGUSR1), 0);

    TURN_UNTIL(host_round(host), host->done);
}

static void read_pipe(void *arg)
{
    struct host *host = (struct host *)arg;
    char byte;
    expect_eq(read(host->guest.result, &byte, 1), 1);
    host->done = true;
}

/* A completion that comes with the submission itself must be found, although
 * the descriptor is not readable before the iteration ends and never again
 * after it. */
UNIT_IN(host_epoll, what_completes_when_a_turn_is_submitted_is_not_missed,
        unit_alone, void)
{
    for (int i = 0; i < 50; i++) {
        struct host host;
        int fds[2];
        host_open(&host);
        while (guest_wait_ms() == 0) {
            guest_turn(&host.guest);
        }
        expect_eq(pipe(fds), 0);
        expect_eq(write(fds[1], "x", 1), 1);
        expect_eq(weir_loop_add_reader(loop, fds[0], read_pipe, &host), 0);
        guest_turn(&host.guest); /* submits a poll that is already ready */
        host.guest.result = fds[0];

        while (!host.done) {
            host.guest.result = fds[0];
            struct epoll_event event;
            const int wait_ms = guest_wait_ms();
            const int count =
                host_wait(&host, &event, wait_ms < 0 ? HOST_LIMIT_MS : wait_ms);
            cr_assert(count > 0 || wait_ms == 0, "the host sleeps");
            host.guest.turns++;
            expect_eq(weir_loop_run_once(loop), 0);
        }

        expect_leq(host.guest.turns, 20);
        close_ends(fds);
        host_close(&host);
    }
}

static void stop_guest(void *arg)
{
    weir_loop_stop(loop);
}

UNIT(host_epoll, the_host_is_told_of_a_stop)
{
    guest_turn(&host->guest);
    expect_eq(host->guest.result, 0);

    soon(stop_guest, NULL);
    guest_turn(&host->guest);
    expect_eq(host->guest.result, -ECANCELED);
    guest_turn(&host->guest);
    expect_eq(host->guest.result, 0, "once");
    weir_loop_stop(loop);
    expect_eq(guest_wait_ms(), 0);
    guest_turn(&host->guest);

    expect_eq(host->guest.result, -ECANCELED);
}

static void free_inside(void *arg)
{
    int *results = (int *)arg;
    results[0] = weir_loop_free(loop);
    results[1] = weir_loop_run_once(loop);
}

UNIT(host_epoll, a_turn_is_not_made_inside_a_turn)
{
    int results[2] = {0};
    soon(free_inside, results);

    guest_turn(&host->guest);

    expect_eq(results[0], -EBUSY);
    expect_eq(results[1], -EBUSY);
}

/* The program may run the loop itself in between, which handles available
 * events. */
UNIT(host_epoll, a_guest_may_run_by_itself_between)
{
    host->guest.wanted = 10;
    guest_send(&host->guest);
    later(5 * MS, stop_loop, NULL);
    run_until_stopped();

    TURN_UNTIL(host_round(host), host->guest.echoed == host->guest.wanted);
}

UNIT_IN(host_epoll, a_new_loop_is_due_at_once_and_has_one_descriptor,
        unit_alone, void)
{
    open_loop(NULL);
    const int fd = weir_loop_get_fd(loop);

    expect_geq(fd, 0);
    expect_eq(weir_loop_get_fd(loop), fd);
    expect_eq(weir_loop_get_deadline(loop), 0);
    expect_eq(weir_loop_run_once(loop), 0);
    expect_eq(weir_loop_run_once(loop), 0);
    expect_eq(weir_loop_get_deadline(loop), UINT64_MAX);
    expect_eq(weir_loop_get_fd(loop), fd);

    close_loop();
}

static void *use_from_elsewhere(void *arg)
{
    int *results = (int *)arg;
    results[0] = weir_loop_get_fd(loop);
    results[1] = weir_loop_run_once(loop);
    results[2] = weir_loop_get_deadline(loop) == UINT64_MAX;
    return NULL;
}

UNIT_IN(host_epoll, another_thread_is_refused, unit_alone, void)
{
    int results[3] = {0};
    pthread_t thread;
    open_loop(NULL);
    expect_eq(weir_loop_run_once(loop), 0);

    expect_eq(pthread_create(&thread, NULL, use_from_elsewhere, results), 0);
    expect_eq(pthread_join(thread, NULL), 0);

    expect_eq(results[0], -EPERM);
    expect_eq(results[1], -EPERM);
    expect_eq(results[2], 1);
    close_loop();
}
