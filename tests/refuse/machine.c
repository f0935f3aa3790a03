/*
 * Scenarios of the machine: files, pipes, children, signals, threads, watched
 * descriptors and a host's epoll set.
 *
 * The kernel may refuse a scenario's own calls, too. A scenario reports this
 * like an error of weir.
 */
#include "tests/refuse/scenario.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir/embed.h>
#include <weir/executor.h>
#include <weir/file.h>
#include <weir/process.h>
#include <weir/sock.h>
#include <weir/task.h>
#include <weir/threads.h>
#include <weir/watch.h>

enum { BYTES = 100000 };

static void fill(char *data)
{
    for (size_t i = 0; i < BYTES; i++) {
        data[i] = (char)(i * 11 + (i >> 7));
    }
}

static int use_file(weir_loop *loop, int fd)
{
    static char data[BYTES];
    static char got[BYTES];
    struct weir_file_status status = {.size = sizeof(status)};

    fill(data);
    const ssize_t written = weir_file_write(loop, fd, data, BYTES, 0);
    TRY(written);
    RIGHT(written == BYTES);
    TRY(weir_file_datasync(loop, fd));
    TRY(weir_file_sync(loop, fd));
    TRY(weir_file_stat(loop, fd, &status));
    RIGHT(status.len_bytes == BYTES);
    const ssize_t len = weir_file_read(loop, fd, got, BYTES, 0);
    TRY(len);
    RIGHT(len == BYTES && memcmp(got, data, BYTES) == 0);
    return 0;
}

static bool is_closed(int fd)
{
    return fcntl(fd, F_GETFD) < 0 && errno == EBADF;
}

int scenario_files(weir_loop *loop, void *arg)
{
    char text[SCENARIO_PATH];

    (void)arg;
    const int fd = weir_file_open(loop, scenario_path("file", text),
                                  O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    TRY(fd);
    const int err = use_file(loop, fd);
    const char *where = scenario_where;
    TRY(weir_file_close(loop, fd));
    RIGHT(is_closed(fd) || errno != EBADF);
    scenario_where = where;
    return err;
}

static int receive_file(weir_reader *reader, const char *data)
{
    static char got[BYTES];

    TRY(weir_reader_readexactly(reader, got, BYTES));
    RIGHT(memcmp(got, data, BYTES) == 0);
    return 0;
}

struct sent_file {
    weir_writer *writer;
    int fd;
};

static int send_file(weir_loop *loop, void *arg)
{
    const struct sent_file *file = arg;
    uint64_t offset = 0;

    (void)loop;
    TRY(weir_writer_sendfile(file->writer, file->fd, &offset, BYTES));
    return 0;
}

static int send_between(weir_loop *loop, const int ends[2], int fd,
                        const char *data)
{
    weir_reader *readers[2];
    weir_writer *writers[2];
    struct weir_task_group group;

    TRY(weir_open_connection_at(loop, weir_endpoint_fd(ends[0]), NULL,
                                &readers[0], &writers[0]));
    TRY(weir_open_connection_at(loop, weir_endpoint_fd(ends[1]), NULL,
                                &readers[1], &writers[1]));
    struct sent_file file = {writers[0], fd};
    TRY(weir_task_group_begin(loop, &group));
    int err = weir_task_group_spawn(&group, send_file, &file, NULL, NULL);
    err = err < 0 ? err : receive_file(readers[1], data);
    err = weir_task_group_end(&group, err);
    for (int i = 0; i < 2; i++) {
        weir_writer_abort(writers[i]);
        weir_writer_unref(writers[i]);
    }
    return err;
}

int scenario_sendfile(weir_loop *loop, void *arg)
{
    static char data[BYTES];
    char text[SCENARIO_PATH];
    int ends[2];

    (void)arg;
    fill(data);
    const int fd = open(scenario_path("sent", text),
                        O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, BYTES) != BYTES ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        scenario_where = "the scenario's own calls";
        return -errno;
    }
    const int err = send_between(loop, ends, fd, data);
    close(fd);
    return err;
}

