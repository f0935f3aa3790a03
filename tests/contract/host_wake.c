/*
 * A waiting host is woken by every event that its guest waits for, each time,
 * and with one iteration of the guest.
 *
 * Another thread causes the event once the host's thread waits in the kernel.
 * Each event is caused ROUNDS times in each kind of host, and in a guest that
 * had a host before its first run or only after it.
 */
#include "tests/contract/asleep.h"
#include "tests/contract/dns_server.h"
#include "tests/contract/host_kinds.h"

#include <weir/connect.h>
#include <weir/executor.h>
#include <weir/file.h>
#include <weir/move.h>
#include <weir/resolver.h>
#include <weir/task.h>
#include <weir/watch.h>

#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

enum { ROUNDS = 20 };

struct cause;

struct waking {
    const struct cause *cause;
    bool has_run; /* the guest has run before it had a host */
    struct any_host host;
    pid_t tid;
    sem_t go; /* the host is about to wait */
    int effects;
    int fds[2]; /* of the event; the guest watches the first */
    pid_t child;
    sem_t job;
    char path[64];
    struct dns_server dns;
    weir_mailbox *mailbox; /* of the guest */
    weir_loop *other;      /* passes connections to the guest */
};

struct cause {
    const char *name;
    int more; /* further iterations that an event may take */
    void (*begin)(struct waking *w); /* sets w->cause to NULL if it is not
                                        available here */
    void (*act)(struct waking *w);   /* on another thread */
    void (*end)(struct waking *w);
    weir_callback_fn *posted;
};

static void effect(void *arg)
{
    ((struct waking *)arg)->effects++;
}

static void nothing(struct waking *w)
{
}

static void close_both(struct waking *w)
{
    expect_eq(weir_loop_remove_reader(loop, w->fds[0]), true);
    close(w->fds[0]);
    if (w->fds[1] != w->fds[0]) {
        close(w->fds[1]);
    }
}

static void post(struct waking *w)
{
    expect_ok(weir_loop_call_soon_threadsafe(loop, w->cause->posted, w, NULL));
}

static int job(void *arg)
{
    while (sem_wait(&((struct waking *)arg)->job) < 0) {
    }
    return 0;
}

static void job_done(void *arg, int result)
{
    struct waking *w = arg;

    expect_eq(result, 0);
    w->effects++;
    if (w->effects <= ROUNDS) {
        expect_ok(weir_executor_submit(loop, job, w, job_done, NULL));
    }
}

static void job_begin(struct waking *w)
{
    expect_ok(sem_init(&w->job, 0, 0));
    expect_ok(weir_executor_submit(loop, job, w, job_done, NULL));
}

static void job_act(struct waking *w)
{
    expect_ok(sem_post(&w->job));
}

static void job_end(struct waking *w)
{
    expect_ok(sem_post(&w->job));
    TURN_UNTIL(any_host_round(&w->host), w->effects > ROUNDS);
    any_host_rest(&w->host);
    sem_destroy(&w->job);
}

static void take_signal(void *arg, int signum)
{
    expect_eq(signum, SIGUSR1);
    effect(arg);
}

static void signal_begin(struct waking *w)
{
    expect_ok(weir_loop_add_signal_handler(loop, SIGUSR1, take_signal, w));
}

static void signal_act(struct waking *w)
{
    expect_eq(pthread_kill(pthread_self(), SIGUSR1), 0);
}

static void set_future(void *arg)
{
    expect_ok(weir_future_set_result(arg, 7));
}

static int await_future(weir_loop *on, void *arg)
{
    struct waking *w = arg;
    weir_future *future;
    int result;

    expect_ok(weir_future_new(on, NULL, NULL, &future));
    expect_ok(weir_loop_call_soon_threadsafe(on, set_future, future, NULL));
    const int err = weir_future_await(future, &result);
    weir_future_unref(future);
    w->effects++;
    return err;
}

static void spawn_awaiting(void *arg)
{
    expect_ok(weir_task_spawn(loop, await_future, arg, NULL, NULL));
}

static void set_timer(void *arg)
{
    expect_ok(weir_loop_call_later(loop, 2000000, effect, arg, NULL));
}

