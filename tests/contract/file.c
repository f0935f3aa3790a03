/*
 * Files in tasks: written data is read back, errors are the system's, and a
 * call returns only after the kernel has released the caller's memory.
 *
 * A pipe without a writer represents a device that never responds.
 */
#define UNIT_RUN   with_loop
#define UNIT_TAKES weir_loop *loop
#include "tests/contract/slow_close.h"
#include "tests/ends.h"
#include "tests/task.h"
#include "tests/unit/random.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <weir/error.h>
#include <weir/file.h>
#include <weir/stream.h>

#define MS UINT64_C(1000000)

enum { SIZE = 300000 };

static char folder[64];
static char path[96];

static void fill(uint8_t *buf, size_t len, unsigned int salt)
{
    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)(i * 7 + i / 251 + salt);
    }
}

static void with_loop(task_body_fn *body)
{
    weir_loop *loop;
    int ret = 1;
    snprintf(folder, sizeof(folder), "./weir-file-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/file", folder);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    ret = weir_loop_run_task(loop, task_call, &body, NULL);
    expect_eq(ret, 0);
    expect_eq(weir_loop_free(loop), 0);
    unlink(path);
    expect_eq(rmdir(folder), 0);
}

UNIT(file, bytes_are_read_back_from_where_they_were_written)
{
    static uint8_t data[SIZE];
    static uint8_t got[SIZE];
    fill(data, SIZE, 0);
    const int fd = weir_file_open(loop, path, O_RDWR | O_CREAT | O_EXCL, 0640);
    expect_geq(fd, 0);
    expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);

    expect_eq(weir_file_write(loop, fd, data + 1000, SIZE - 1000, 1000),
              SIZE - 1000);
    expect_eq(weir_file_write(loop, fd, data, 1000, 0), 1000);
    expect_eq(weir_file_write(loop, fd, data, 0, 0), 0);
    expect_eq(weir_file_datasync(loop, fd), 0);
    expect_eq(weir_file_sync(loop, fd), 0);
    expect_eq(weir_file_read(loop, fd, got, SIZE, 0), SIZE);
    expect_eq(memcmp(data, got, SIZE), 0);
    expect_eq(weir_file_read(loop, fd, got, SIZE, SIZE - 10), 10);
    expect_eq(memcmp(data + SIZE - 10, got, 10), 0);
    expect_eq(weir_file_read(loop, fd, got, SIZE, SIZE), 0);
    expect_eq(weir_file_read(loop, fd, got, 0, 0), 0);
    expect_eq(lseek(fd, 0, SEEK_CUR), 0);
    expect_eq(weir_file_close(loop, fd), 0);
    expect_eq(fcntl(fd, F_GETFD), -1);
}

enum { LIMIT = 4096 };

/* Runs @body while files are limited to LIMIT bytes; @action handles the signal
 * that a write raises for it. */
static void with_limit(weir_loop *loop, void (*action)(int),
                       void (*body)(weir_loop *loop))
{
    struct rlimit before;
    struct rlimit limit;
    expect_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = LIMIT;
    void (*old)(int) = signal(SIGXFSZ, action);
    expect_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);

    body(loop);

    expect_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, old);
}

static void write_beyond(weir_loop *loop, int flags)
{
    static _Alignas(LIMIT) uint8_t data[2 * LIMIT];
    const int fd =
        weir_file_open(loop, path, O_RDWR | O_CREAT | O_TRUNC | flags, 0640);
    if (fd == -EINVAL) {
        return; /* a file system without O_DIRECT */
    }
    expect_geq(fd, 0);

    expect_eq(weir_file_write(loop, fd, data, sizeof(data), 0), LIMIT);
    expect_eq(weir_file_write(loop, fd, data, LIMIT, LIMIT), -EFBIG);
    expect_eq(weir_file_write(loop, fd, data, LIMIT, 0), LIMIT);
    expect_eq(weir_file_close(loop, fd), 0);
}

static void write_file_beyond(weir_loop *loop)
{
    write_beyond(loop, 0);
    write_beyond(loop, O_DIRECT);
}

UNIT(file,
     a_write_beyond_the_limit_of_sizes_is_an_error_if_its_signal_is_ignored)
{
    with_limit(loop, SIG_IGN, write_file_beyond);
}

