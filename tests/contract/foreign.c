/*
 * Calls without a result on a thread that is not the loop's.
 *
 * They have no error to return, so ignoring them would go unnoticed, and a task
 * that waits for their effect would wait forever: the process aborts, with a
 * message that names the call.
 *
 * A child process makes one object of each kind and then one call, which must
 * abort it. The table has each such call of the headers; tests/checks/api.py
 * compares.
 *
 * A loop that is freed no longer has a thread: any thread may call then.
 */
#include "tests/walk.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <tests/have.h>
#include <weir/datagram_stream.h>
#include <weir/inspect.h>
#include <weir/process.h>
#include <weir/resolver.h>
#include <weir/sync.h>
#include <weir/task.h>
#include <weir/threads.h>
#include <weir/upstream.h>

static struct {
    weir_loop *loop;
    weir_event *event;
    weir_lock *lock;
    weir_semaphore *semaphore;
    weir_condition *condition;
    weir_barrier *barrier;
    weir_queue *queue;
    weir_future *future;
    weir_task *task;
    struct weir_task_group group;
    struct weir_as_completed completed;
    weir_reader *reader;
    weir_writer *writer;
    weir_datagram_stream *datagrams;
    weir_process *process;
    weir_server *server;
    weir_pending *pending;
    weir_upstreams *upstreams;
    weir_upstream *upstream;
    weir_upstream_slot *slot;
    weir_config *config;
    struct weir_buf bytes;
    struct weir_address address;
} world;

#define FOREIGN_CALLS(X)                                                       \
    X(weir_as_completed_end, &world.completed)                                 \
    X(weir_barrier_abort, world.barrier)                                       \
    X(weir_barrier_free, world.barrier)                                        \
    X(weir_barrier_reset, world.barrier)                                       \
    X(weir_condition_free, world.condition)                                    \
    X(weir_datagram_stream_close, world.datagrams)                             \
    X(weir_datagram_stream_free, world.datagrams)                              \
    X(weir_event_clear, world.event)                                           \
    X(weir_event_free, world.event)                                            \
    X(weir_event_set, world.event)                                             \
    X(weir_future_unref, world.future)                                         \
    X(weir_buf_unref, world.bytes.lease)                                       \
    X(weir_lock_free, world.lock)                                              \
    X(weir_loop_dump, world.loop, stderr)                                      \
    X(weir_loop_set_exception_handler, world.loop, NULL, NULL)                 \
    X(weir_loop_announce_stop, world.loop)                                     \
    X(weir_loop_stop, world.loop)                                              \
    X(weir_pending_cancel, world.pending)                                      \
    X(weir_process_free, world.process)                                        \
    X(weir_queue_free, world.queue)                                            \
    X(weir_queue_shutdown, world.queue)                                        \
    X(weir_queue_shutdown_immediate, world.queue)                              \
    X(weir_reader_feed_eof, world.reader)                                      \
    X(weir_reader_free, world.reader)                                          \
    X(weir_reader_set_exception, world.reader, -EIO)                           \
    X(weir_semaphore_free, world.semaphore)                                    \
    X(weir_server_abort_clients, world.server)                                 \
    X(weir_server_close, world.server)                                         \
    X(weir_server_close_clients, world.server)                                 \
    X(weir_server_free, world.server)                                          \
    X(weir_task_group_cancel, &world.group)                                    \
    X(weir_task_set_name, world.task, "name")                                  \
    X(weir_task_unref, world.task)                                             \
    X(weir_config_unref, world.config)                                         \
    X(weir_transport_get_peername, weir_writer_get_transport(world.writer),    \
      &world.address)                                                          \
    X(weir_transport_get_sockname, weir_writer_get_transport(world.writer),    \
      &world.address)                                                          \
    X(weir_transport_unref, weir_writer_get_transport(world.writer))           \
    X(weir_writer_abort, world.writer)                                         \
    X(weir_writer_unref, world.writer)

#if WR_TESTS_PROXY
#define FOREIGN_PROXY_CALLS(X)                                                 \
    X(weir_upstream_lift, world.upstream)                                      \
    X(weir_upstream_pause_checks, world.upstream, true)                        \
    X(weir_upstream_remove, world.upstream)                                    \
    X(weir_upstream_set_draining, world.upstream, true)                        \
    X(weir_upstream_slot_release, world.slot, 0)                               \
    X(weir_upstreams_replace, world.upstreams)                                 \
    X(weir_upstreams_free, world.upstreams)
#else
#define FOREIGN_PROXY_CALLS(X)
#endif

#define DEFINE(name, ...)                                                      \
    static void call_##name(void)                                              \
    {                                                                          \
        name(__VA_ARGS__);                                                     \
    }