/* A thread of the kernel, or of weir, opens a file. */
static int open_file(weir_loop *on, void *arg)
{
    const int fd = weir_file_open(on, "/proc/self/cmdline", O_RDONLY, 0);

    effect(arg);
    return fd < 0 ? fd : close(fd);
}

static void spawn_opening(void *arg)
{
    expect_ok(weir_task_spawn(loop, open_file, arg, NULL, NULL));
}

static void names_end(struct waking *w)
{
    dns_server_stop(&w->dns);
}

static void names_begin(struct waking *w)
{
    struct weir_dns_options options = {.size = sizeof(options), .search = ""};
    dns_server_start(&w->dns);
    options.servers = w->dns.address;
    options.try_timeout_ns = WEIR_SECONDS(3600);
    const int err = weir_loop_set_dns_options(loop, &options);
    if (err < 0) {
        expect_eq(err, WEIR_ENONAMES);
        w->cause = NULL;
        names_end(w);
    }
}

static void looked_up(void *arg, int err, const struct weir_address *addresses,
                      size_t count)
{
    expect_ok(err);
    expect_eq(count, 1);
    effect(arg);
}

/* Each name is a new one, so that none is cached. The first response arrives
 * while the host waits, and no timer of the lookup ends that wait. */
static void look_up(void *arg)
{
    const struct waking *w = arg;
    const struct weir_getaddrinfo_options options = {.size = sizeof(options),
                                                     .family = AF_INET,
                                                     .timeout_ns =
                                                         WEIR_SECONDS(3600)};
    char host[32];

    snprintf(host, sizeof(host), "%sa4.h%d.example",
             w->effects == 0 ? "late4-" : "", w->effects);
    expect_ok(
        weir_resolve_start(loop, host, 80, &options, looked_up, arg, NULL));
}

static void take_bytes(void *arg)
{
    struct waking *w = arg;
    char bytes[4096];

    expect_gt(read(w->fds[0], bytes, sizeof(bytes)), 0);
    w->effects++;
}

static void watch_first(struct waking *w, weir_callback_fn *cb)
{
    expect_geq(w->fds[0], 0);
    expect_ok(weir_loop_add_reader(loop, w->fds[0], cb, w));
}

static void write_count(struct waking *w)
{
    const uint64_t one = 1;
    expect_eq(write(w->fds[1], &one, sizeof(one)), sizeof(one));
}

static void eventfd_begin(struct waking *w)
{
    w->fds[0] = w->fds[1] = eventfd(0, EFD_CLOEXEC);
    watch_first(w, take_bytes);
}

static void timerfd_begin(struct waking *w)
{
    w->fds[0] = w->fds[1] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    watch_first(w, take_bytes);
}

static void timerfd_act(struct waking *w)
{
    const struct itimerspec soon = {.it_value.tv_nsec = 100000};
    expect_ok(timerfd_settime(w->fds[1], 0, &soon, NULL));
}

static void signalfd_begin(struct waking *w)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    expect_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    w->fds[0] = w->fds[1] = signalfd(-1, &set, SFD_CLOEXEC);
    watch_first(w, take_bytes);
}

static void signalfd_act(struct waking *w)
{
    expect_ok(kill(getpid(), SIGUSR2));
}

static void pipe_begin(struct waking *w)
{
    expect_ok(pipe2(w->fds, O_CLOEXEC));
    watch_first(w, take_bytes);
}

static void socket_begin(struct waking *w)
{
    expect_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->fds));
    watch_first(w, take_bytes);
}

static void inotify_begin(struct waking *w)
{
    snprintf(w->path, sizeof(w->path), "/tmp/weir-host-wake-XXXXXX");
    w->fds[1] = mkstemp(w->path);
    expect_geq(w->fds[1], 0);
    w->fds[0] = inotify_init1(IN_CLOEXEC);
    expect_geq(inotify_add_watch(w->fds[0], w->path, IN_MODIFY), 0);
    watch_first(w, take_bytes);
}

static void inotify_end(struct waking *w)
{
    close_both(w);
    unlink(w->path);
}

static void take_inner(void *arg)
{
    struct waking *w = arg;
    uint64_t count;

    expect_eq(read(w->fds[1], &count, sizeof(count)), sizeof(count));
    w->effects++;
}

