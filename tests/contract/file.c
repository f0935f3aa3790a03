/*
 * Files from tasks: what is written is read back, errors are the system's, and
 * a call returns only when the kernel has let go of the caller's memory.
 *
 * A pipe that nobody writes to stands for a device that never answers.
 */
#include "tests/contract/slow_close.h"
#include "tests/unit.h"
#include "tests/unit/random.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <weir.h>

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

/* Runs @fn as the main task of a loop, with a folder of its own. */
static void with_loop(weir_task_fn *fn)
{
    weir_loop *loop;
    int ret = 1;
    snprintf(folder, sizeof(folder), "./weir-file-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/file", folder);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    ret = weir_loop_run_task(loop, fn, NULL, NULL);
    expect_eq(ret, 0);
    expect_eq(weir_loop_free(loop), 0);
    unlink(path);
    expect_eq(rmdir(folder), 0);
}

#define FILE_TASK(suite, name)                                                 \
    static int suite##__##name##_task(weir_loop *loop, void *arg);             \
    UNIT(suite, name)                                                          \
    {                                                                          \
        with_loop(suite##__##name##_task);                                     \
    }                                                                          \
    static int suite##__##name##_task(weir_loop *loop,                         \
                                      void *arg __attribute__((unused)))

FILE_TASK(file, bytes_are_read_back_from_where_they_were_written)
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
    return 0;
}

FILE_TASK(file, its_status_is_what_the_kernel_says)
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
    return 0;
}

FILE_TASK(file, bytes_that_are_not_in_the_cache_are_read)
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
    return 0;
}

FILE_TASK(file, errors_are_those_of_the_system)
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
    return 0;
}

/* ---- interruptions ---- */

static int pipe_fds[2];
static ssize_t answer;

static int read_pipe(weir_loop *loop, void *arg)
{
    static char byte;
    (void)arg;
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
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

FILE_TASK(file, a_call_that_waits_holds_up_no_other_task_and_is_cancelled)
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
    return 0;
}

FILE_TASK(file, a_time_out_ends_a_call)
{
    struct weir_timeout limit;
    char byte;
    open_pipe();
    expect_eq(weir_timeout_begin(loop, &limit, 20 * MS), 0);
    const int64_t ret = weir_timeout_end(
        &limit, weir_file_read(loop, pipe_fds[0], &byte, 1, 0));
    expect_eq(ret, -ETIMEDOUT);
    close_pipe();
    return 0;
}

static int spawn_and_leave(weir_loop *loop, void *arg)
{
    (void)arg;
    open_pipe();
    expect_eq(weir_task_spawn(loop, read_pipe, NULL, NULL, NULL), 0);
    return weir_sleep(loop, 5 * MS);
}

UNIT(file, the_loops_end_ends_a_call)
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
FILE_TASK(file, the_memory_is_the_callers_again_when_the_call_returns)
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
    return 0;
}

static int closed;

static int close_it(weir_loop *loop, void *arg)
{
    closed = weir_file_close(loop, *(int *)arg);
    return weir_yield(loop); /* tells of the interruption */
}

FILE_TASK(file, a_close_is_done_in_spite_of_an_interruption)
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
    return 0;
}

/* ---- calls that wait for others ---- */

/* Several times: a ring that was closed before, to look for features, wakes the
 * thread from such a wait once. */
FILE_TASK(file, a_close_that_waits_for_a_peer_holds_up_no_other_task)
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
    return 0;
}

FILE_TASK(file, a_file_without_a_name_is_closed)
{
    const int fd = weir_file_open(loop, path, O_RDWR | O_CREAT, 0600);
    expect_eq(unlink(path), 0);
    expect_eq(weir_file_close(loop, fd), 0);
    expect_eq(fcntl(fd, F_GETFD), -1);
    return 0;
}

static int open_it(weir_loop *loop, void *arg)
{
    answer = weir_file_open(loop, path, *(int *)arg, 0);
    return 0;
}

FILE_TASK(file, an_open_of_a_fifo_waits_for_its_other_end)
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
    return 0;
}

FILE_TASK(file, an_open_that_waits_is_cancelled)
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
    return 0;
}

UNIT(file, outside_a_task_a_call_is_an_error)
{
    weir_loop *loop;
    char byte;
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(weir_file_open(loop, "/dev/null", O_RDONLY, 0), WEIR_ENOTTASK);
    expect_eq(weir_file_read(loop, 0, &byte, 1, 0), WEIR_ENOTTASK);
    expect_eq(weir_file_close(loop, 12345), WEIR_ENOTTASK);
    expect_eq(weir_loop_free(loop), 0);
}