static void write_pipe_beyond(weir_loop *loop)
{
    static uint8_t data[2 * LIMIT];
    weir_writer *writer;
    const int fd = weir_file_open(loop, path, O_WRONLY | O_CREAT, 0640);
    expect_geq(fd, 0);

    expect_ok(weir_open_connection_at(loop, weir_endpoint_write_pipe(fd), NULL,
                                      NULL, &writer));
    expect_eq(weir_writer_write(writer, data, sizeof(data)), 0);
    weir_writer_close(writer);
    expect_eq(weir_writer_wait_closed(writer), -EFBIG);
    weir_writer_unref(writer);
}

UNIT(file, a_pipe_to_a_file_ends_at_the_limit_of_sizes_and_raises_no_signal)
{
    with_limit(loop, SIG_DFL, write_pipe_beyond);
}

UNIT(file, its_status_is_what_the_kernel_says)
{
    struct weir_file_status status = {.size = sizeof(status)};
    const int fd = weir_file_open(loop, path, O_RDWR | O_CREAT | O_EXCL, 0640);
    expect_eq(weir_file_write(loop, fd, "12345", 5, 0), 5);
    status.size = 0;
    expect_eq(weir_file_stat(loop, fd, &status), WEIR_EOPTIONSIZE);
    status.size = sizeof(status);
    expect_eq(weir_file_stat(loop, fd, &status), 0);
    expect_eq(status.len_bytes, 5);
    cr_assert(S_ISREG(status.mode));
    struct stat stat;
    expect_eq(fstat(fd, &stat), 0);
    expect_eq(status.mode, stat.st_mode);
    expect_eq(status.modified_ns,
              stat.st_mtim.tv_sec * INT64_C(1000000000) + stat.st_mtim.tv_nsec);
    expect_eq(weir_file_close(loop, fd), 0);
}

UNIT(file, bytes_that_are_not_in_the_cache_are_read)
{
    static uint8_t data[SIZE];
    static uint8_t got[SIZE];
    fill(data, SIZE, 3);
    const int fd = weir_file_open(loop, path, O_RDWR | O_CREAT, 0600);
    expect_eq(weir_file_write(loop, fd, data, SIZE, 0), SIZE);
    expect_eq(weir_file_sync(loop, fd), 0);
    expect_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);

    size_t have = 0;
    while (have < SIZE) {
        const ssize_t len =
            weir_file_read(loop, fd, got + have, SIZE - have, have);
        expect_gt(len, 0);
        have += (size_t)len;
    }

    expect_eq(memcmp(data, got, SIZE), 0);
    expect_eq(weir_file_close(loop, fd), 0);
}

UNIT(file, errors_are_those_of_the_system)
{
    struct weir_file_status status = {.size = sizeof(status)};
    char byte;
    expect_eq(weir_file_open(loop, path, O_RDONLY, 0), -ENOENT);
    expect_eq(weir_file_open(loop, folder, O_WRONLY, 0), -EISDIR);
    expect_eq(weir_file_open(loop, NULL, O_RDONLY, 0), -EINVAL);
    const int fd = weir_file_open(loop, path, O_WRONLY | O_CREAT, 0600);
    expect_geq(fd, 0);
    expect_eq(weir_file_read(loop, fd, &byte, 1, 0), -EBADF);
    expect_eq(weir_file_write(loop, fd, "x", 1, UINT64_C(1) << 63), -EINVAL);
    expect_eq(weir_file_read(loop, fd, &byte, 1, UINT64_MAX), -EINVAL);
    expect_eq(weir_file_close(loop, fd), 0);
    expect_eq(weir_file_close(loop, fd), -EBADF);
    expect_eq(weir_file_sync(loop, fd), -EBADF);
    expect_eq(weir_file_stat(loop, fd, &status), -EBADF);
    expect_eq(weir_file_read(loop, -1, &byte, 1, 0), -EBADF);
    expect_eq(weir_file_write(loop, -1, &byte, 1, 0), -EBADF);
    expect_eq(weir_file_datasync(loop, -1), -EBADF);
    expect_eq(weir_file_close(loop, -1), -EBADF);
    expect_eq(weir_file_stat(loop, -1, &status), -EBADF);
}

static int pipe_fds[2];
static ssize_t answer;

static int read_pipe(weir_loop *loop, void *arg)
{
    static char byte;
    answer = weir_file_read(loop, pipe_fds[0], &byte, 1, 0);
    return 0;
}

static void open_pipe(void)
{
    expect_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
    answer = 1;
}

static void close_pipe(void)
{
    close_ends(pipe_fds);
}

