/*
 * No thread can be created: each call that needs one is made anyway, or fails
 * with -EAGAIN.
 *
 * None is reported as cancelled, none hangs, nothing stays open, and the hook
 * is called once. When threads can be created again, everything works as
 * before. Each row is a call; a new call that uses threads needs only a new
 * row.
 */
#include "tests/bind.h"
#include "tests/contract/shortage_pipes.h"
#include "tests/contract/shortage_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <sys/stat.h>
#include <weir/executor.h>
#include <weir/file.h>
#include <weir/process.h>
#include <weir/sock.h>
#include <weir/threads.h>

enum { LARGE = 1000000 };

static bool is_short;

static int some_file(void)
{
    const int fd =
        open(shortage_path("file"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    expect_eq(write(fd, "abcdef", 6), 6);
    expect_eq(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void drop(int fd, const char *name)
{
    expect_eq(close(fd), 0);
    expect_eq(unlink(shortage_path(name)), 0);
}

/* Closes the descriptor that a call returned; returns the call's error. */
static int opened(int fd)
{
    return fd < 0 ? fd : close(fd);
}

static int open_new(weir_loop *loop)
{
    const int ret = opened(weir_file_open(loop, shortage_path("new"),
                                          O_RDWR | O_CREAT | O_EXCL, 0600));
    expect_eq(unlink(shortage_path("new")), 0);
    return ret;
}

static int open_known(weir_loop *loop)
{
    const int fd = some_file();
    const int ret =
        opened(weir_file_open(loop, shortage_path("file"), O_RDONLY, 0));
    drop(fd, "file");
    return ret;
}

static int open_beneath(weir_loop *loop)
{
    const int fd = some_file();
    const int folder = open(shortage_folder, O_PATH | O_CLOEXEC);
    const int ret = opened(
        weir_file_openat(loop, folder, "file", O_RDONLY, 0, RESOLVE_BENEATH));
    expect_eq(
        weir_file_openat(loop, folder, "../file", O_RDONLY, 0, RESOLVE_BENEATH),
        -EXDEV);
    expect_eq(close(folder), 0);
    drop(fd, "file");
    return ret;
}

static int open_none(weir_loop *loop)
{
    return weir_file_open(loop, shortage_path("none"), O_RDONLY, 0) == -ENOENT
               ? 0
               : -1;
}

/* Opening a FIFO waits for its other end, and so must be refused. */
static int open_fifo(weir_loop *loop, int flags)
{
    expect_eq(mkfifo(shortage_path("fifo"), 0600), 0);
    const int other =
        is_short ? -1 : open(shortage_path("fifo"), O_RDWR | O_CLOEXEC);
    const int ret =
        opened(weir_file_open(loop, shortage_path("fifo"), flags, 0));
    if (other >= 0) {
        close(other);
    }
    expect_eq(unlink(shortage_path("fifo")), 0);
    return ret;
}

static int open_fifo_to_read(weir_loop *loop)
{
    return open_fifo(loop, O_RDONLY);
}

static int open_fifo_to_write(weir_loop *loop)
{
    return open_fifo(loop, O_WRONLY);
}

static int open_fifo_with_ends(weir_loop *loop)
{
    expect_eq(mkfifo(shortage_path("fifo"), 0600), 0);
    const int other = open(shortage_path("fifo"), O_RDWR | O_CLOEXEC);
    int ret = opened(weir_file_open(loop, shortage_path("fifo"), O_WRONLY, 0));
    ret = ret < 0 ? ret
                  : opened(weir_file_open(loop, shortage_path("fifo"),
                                          O_RDONLY | O_NONBLOCK, 0));
    drop(other, "fifo");
    return ret;
}

/* The open waits for the holder of the lease, and so must be refused. */
static int open_leased(weir_loop *loop)
{
    const int fd = some_file();
    signal(SIGIO, SIG_IGN); /* notifies the holder */
    if (fcntl(fd, F_SETLEASE, is_short ? F_WRLCK : F_UNLCK) < 0) {
        drop(fd, "file");
        return is_short ? -EAGAIN : 0; /* a file system without leases */
    }
    const int ret =
        opened(weir_file_open(loop, shortage_path("file"), O_RDONLY, 0));
    drop(fd, "file");
    return ret;
}

/* Like a program that opens it without O_NONBLOCK. */
static int open_blocking(weir_loop *loop)
{
    const int fd = weir_file_open(loop, "/dev/null", O_RDWR, 0);
    cr_assert_geq(fd, 0);
    expect_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    return close(fd);
}

static int read_file(weir_loop *loop)
{
    char bytes[8] = "";
    const int fd = some_file();
    expect_eq(fsync(fd), 0);
    expect_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    const ssize_t got = weir_file_read(loop, fd, bytes, 3, 2);
    drop(fd, "file");
    return got == 3 && memcmp(bytes, "cde", 3) == 0 ? 0 : (int)got;
}

static int write_file(weir_loop *loop)
{
    char bytes[8] = "";
    const int fd = some_file();
    const ssize_t put = weir_file_write(loop, fd, "XY", 2, 1);
    expect_eq(pread(fd, bytes, 6, 0), 6);
    drop(fd, "file");
    return put == 2 && memcmp(bytes, "aXYdef", 6) == 0 ? 0 : (int)put;
}

/* The cache is not checked, so a thread always makes this call. */
static int write_only_file(weir_loop *loop)
{
    const int fd = open(shortage_path("new"), O_WRONLY | O_CREAT, 0600);
    const ssize_t put = weir_file_write(loop, fd, "XY", 2, 1);
    drop(fd, "new");
    return put == 2 ? 0 : (int)put;
}

static int sync_file(weir_loop *loop)
{
    const int fd = some_file();
    const int ret = weir_file_sync(loop, fd);
    drop(fd, "file");
    return ret;
}

static int sync_data(weir_loop *loop)
{
    const int fd = some_file();
    const int ret = weir_file_datasync(loop, fd);
    drop(fd, "file");
    return ret;
}

static int stat_file(weir_loop *loop)
{
    struct weir_file_status status = {.size = sizeof(status)};
    const int fd = some_file();
    const int ret = weir_file_stat(loop, fd, &status);
    drop(fd, "file");
    return ret < 0 || status.len_bytes == 6 ? ret : -1;
}

/* The descriptor is closed whatever close returns. */
static int close_one(weir_loop *loop, int fd)
{
    cr_assert_geq(fd, 0);
    const int ret = weir_file_close(loop, fd);
    expect_eq(fcntl(fd, F_GETFD), -1);
    return ret;
}

static int close_file(weir_loop *loop)
{
    const int ret = close_one(loop, some_file());
    expect_eq(unlink(shortage_path("file")), 0);
    return ret;
}

static int close_nameless(weir_loop *loop)
{
    const int fd = some_file();
    expect_eq(unlink(shortage_path("file")), 0);
    return close_one(loop, fd);
}

static int close_device(weir_loop *loop)
{
    return close_one(loop, open("/dev/null", O_RDWR | O_CLOEXEC));
}

static int close_socket(weir_loop *loop)
{
    return close_one(loop, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

/* Returns a large file whose bytes are not cached, if possible. */
static int cold_file(void)
{
    static char bytes[LARGE];
    const int fd = open(shortage_path("file"), O_RDWR | O_CREAT, 0600);
    memset(bytes, 'x', sizeof(bytes));
    expect_eq(write(fd, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
    expect_eq(fsync(fd), 0);
    expect_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    return fd;
}

struct receipt {
    int fd;
    size_t bytes;
};

static int receive_all(weir_loop *loop, void *arg)
{
    static char bytes[65536];
    struct receipt *receipt = arg;
    ssize_t got;
    while ((got = weir_sock_recv(loop, receipt->fd, bytes, sizeof(bytes))) >
           0) {
        receipt->bytes += (size_t)got;
    }
    return (int)got;
}

static void make_ends(int ret[2])
{
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret), 0);
    expect_eq(fcntl(ret[1], F_SETFL, O_NONBLOCK), 0);
}

static void expect_received(weir_task *receiver, const struct receipt *receipt)
{
    int ret = 1;
    expect_eq(weir_task_join(receiver, &ret), 0);
    expect_eq(ret, 0);
    expect_eq(receipt->bytes, LARGE);
    close(receipt->fd);
}

static weir_task *start_receiver(weir_loop *loop, struct receipt *receipt)
{
    weir_task *task;
    expect_eq(weir_task_spawn(loop, receive_all, receipt, NULL, &task), 0);
    return task;
}

static int sendfile_of_socket(weir_loop *loop)
{
    int ends[2];
    uint64_t offset = 0;
    const int fd = cold_file();
    make_ends(ends);
    expect_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    struct receipt receipt = {.fd = ends[1]};
    weir_task *receiver = start_receiver(loop, &receipt);
    const int64_t sent =
        weir_sock_sendfile(loop, ends[0], fd, &offset, WEIR_TO_END);
    close(ends[0]);
    if (sent == LARGE) {
        expect_received(receiver, &receipt);
    }
    drop(fd, "file");
    return sent == LARGE ? 0 : (int)sent;
}

static int sendfile_of_stream(weir_loop *loop)
{
    int ends[2];
    weir_writer *writer;
    const int fd = cold_file();
    make_ends(ends);
    struct receipt receipt = {.fd = ends[1]};
    weir_task *receiver = start_receiver(loop, &receipt);
    expect_ok(weir_open_connection_at(loop, weir_endpoint_fd(ends[0]), NULL,
                                      NULL, &writer));
    uint64_t offset = 0;
    const int64_t sent = weir_writer_sendfile(writer, fd, &offset, WEIR_TO_END);
    weir_writer_close(writer);
    expect_eq(weir_writer_wait_closed(writer), 0);
    weir_writer_unref(writer);
    if (sent == LARGE) {
        expect_received(receiver, &receipt);
    }
    drop(fd, "file");
    return sent == LARGE ? 0 : (int)sent;
}

static int run_program(weir_loop *loop)
{
    static const char *const argv[] = {"/bin/true", NULL};
    weir_process *process = NULL;
    int status = 1;
    int err = weir_create_subprocess_exec(loop, argv, NULL, &process);
    if (err < 0) {
        return err;
    }
    expect_eq(weir_process_wait(process, &status), 0);
    expect_eq(status, 0);
    weir_process_free(process);
    return 0;
}

static int answer(void *arg)
{
    return 7;
}

static int run_job(weir_loop *loop)
{
    int ret = 0;
    int err = weir_run_in_executor(loop, answer, NULL, NULL, &ret);
    return err < 0 || ret == 7 ? err : -1;
}

static int return_at_once(weir_thread *thread, void *arg)
{
    return 0;
}

static int run_threads(weir_loop *loop)
{
    return weir_threads_run(SIZED(weir_threads_options, .thread_count = 2),
                            return_at_once, NULL);
}

static int run_one_thread(weir_loop *loop)
{
    return weir_threads_run(SIZED(weir_threads_options, .thread_count = 1),
                            return_at_once, NULL);
}

/* A descriptor that arrives on a connection without a callback for it: threads
 * close it. */
static int drop_passed(weir_loop *loop)
{
    int ends[2];
    int pipes[2];
    char byte = 'x';
    char control[CMSG_SPACE(sizeof(int))] = "";
    struct iovec iov = {&byte, 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    weir_reader *reader;
    weir_writer *writer;
    make_ends(ends);
    expect_eq(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &pipes[1], sizeof(int));
    expect_eq(sendmsg(ends[1], &message, 0), 1);
    close(pipes[1]);
    expect_ok(weir_open_connection_at(loop, weir_endpoint_fd(ends[0]), NULL,
                                      &reader, &writer));
    expect_eq(weir_reader_read(reader, &byte, 1), 1);
    weir_writer_unref(writer);
    while (read(pipes[0], &byte, 1) != 0) {
        expect_eq(errno, EAGAIN);
        expect_eq(weir_sleep(loop, 1000000), 0);
    }
    close(pipes[0]);
    close(ends[1]);
    return 0;
}

struct row {
    const char *name;
    int (*act)(weir_loop *loop);
    int lacking;
};

static const struct row rows[] = {
    {"open a new file", open_new, 0},
    {"open a file", open_known, 0},
    {"open a file beneath a folder", open_beneath, 0},
    {"open a file that is not there", open_none, 0},
    {"open a FIFO to read", open_fifo_to_read, -EAGAIN},
    {"open a FIFO to write", open_fifo_to_write, -EAGAIN},
    {"open a FIFO that has its other end", open_fifo_with_ends, 0},
    {"open a file under a lease", open_leased, -EAGAIN},
    {"open a device that blocks", open_blocking, 0},
    {"read a file", read_file, 0},
    {"write a file", write_file, 0},
    {"write a file that is not to be read", write_only_file, 0},
    {"sync a file", sync_file, 0},
    {"sync a file's data", sync_data, 0},
    {"stat a file", stat_file, 0},
    {"close a file", close_file, 0},
    {"close a file without a name", close_nameless, 0},
    {"close a device", close_device, 0},
    {"close a socket", close_socket, 0},
    {"send a file on a socket", sendfile_of_socket, 0},
    {"send a file on a stream", sendfile_of_stream, 0},
    {"read a pipe", shortage_read_anonymous, 0},
    {"read a FIFO", shortage_read_fifo, 0},
    {"read a FIFO that cannot be opened", shortage_read_shut_fifo, 0},
    {"read a terminal", shortage_read_slave, 0},
    {"read a terminal's master", shortage_read_master, 0},
    {"read a regular file as a pipe", shortage_read_regular, 0},
    {"read a file to append", shortage_read_appended, 0},
    {"write a pipe", shortage_write_anonymous, 0},
    {"write a FIFO", shortage_write_fifo, 0},
    {"write a FIFO that cannot be opened", shortage_write_shut_fifo, 0},
    {"write a terminal", shortage_write_slave, 0},
    {"write a terminal's master", shortage_write_master, 0},
    {"write a regular file as a pipe", shortage_write_regular, 0},
    {"write a file to append", shortage_write_appended, 0},
    {"write more than a file may have", shortage_write_beyond, 0},
    {"write a FIFO without a reader", shortage_write_broken, 0},
    {"run a program", run_program, -EAGAIN},
    {"run a job", run_job, -EAGAIN},
    {"run loops on threads", run_threads, -EAGAIN},
    {"run a loop as the only thread", run_one_thread, 0},
    {"drop a descriptor that was passed", drop_passed, 0},
};

static void walk(weir_loop *loop)
{
    static struct unit_fds before;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        unit_fds_read(&before);
        expect_eq(row->act(loop), is_short ? row->lacking : 0, "%s", row->name);
        for (int turns = 0; unit_fds_left(&before) >= 0; turns++) {
            cr_assert_lt(turns, 60000, "%s leaves one open", row->name);
            expect_eq(weir_sleep(loop, 1000000), 0);
        }
    }
}

/* Runs each row once without threads, once when they are possible again, and
 * once more with the threads that exist by then. */
static void lack_and_recover(weir_loop *loop)
{
    is_short = true;
    shortage_begin();
    walk(loop);
    shortage_end();
    expect_eq(shortage_told, 1, "it is told once");

    is_short = false;
    walk(loop);
    expect_eq(shortage_told, 1);
}

UNIT_OF(no_thread, calls_are_made_or_name_the_lack_of_processes, shortage_run,
        OF_PROCESSES, weir_loop *loop)
{
    lack_and_recover(loop);
}

UNIT_OF(no_thread, calls_are_made_or_name_the_limit_of_a_group, shortage_run,
        OF_A_GROUP, weir_loop *loop)
{
    lack_and_recover(loop);
}

struct caller {
    weir_task *task;
    int err;
    int next;
    bool closes;
    bool is_cancelled;
};

static int close_end(weir_loop *loop)
{
    int ends[2];
    char byte;
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    const int err = weir_file_close(loop, ends[0]);
    expect_eq(recv(ends[1], &byte, 1, 0), 0, "it is closed");
    close(ends[1]);
    return err;
}

static int call_once(weir_loop *loop, void *arg)
{
    struct caller *caller = arg;
    caller->err = caller->closes
                      ? close_end(loop)
                      : opened(weir_file_open(loop, "/dev/null", O_RDONLY, 0));
    caller->next = weir_sleep(loop, 0);
    return 0;
}

static int cancel_other(weir_loop *loop, void *arg)
{
    struct caller *caller = arg;
    caller->is_cancelled = weir_task_cancel(caller->task);
    return 0;
}

static void spawn(weir_loop *loop, weir_task_fn *fn, void *arg, weir_task **ret)
{
    expect_eq(weir_task_spawn(loop, fn, arg, NULL, ret), 0);
}

static void cancel_call(weir_loop *loop, int turns, bool closes)
{
    struct caller caller = {.closes = closes};
    weir_task *canceller = NULL;
    int ret;
    spawn(loop, call_once, &caller, &caller.task);
    for (int i = 0; i < turns; i++) {
        expect_eq(weir_sleep(loop, 0), 0);
    }
    spawn(loop, cancel_other, &caller, &canceller);
    expect_eq(weir_task_join(canceller, &ret), 0);
    expect_eq(weir_task_join(caller.task, &ret), 0);
    expect_eq((caller.err == -ECANCELED) + (caller.next == -ECANCELED),
              caller.is_cancelled, "it is told once");
    cr_assert(caller.err == 0 || (caller.err == -ECANCELED && !closes));
    cr_assert(caller.is_cancelled || turns > 0);
}

UNIT_OF(no_thread, a_cancellation_is_told_once, shortage_run, OF_PROCESSES,
        weir_loop *loop)
{
    shortage_begin();
    for (int turns = 0; turns < 4; turns++) {
        for (int i = 0; i < 4; i++) {
            cancel_call(loop, turns, false);
            cancel_call(loop, turns, true);
        }
    }
    shortage_end();
}

/* The main task returns while the call waits for a thread. */
UNIT_OF(no_thread, a_loop_ends_while_calls_want_one, shortage_run, OF_PROCESSES,
        weir_loop *loop)
{
    static struct caller callers[2] = {{.closes = false}, {.closes = true}};
    shortage_begin();
    for (int i = 0; i < 2; i++) {
        spawn(loop, call_once, &callers[i], NULL);
    }
    expect_eq(weir_sleep(loop, 0), 0);
    shortage_end();
}