#define ROW(name, ...) {#name, call_##name},

FOREIGN_CALLS(DEFINE)
FOREIGN_PROXY_CALLS(DEFINE)

static const struct foreign {
    const char *name;
    void (*call)(void);
} foreign[] = {FOREIGN_CALLS(ROW) FOREIGN_PROXY_CALLS(ROW)};

static int serve(void *arg, weir_reader *reader, weir_writer *writer)
{
    return 0;
}

static int sleep_long(weir_loop *loop, void *arg)
{
    return weir_sleep(loop, UINT64_MAX);
}

static void looked_up(void *arg, int err, const struct weir_address *addresses,
                      size_t count)
{
}

static int make_sync(weir_loop *loop)
{
    return weir_event_new(loop, &world.event) |
           weir_lock_new(loop, &world.lock) |
           weir_semaphore_new(loop, 1, &world.semaphore) |
           weir_condition_new(world.lock, &world.condition) |
           weir_barrier_new(loop, 2, &world.barrier) |
           weir_queue_new(loop, 8, WEIR_QUEUE_FIFO, &world.queue);
}

static int make_tasks(weir_loop *loop)
{
    return weir_future_new(loop, NULL, NULL, &world.future) |
           weir_task_spawn(loop, sleep_long, NULL, NULL, &world.task) |
           weir_task_group_begin(loop, &world.group) |
           weir_as_completed_begin(loop, &world.completed, &world.future, 1);
}

static int make_streams(weir_loop *loop)
{
    const char *const argv[] = {"/bin/true", NULL};
    const struct weir_datagram_stream_options datagrams = {
        .size = sizeof(datagrams), .endpoint = {.local_host = "127.0.0.1"}};
    weir_reader *reader;
    int ends[2];

    return socketpair(AF_UNIX, SOCK_STREAM, 0, ends) |
           weir_reader_new(loop, WEIR_STREAM_LIMIT, &world.reader) |
           weir_reader_feed_data(world.reader, "bytes", 5) |
           (weir_reader_take(world.reader, 5, &world.bytes) == 5 ? 0 : -EIO) |
           weir_open_connection_at(loop, weir_endpoint_fd(ends[0]), NULL,
                                   &reader, &world.writer) |
           weir_open_datagram_stream(loop, &datagrams, &world.datagrams) |
           weir_create_subprocess_exec(loop, argv, NULL, &world.process);
}

static int make_net(weir_loop *loop)
{
    int err =
        weir_start_server(loop, serve, "127.0.0.1", 0, NULL, &world.server);

    return err < 0 ||
                   weir_server_get_socket(world.server, 0, &world.address) < 0
               ? -1
               : 0;
}

#if WR_TESTS_PROXY
static int make_quiet(void *arg, weir_transport *t,
                      struct weir_protocol_binding *ret)
{
    static const struct weir_protocol quiet = {.size = sizeof(quiet),
                                               .kind = WEIR_PROTOCOL_STREAM};
    *ret = (struct weir_protocol_binding){&quiet, NULL};
    return 0;
}

static void connected(void *arg, int err,
                      const struct weir_upstreams_result *result)
{
    world.slot = result->slot;
    (void)!weir_future_set_result(arg, err);
}

static int make_upstreams(weir_loop *loop)
{
    const struct weir_upstream_options upstream = {
        .size = sizeof(upstream),
        .endpoint = weir_endpoint_addresses(&world.address, 1)};
    const struct weir_factory factory = {make_quiet, NULL};
    weir_future *made;
    int err = -1;

    if (weir_upstreams_new(loop, NULL, &world.upstreams) < 0 ||
        weir_upstreams_add(world.upstreams, &upstream, &world.upstream) < 0 ||
        weir_future_new(loop, NULL, NULL, &made) < 0 ||
        weir_upstreams_connect(world.upstreams, &factory, NULL, connected, made,
                               NULL) < 0 ||
        weir_future_await(made, &err) < 0) {
        return -1;
    }
    weir_future_unref(made);
    return err;
}

static void free_upstreams(void)
{
    weir_upstream_slot_release(world.slot, 0);
    weir_upstreams_free(world.upstreams);
}
#else
static int make_upstreams(weir_loop *loop)
{
    return 0;
}

static void free_upstreams(void)
{
}
#endif

static sem_t holds;

static int hold_config(weir_thread *thread, void *arg)
{
    world.config = weir_config_ref(thread);
    sem_post(&holds);
    return weir_sleep(weir_thread_get_loop(thread), UINT64_MAX);
}