static void epollfd_begin(struct waking *w)
{
    struct epoll_event event = {.events = EPOLLIN};

    w->fds[0] = epoll_create1(EPOLL_CLOEXEC);
    w->fds[1] = eventfd(0, EFD_CLOEXEC);
    expect_ok(epoll_ctl(w->fds[0], EPOLL_CTL_ADD, w->fds[1], &event));
    watch_first(w, take_inner);
}

static void fill(int fd)
{
    const uint64_t most = UINT64_MAX - 1;
    expect_eq(write(fd, &most, sizeof(most)), sizeof(most));
}

static void fill_again(void *arg)
{
    struct waking *w = arg;

    fill(w->fds[0]);
    w->effects++;
}

static void room_begin(struct waking *w)
{
    w->fds[0] = w->fds[1] = eventfd(0, EFD_CLOEXEC);
    fill(w->fds[0]);
    expect_ok(weir_loop_add_writer(loop, w->fds[0], fill_again, w));
}

static void room_act(struct waking *w)
{
    uint64_t count;
    expect_eq(read(w->fds[0], &count, sizeof(count)), sizeof(count));
}

static void room_end(struct waking *w)
{
    expect_eq(weir_loop_remove_writer(loop, w->fds[0]), true);
    close(w->fds[0]);
}

/* A child that ends on request; its pidfd is watched. */
static void child_begin(struct waking *w);

static void child_ended(void *arg)
{
    struct waking *w = arg;

    expect_eq(waitpid(w->child, NULL, 0), w->child);
    close_both(w);
    w->effects++;
    child_begin(w);
}