struct pipe_end {
    weir_writer *writer;
    const char *data;
};

static int write_pipe(weir_loop *loop, void *arg)
{
    const struct pipe_end *end = arg;

    (void)loop;
    for (size_t at = 0; at < BYTES; at += BYTES / 10) {
        TRY(weir_writer_write(end->writer, end->data + at, BYTES / 10));
        TRY(weir_writer_drain(end->writer));
    }
    weir_writer_close(end->writer);
    TRY(weir_writer_wait_closed(end->writer));
    return 0;
}

static int move_by_pipe(weir_loop *loop, weir_reader *reader,
                        weir_writer *writer)
{
    static char data[BYTES];
    char byte;
    struct pipe_end end = {writer, data};
    struct weir_task_group group;

    fill(data);
    TRY(weir_task_group_begin(loop, &group));
    int err = weir_task_group_spawn(&group, write_pipe, &end, NULL, NULL);
    err = err < 0 ? err : receive_file(reader, data);
    err = weir_task_group_end(&group, err);
    TRY(err);
    RIGHT(err == 0);
    const ssize_t rest = weir_reader_read(reader, &byte, 1);
    TRY(rest);
    RIGHT(rest == 0);
    return 0;
}

int scenario_pipes(weir_loop *loop, void *arg)
{
    int fds[2];
    weir_reader *reader;
    weir_writer *source;
    weir_writer *writer;

    (void)arg;
    if (pipe(fds) != 0) {
        scenario_where = "the scenario's own calls";
        return -errno;
    }
    TRY(weir_open_connection_at(loop, weir_endpoint_read_pipe(fds[0]), NULL,
                                &reader, &source));
    int err = weir_open_connection_at(loop, weir_endpoint_write_pipe(fds[1]),
                                      NULL, NULL, &writer);
    scenario_where = "weir_open_connection_at";
    if (err == 0) {
        err = move_by_pipe(loop, reader, writer);
        weir_writer_unref(writer);
    }
    weir_writer_unref(source);
    return err;
}

int scenario_child(weir_loop *loop, void *arg)
{
    static const char *const argv[] = {"cat", NULL};
    const struct weir_process_options options = {
        .size = sizeof(options),
        .spawn = {.in = {.kind = WEIR_STDIO_PIPE},
                  .out = {.kind = WEIR_STDIO_PIPE}}};
    struct weir_process_output output = {.size = sizeof(output)};
    weir_process *process;
    int status = -1;

    (void)arg;
    TRY(weir_create_subprocess_exec(loop, argv, &options, &process));
    int err = weir_process_communicate(process, "hello", 5, 0, &output);
    scenario_where = "weir_process_communicate";
    if (err == 0) {
        err = weir_process_get_returncode(process, &status);
        scenario_where = "weir_process_get_returncode";
    }
    /* The child inherits the filter, and may report the refusal as its
     * status. */
    const bool is_right = status != 0 || (output.out_len == 5 &&
                                          memcmp(output.out, "hello", 5) == 0);
    weir_process_free(process);
    TRY(err);
    RIGHT(is_right);
    scenario_where = "the child";
    return status == 0 ? 0 : -ECHILD;
}

static void on_signal(void *arg, int signum)
{
    (void)signum;
    if (weir_future_set_result(arg, 7) < 0) {
        scenario_where = "weir_future_set_result";
    }
}

int scenario_signals(weir_loop *loop, void *arg)
{
    weir_future *future;
    int result = 0;

    (void)arg;
    TRY(weir_future_new(loop, NULL, NULL, &future));
    TRY(weir_loop_add_signal_handler(loop, SIGUSR1, on_signal, future));
    /* Not kill(): if getpid() is refused, it returns -1, which means all
     * processes. */
    if (raise(SIGUSR1) != 0) {
        scenario_where = "the scenario's own calls";
        return -errno;
    }
    TRY(weir_future_await(future, &result));
    RIGHT(result == 7);
    weir_loop_remove_signal_handler(loop, SIGUSR1);
    weir_future_unref(future);
    return 0;
}