UNIT(file, a_call_that_waits_holds_up_no_other_task_and_is_cancelled)
{
    weir_task *task;
    open_pipe();
    answer = 5;
    expect_eq(weir_task_spawn(loop, read_pipe, NULL, NULL, &task), 0);
    for (int i = 0; i < 5; i++) {
        expect_eq(weir_sleep(loop, 2 * MS), 0);
    }
    expect_eq(answer, 5, "it waits");

    cr_assert(weir_task_cancel(task));
    expect_eq(weir_task_join(task, NULL), 0);

    expect_eq(answer, -ECANCELED);
    close_pipe();
}

UNIT(file, a_time_out_ends_a_call)
{
    struct weir_timeout limit;
    char byte;
    open_pipe();
    expect_eq(weir_timeout_begin(loop, &limit, 20 * MS), 0);
    const int64_t ret = weir_timeout_end(
        &limit, weir_file_read(loop, pipe_fds[0], &byte, 1, 0));
    expect_eq(ret, -ETIMEDOUT);
    close_pipe();
}

static void spawn_and_leave(weir_loop *loop)
{
    open_pipe();
    expect_eq(weir_task_spawn(loop, read_pipe, NULL, NULL, NULL), 0);
    expect_eq(weir_sleep(loop, 5 * MS), 0);
}

UNIT_IN(file, the_loops_end_ends_a_call, unit_alone, void)
{
    with_loop(spawn_and_leave);
    expect_eq(answer, -ECANCELED);
    close_pipe();
}

struct reading {
    int fd;
    uint8_t buf[65536];
    ssize_t ret;
    bool is_done;
};

static int read_some(weir_loop *loop, void *arg)
{
    struct reading *reading = arg;
    reading->ret = weir_file_read(loop, reading->fd, reading->buf,
                                  sizeof(reading->buf), 0);
    reading->is_done = true;
    memset(reading->buf, 0xee, sizeof(reading->buf));
    return 0;
}

/* The kernel writes nothing to the memory after the call has returned. */
UNIT(file, the_memory_is_the_callers_again_when_the_call_returns)
{
    static struct reading reading;
    static uint8_t data[65536];
    struct unit_random dice;
    unit_random_seed(&dice);
    fill(data, sizeof(data), 9);
    const int fd = weir_file_open(loop, path, O_RDWR | O_CREAT, 0600);
    expect_eq(weir_file_write(loop, fd, data, sizeof(data), 0),
              (ssize_t)sizeof(data));
    expect_eq(weir_file_sync(loop, fd), 0);

    for (int round = 0; round < 300; round++) {
        weir_task *task;
        if (unit_random_below(&dice, 2) == 0) {
            expect_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
        }
        reading.fd = fd;
        reading.is_done = false;
        expect_eq(weir_task_spawn(loop, read_some, &reading, NULL, &task), 0);
        const uint64_t yields = unit_random_below(&dice, 4);
        for (uint64_t i = 0; i < yields; i++) {
            expect_eq(weir_yield(loop), 0);
        }
        expect_eq(weir_task_cancel(task), !reading.is_done);
        expect_eq(weir_task_join(task, NULL), 0);
        cr_assert(reading.ret == -ECANCELED || reading.ret > 0, "%zd",
                  reading.ret);
        expect_eq(weir_yield(loop), 0);
        for (size_t i = 0; i < sizeof(reading.buf); i++) {
            expect_eq(reading.buf[i], 0xee);
        }
    }
    expect_eq(weir_file_close(loop, fd), 0);
}

static int closed;

static int close_it(weir_loop *loop, void *arg)
{
    closed = weir_file_close(loop, *(int *)arg);
    return weir_yield(loop); /* reports the interruption */
}

UNIT(file, a_close_is_done_in_spite_of_an_interruption)
{
    weir_task *task;
    int result;
    int fd = weir_file_open(loop, path, O_RDWR | O_CREAT, 0600);
    closed = 1;
    expect_eq(weir_task_spawn(loop, close_it, &fd, NULL, &task), 0);

    cr_assert(weir_task_cancel(task));
    expect_eq(weir_task_join(task, &result), 0);

    expect_eq(closed, 0);
    expect_eq(result, -ECANCELED);
    expect_eq(fcntl(fd, F_GETFD), -1);
}

/* Repeated, because a ring closed earlier to detect features wakes the thread
 * from such a wait once. */
UNIT(file, a_close_that_waits_for_a_peer_holds_up_no_other_task)
{
    for (int i = 0; i < 3; i++) {
        int far;
        const int near = slow_close_open(&far);
        expect_eq(weir_file_close(loop, near), 0);
        expect_eq(fcntl(near, F_GETFD), -1);
        while (!slow_close_read(far)) {
            expect_eq(weir_yield(loop), 0);
        }
    }
}