static void child_begin(struct waking *w)
{
    int ends[2];
    char byte;

    expect_ok(pipe2(ends, O_CLOEXEC));
    w->child = fork();
    if (w->child == 0) {
        close(ends[1]);
        _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(ends[0]);
    w->fds[1] = ends[1];
    w->fds[0] = (int)syscall(SYS_pidfd_open, w->child, 0);
    watch_first(w, child_ended);
}

static void child_act(struct waking *w)
{
    /* The number stays open for close_both(). */
    const int none = open("/dev/null", O_RDONLY | O_CLOEXEC);
    expect_eq(dup3(none, w->fds[1], O_CLOEXEC), w->fds[1]);
    close(none);
}

static void child_end(struct waking *w)
{
    child_act(w);
    expect_eq(waitpid(w->child, NULL, 0), w->child);
    close_both(w);
}

static void moved_in(void *user, weir_transport *t)
{
    effect(user);
    weir_transport_abort(t);
}

static CALLBACKS(moved_protocol, STREAM, .connection_made = moved_in);

static void is_moved(void *arg, int err)
{
    expect_eq(err, 0);
    weir_loop_stop(arg);
}

/* Runs on the other loop's thread. */
static void move_away(void *user, weir_transport *t)
{
    struct waking *w = user;
    const struct weir_factory factory = bind_to(&moved_protocol, w);

    expect_ok(
        weir_transport_move(t, w->mailbox, &factory, is_moved, w->other, NULL));
}

static void moved_out(void *user, weir_transport *t)
{
}

static CALLBACKS(other_protocol, STREAM, .connection_made = move_away,
                 .connection_moved = moved_out);

static void move_begin(struct waking *w)
{
    w->mailbox = weir_loop_get_mailbox(loop);
}

static void move_act(struct waking *w)
{
    const struct weir_factory factory = bind_to(&other_protocol, w);
    int fds[2];

    expect_ok(weir_loop_new(NULL, &w->other));
    expect_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    expect_ok(weir_create_connection_at(
        w->other, &factory, weir_endpoint_fd(fds[0]), NULL, NULL, NULL, NULL));
    expect_ok(weir_loop_run(w->other));
    expect_eq(weir_loop_free(w->other), 0);
    close(fds[1]);
}

static void move_end(struct waking *w)
{
    weir_mailbox_unref(w->mailbox);
}

static const struct cause causes[] = {
    {"post", 0, nothing, post, nothing, effect},
    {"job", 0, job_begin, job_act, job_end, NULL},
    {"signal", 0, signal_begin, signal_act, nothing, NULL},
    {"future", 3, nothing, post, nothing, spawn_awaiting},
    /* Hosts count in milliseconds. */
    {"timer", 3, nothing, post, nothing, set_timer},
    {"file", 4, nothing, post, nothing, spawn_opening},
    {"names", 8, names_begin, post, names_end, look_up},
    {"eventfd", 0, eventfd_begin, write_count, close_both, NULL},
    {"timerfd", 0, timerfd_begin, timerfd_act, close_both, NULL},
    {"signalfd", 0, signalfd_begin, signalfd_act, close_both, NULL},
    {"pipe", 0, pipe_begin, write_count, close_both, NULL},
    {"socket", 0, socket_begin, write_count, close_both, NULL},
    {"inotify", 0, inotify_begin, write_count, inotify_end, NULL},
    {"epoll", 0, epollfd_begin, write_count, close_both, NULL},
    {"room", 0, room_begin, room_act, room_end, NULL},
    {"pidfd", 0, child_begin, child_act, child_end, NULL},
    {"move", 1, move_begin, move_act, move_end, NULL},
};

static void *act_at_sleepers(void *arg)
{
    struct waking *w = arg;

    for (int i = 0; i < ROUNDS; i++) {
        while (sem_wait(&w->go) < 0) {
        }
        cr_assert(wait_until_asleep(w->tid));
        w->cause->act(w);
    }
    return NULL;
}

/* The kernel may report an event of a guest that has run before once more, and
 * late. */
static uint64_t more_turns_of(const struct waking *w)
{
    return (uint64_t)(w->cause->more + w->has_run) * ROUNDS;
}

static void wake_each_time(struct waking *w)
{
    pthread_t thread;
    uint64_t more = 0;

    any_host_rest(&w->host);
    expect_eq(pthread_create(&thread, NULL, act_at_sleepers, w), 0);
    for (int i = 0; i < ROUNDS; i++) {
        const uint64_t before = w->host.guest.turns;
        expect_ok(sem_post(&w->go));
        TURN_UNTIL(any_host_round(&w->host), w->effects > i);
        more += w->host.guest.turns - before - 1;
        expect_eq(w->effects, i + 1);
        more += any_host_rest(&w->host);
    }
    expect_eq(pthread_join(thread, NULL), 0);
    expect_leq(more, more_turns_of(w), "%s in %s", w->cause->name,
               w->host.kind->name);
}

static void wake_by(const struct cause *cause, const struct host_kind *kind,
                    bool has_run)
{
    static struct waking w; /* a thread may use it late */

    w = (struct waking){.cause = cause, .has_run = has_run, .tid = gettid()};
    expect_ok(sem_init(&w.go, 0, 0));
    open_loop(NULL);
    if (has_run) {
        one_turn();
    }
    any_host_open(&w.host, kind);
    cause->begin(&w);
    if (w.cause) {
        wake_each_time(&w);
        cause->end(&w);
    }
    any_host_close(&w.host);
    close_loop();
    sem_destroy(&w.go);
}

static void wake_by_all(const char *kind_name, bool has_run)
{
    const size_t count = sizeof(causes) / sizeof(causes[0]);

    const struct host_kind *kind = host_kinds;
    while (kind->name && strcmp(kind->name, kind_name) != 0) {
        kind++;
    }
    for (size_t i = 0; kind->name && i < count; i++) {
        wake_by(&causes[i], kind, has_run);
    }
    if (kind->name) {
        return;
    }
    cr_skip_test("built without %s; runs with its -dev package", kind_name);
}

UNIT(host_wake, each_event_ends_the_wait_of_epoll)
{
    wake_by_all("epoll", false);
}

UNIT(host_wake, each_event_ends_the_wait_of_poll)
{
    wake_by_all("poll", false);
}

UNIT(host_wake, each_event_ends_the_wait_of_libuv)
{
    wake_by_all("libuv", false);
}

UNIT(host_wake, each_event_ends_the_wait_of_glib)
{
    wake_by_all("GLib", false);
}

UNIT(host_wake, a_guest_that_has_run_before_wakes_its_host_each_time)
{
    wake_by_all("poll", true);
}

UNIT(host_wake, a_guest_that_has_run_before_wakes_an_epoll_host_each_time)
{
    wake_by_all("epoll", true);
}