static int make_config(void)
{
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .thread_count = 1,
                                                 .no_signals = true,
                                                 .config = &holds};
    static weir_threads *threads;

    sem_init(&holds, 0, 0);
    const int err = weir_threads_start(&options, hold_config, NULL, &threads);
    while (err == 0 && sem_wait(&holds) < 0) {
    }
    return err;
}

static void *call_it(void *arg)
{
    ((const struct foreign *)arg)->call();
    return NULL;
}

static int make_and_call(weir_loop *loop, void *arg)
{
    pthread_t thread;

    world.loop = loop;
    if (make_sync(loop) < 0 || make_tasks(loop) < 0 || make_streams(loop) < 0 ||
        make_net(loop) < 0 || make_upstreams(loop) < 0 || make_config() < 0 ||
        weir_resolve_start(loop, "127.0.0.1", 1, NULL, looked_up, NULL,
                           &world.pending) < 0 ||
        pthread_create(&thread, NULL, call_it, arg) != 0) {
        _exit(1);
    }
    pthread_join(thread, NULL);
    _exit(0);
}

static void be_the_child(const struct foreign *call, int out)
{
    const struct rlimit none = {.rlim_cur = 0};

    setrlimit(RLIMIT_CORE, &none);
    signal(SIGABRT, SIG_DFL);
    dup2(out, STDERR_FILENO);
    _exit(weir_run(NULL, make_and_call, (void *)(uintptr_t)call) < 0 ? 2 : 3);
}

UNIT(foreign, a_call_without_a_result_names_itself_and_ends_the_process)
{
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        char text[512] = "";
        char wanted[128];
        int status = 0;
        int ends[2];
        expect_eq(pipe(ends), 0);
        const pid_t child = fork();
        if (child == 0) {
            be_the_child(&foreign[i], ends[1]);
        }
        close(ends[1]);
        const ssize_t got = read(ends[0], text, sizeof(text) - 1);
        close(ends[0]);
        expect_eq(waitpid(child, &status, 0), child);
        text[got > 0 ? got : 0] = '\0';
        snprintf(wanted, sizeof(wanted),
                 "weir: %s() was called by a thread that is not its loop's\n",
                 foreign[i].name);
        cr_assert(WIFSIGNALED(status), "%s: status %x, %s", foreign[i].name,
                  status, text);
        expect_eq(WTERMSIG(status), SIGABRT, "%s", foreign[i].name);
        cr_assert(strstr(text, "() was called by a thread"), "%s: %s",
                  foreign[i].name, text);
        expect_str_eq(text, wanted);
    }
}

static int make_what_stays(weir_loop *loop, void *arg)
{
    const struct weir_datagram_stream_options datagrams = {
        .size = sizeof(datagrams), .endpoint = {.local_host = "127.0.0.1"}};

    expect_eq(make_sync(loop), 0);
    expect_eq(make_net(loop), 0);
    expect_eq(make_upstreams(loop), 0);
    expect_eq(weir_future_new(loop, NULL, NULL, &world.future), 0);
    expect_eq(weir_task_spawn(loop, sleep_long, NULL, NULL, &world.task), 0);
    expect_eq(weir_reader_new(loop, WEIR_STREAM_LIMIT, &world.reader), 0);
    expect_eq(weir_reader_feed_data(world.reader, "bytes", 5), 0);
    expect_eq(weir_reader_take(world.reader, 5, &world.bytes), 5);
    expect_eq(weir_open_datagram_stream(loop, &datagrams, &world.datagrams), 0);
    return 0;
}

static void *make_and_free_a_loop(void *arg)
{
    expect_eq(weir_run(arg, make_what_stays, NULL), 0);
    return NULL;
}

UNIT(foreign, what_is_left_of_a_freed_loop_is_given_back_by_any_thread)
{
    struct test_allocator memory;
    pthread_t thread;

    allocator_init(&memory);
    struct weir_loop_options options = allocator_options(&memory);
    expect_eq(pthread_create(&thread, NULL, make_and_free_a_loop, &options), 0);
    expect_eq(pthread_join(thread, NULL), 0);
    expect_gt(memory.live_count, 0);

    free_upstreams();
    weir_server_free(world.server);
    weir_buf_unref(world.bytes.lease);
    weir_reader_free(world.reader);
    weir_datagram_stream_free(world.datagrams);
    weir_task_unref(world.task);
    weir_future_unref(world.future);
    weir_queue_free(world.queue);
    weir_barrier_free(world.barrier);
    weir_condition_free(world.condition);
    weir_semaphore_free(world.semaphore);
    weir_lock_free(world.lock);
    weir_event_free(world.event);
    allocator_check(&memory);
}