UNIT(file, a_file_without_a_name_is_closed)
{
    const int fd = weir_file_open(loop, path, O_RDWR | O_CREAT, 0600);
    expect_eq(unlink(path), 0);
    expect_eq(weir_file_close(loop, fd), 0);
    expect_eq(fcntl(fd, F_GETFD), -1);
}

static int open_it(weir_loop *loop, void *arg)
{
    answer = weir_file_open(loop, path, *(int *)arg, 0);
    return 0;
}

UNIT(file, an_open_of_a_fifo_waits_for_its_other_end)
{
    weir_task *task;
    int flags = O_RDONLY;
    expect_eq(mkfifo(path, 0600), 0);
    expect_eq(weir_task_spawn(loop, open_it, &flags, NULL, &task), 0);

    const int writer = weir_file_open(loop, path, O_WRONLY, 0);

    expect_geq(writer, 0);
    expect_eq(weir_task_join(task, NULL), 0);
    expect_geq(answer, 0);
    expect_eq(weir_file_close(loop, (int)answer), 0);
    expect_eq(weir_file_close(loop, writer), 0);
}

UNIT(file, an_open_that_waits_is_cancelled)
{
    weir_task *task;
    int flags = O_WRONLY;
    expect_eq(mkfifo(path, 0600), 0);
    for (int i = 0; i < 20; i++) {
        expect_eq(weir_task_spawn(loop, open_it, &flags, NULL, &task), 0);
        for (int yields = 0; yields < i; yields++) {
            expect_eq(weir_yield(loop), 0);
        }
        cr_assert(weir_task_cancel(task));
        expect_eq(weir_task_join(task, NULL), 0);
        expect_eq(answer, -ECANCELED);
    }
}

/* Opens the tests' folder, at which names begin: it has "file", "sub" and two
 * links. */
static int open_folder(weir_loop *loop)
{
    const int dir = weir_file_open(loop, folder, O_PATH | O_DIRECTORY, 0);
    expect_geq(dir, 0);
    const int fd = weir_file_openat(loop, dir, "file", O_WRONLY | O_CREAT, 0640,
                                    RESOLVE_BENEATH);
    expect_geq(fd, 0);
    expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    expect_eq(weir_file_write(loop, fd, "own", 3, 0), 3);
    expect_eq(weir_file_close(loop, fd), 0);
    expect_eq(mkdirat(dir, "sub", 0700), 0);
    expect_eq(symlinkat("/file", dir, "absolute"), 0);
    expect_eq(symlinkat("sub/../file", dir, "relative"), 0);
    return dir;
}

static void close_folder(weir_loop *loop, int dir)
{
    expect_eq(unlinkat(dir, "absolute", 0), 0);
    expect_eq(unlinkat(dir, "relative", 0), 0);
    expect_eq(unlinkat(dir, "sub", AT_REMOVEDIR), 0);
    expect_eq(weir_file_close(loop, dir), 0);
}

/* Opens @name below @dir for reading. Returns 0 if it is the tests' file. */
static int read_own(weir_loop *loop, int dir, const char *name,
                    uint64_t resolve)
{
    char got[4] = "";
    const int fd = weir_file_openat(loop, dir, name, O_RDONLY, 0, resolve);
    if (fd >= 0) {
        expect_eq(weir_file_read(loop, fd, got, 3, 0), 3);
        expect_eq(strcmp(got, "own"), 0);
        expect_eq(weir_file_close(loop, fd), 0);
    }
    return fd < 0 ? fd : 0;
}

UNIT(file_openat, a_relative_name_begins_at_the_folder)
{
    const int dir = open_folder(loop);
    struct stat stat;
    expect_eq(read_own(loop, dir, "file", 0), 0);
    expect_eq(read_own(loop, dir, "relative", 0), 0);
    expect_eq(read_own(loop, AT_FDCWD, path, 0), 0);
    expect_eq(read_own(loop, AT_FDCWD, path, RESOLVE_BENEATH), 0);
    expect_eq(read_own(loop, dir, "absolute", 0), -ENOENT);
    expect_eq(fstatat(dir, "file", &stat, 0), 0);
    expect_eq(stat.st_mode & 0777, 0640);
    close_folder(loop, dir);
}