static int thread_main(weir_thread *thread, void *arg)
{
    (void)arg;
    return weir_sleep(weir_thread_get_loop(thread), WEIR_MILLISECONDS(1));
}

static int run_threads(void *arg)
{
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .thread_count = 2};
    return weir_threads_run(&options, thread_main, arg);
}

int scenario_threads(weir_loop *loop, void *arg)
{
    int result = 0;

    TRY(weir_run_in_executor(loop, run_threads, arg, NULL, &result));
    TRY(result);
    return 0;
}

static int answer(void *arg)
{
    (void)arg;
    return 42;
}

int scenario_executor(weir_loop *loop, void *arg)
{
    for (int i = 0; i < 3; i++) {
        int result = 0;
        TRY(weir_run_in_executor(loop, answer, arg, NULL, &result));
        RIGHT(result == 42);
    }
    return 0;
}

static void on_readable(void *arg)
{
    if (weir_future_set_result(arg, 1) < 0) {
        scenario_where = "weir_future_set_result";
    }
}

int scenario_watch(weir_loop *loop, void *arg)
{
    char got[8];
    int fds[2];
    int result = 0;
    weir_future *future;

    (void)arg;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0) {
        scenario_where = "the scenario's own calls";
        return -errno;
    }
    TRY(weir_future_new(loop, NULL, NULL, &future));
    TRY(weir_loop_add_reader(loop, fds[0], on_readable, future));
    TRY(weir_sock_sendall(loop, fds[1], "hello", 5, NULL));
    TRY(weir_future_await(future, &result));
    weir_loop_remove_reader(loop, fds[0]);
    weir_future_unref(future);
    const ssize_t len = weir_sock_recv(loop, fds[0], got, sizeof(got));
    TRY(len);
    RIGHT(len == 5 && memcmp(got, "hello", 5) == 0);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

static bool is_done;

static int sleep_as_guest(weir_loop *loop, void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++) {
        TRY(weir_sleep(loop, WEIR_MILLISECONDS(1)));
    }
    is_done = true;
    return 0;
}

static int wait_as_host(weir_loop *loop, int epfd)
{
    const uint64_t deadline = weir_loop_get_deadline(loop);
    const uint64_t now = weir_loop_get_time(loop);
    const uint64_t left = deadline > now ? deadline - now : 0;
    const uint64_t left_ms = left / WEIR_MILLISECONDS(1) + 1;
    struct epoll_event event;

    const int wait_ms = left == 0 ? 0 : left_ms < 1000 ? (int)left_ms : 1000;
    if (epoll_wait(epfd, &event, 1, wait_ms) < 0 && errno != EINTR) {
        scenario_where = "the host's own calls";
        return -errno;
    }
    TRY(weir_loop_run_once(loop));
    return 0;
}

static int run_as_host(weir_loop *loop)
{
    struct epoll_event event = {.events = EPOLLIN};
    const int epfd = epoll_create1(EPOLL_CLOEXEC);
    const int fd = weir_loop_get_fd(loop);

    TRY(fd);
    if (epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) < 0) {
        scenario_where = "the host's own calls";
        return -errno;
    }
    TRY(weir_task_spawn(loop, sleep_as_guest, NULL, NULL, NULL));
    TRY(wait_as_host(loop, epfd));
    scenario_is_on_loop();
    while (!is_done) {
        TRY(wait_as_host(loop, epfd));
    }
    close(epfd);
    return 0;
}

int scenario_embedded(void)
{
    weir_loop *loop;

    TRY(weir_loop_new(NULL, &loop));
    const int err = run_as_host(loop);
    TRY(weir_loop_free(loop));
    return err;
}