UNIT(file_openat, a_name_that_leaves_the_folder_is_refused)
{
    const int dir = open_folder(loop);
    static const char *const leaving[] = {
        "/", "/etc/passwd", "..", "../file", "sub/../../file", "absolute"};
    for (size_t i = 0; i < sizeof(leaving) / sizeof(leaving[0]); i++) {
        expect_eq(read_own(loop, dir, leaving[i], RESOLVE_BENEATH), -EXDEV,
                  "%s", leaving[i]);
    }
    expect_eq(read_own(loop, dir, "sub/../file", RESOLVE_BENEATH), 0);
    expect_eq(read_own(loop, dir, "relative", RESOLVE_BENEATH), 0);
    close_folder(loop, dir);
}

UNIT(file_openat, the_folder_may_stand_for_the_root)
{
    const int dir = open_folder(loop);
    expect_eq(read_own(loop, dir, "/file", RESOLVE_IN_ROOT), 0);
    expect_eq(read_own(loop, dir, "../../file", RESOLVE_IN_ROOT), 0);
    expect_eq(read_own(loop, dir, "absolute", RESOLVE_IN_ROOT), 0);
    expect_eq(read_own(loop, dir, "/etc/passwd", RESOLVE_IN_ROOT), -ENOENT);
    close_folder(loop, dir);
}

UNIT(file_openat, symbolic_links_may_be_refused)
{
    const int dir = open_folder(loop);
    expect_eq(read_own(loop, dir, "relative", RESOLVE_NO_SYMLINKS), -ELOOP);
    expect_eq(read_own(loop, dir, "sub/../file", RESOLVE_NO_SYMLINKS), 0);
    close_folder(loop, dir);
}

UNIT(file_openat, what_the_kernel_does_not_know_is_refused)
{
    const int dir = open_folder(loop);
    const uint64_t unknown = UINT64_C(1) << 40;
    expect_eq(read_own(loop, dir, "file", unknown), -EINVAL);
    expect_eq(weir_file_openat(loop, dir, "file", 1 << 30, 0, RESOLVE_BENEATH),
              -EINVAL);
    expect_eq(weir_file_openat(loop, dir, NULL, O_RDONLY, 0, RESOLVE_BENEATH),
              -EINVAL);
    expect_eq(read_own(loop, -1, "file", RESOLVE_BENEATH), -EBADF);
    expect_eq(read_own(loop, 12345, "file", 0), -EBADF);
    const int fd = weir_file_open(loop, path, O_RDONLY, 0600);
    expect_eq(read_own(loop, fd, "file", RESOLVE_BENEATH), -ENOTDIR);
    expect_eq(weir_file_close(loop, fd), 0);
    close_folder(loop, dir);
}

UNIT(file_openat, a_mode_is_used_where_a_file_is_made_alone)
{
    const int fd = weir_file_open(loop, path, O_RDWR | O_CREAT, 0600);
    expect_eq(weir_file_close(loop, fd), 0);
    const int again = weir_file_openat(loop, AT_FDCWD, path, O_RDONLY, 0777,
                                       RESOLVE_NO_MAGICLINKS);
    expect_geq(again, 0);
    expect_eq(weir_file_close(loop, again), 0);
}

static int open_it_below(weir_loop *loop, void *arg)
{
    answer = weir_file_openat(loop, *(int *)arg, "fifo", O_WRONLY, 0,
                              RESOLVE_BENEATH);
    return 0;
}

UNIT(file_openat, one_that_waits_is_cancelled)
{
    weir_task *task;
    int dir = open_folder(loop);
    expect_eq(mkfifoat(dir, "fifo", 0600), 0);
    for (int i = 0; i < 20; i++) {
        expect_eq(weir_task_spawn(loop, open_it_below, &dir, NULL, &task), 0);
        for (int yields = 0; yields < i; yields++) {
            expect_eq(weir_yield(loop), 0);
        }
        cr_assert(weir_task_cancel(task));
        expect_eq(weir_task_join(task, NULL), 0);
        expect_eq(answer, -ECANCELED);
    }
    expect_eq(unlinkat(dir, "fifo", 0), 0);
    close_folder(loop, dir);
}

UNIT_IN(file, outside_a_task_a_call_is_an_error, unit_alone, void)
{
    weir_loop *loop;
    char byte;
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(weir_file_open(loop, "/dev/null", O_RDONLY, 0), WEIR_ENOTTASK);
    expect_eq(weir_file_openat(loop, AT_FDCWD, "/dev/null", O_RDONLY, 0, 0),
              WEIR_ENOTTASK);
    expect_eq(weir_file_read(loop, 0, &byte, 1, 0), WEIR_ENOTTASK);
    expect_eq(weir_file_close(loop, 12345), WEIR_ENOTTASK);
    expect_eq(weir_loop_free(loop), 0);
}
