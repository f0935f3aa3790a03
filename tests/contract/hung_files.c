/*
 * Files whose file system may not answer: worker threads of the kernel ask it,
 * and the loop's thread never does.
 */
#include "tests/contract/fuse_rig.h"
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <weir.h>

/* Runs @fn as the main task of a loop, beside the file system, with its file,
 * which the task closes. */
static void with_file(weir_task_fn *fn)
{
    weir_loop *loop;
    int ret = 1;
    fuse_rig_mount();
    int fd = open(fuse_rig_file, O_RDWR | O_CLOEXEC);
    expect_geq(fd, 0);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(weir_loop_run_task(loop, fn, &fd, &ret), 0);
    expect_eq(ret, 0);
    expect_eq(weir_loop_free(loop), 0);
    fuse_rig_unmount();
}

/* A test of what a task does with the file. */
#define FILE_TASK(suite, name)                                                 \
    static void suite##__##name##_body(weir_loop *loop, int fd);               \
    static int suite##__##name##_task(weir_loop *loop, void *arg)              \
    {                                                                          \
        fuse_rig_watch();                                                      \
        suite##__##name##_body(loop, *(int *)arg);                             \
        expect_eq(fuse_rig_get_asked(), 0, "the loop's thread waits");         \
        return 0;                                                              \
    }                                                                          \
    UNIT(suite, name)                                                          \
    {                                                                          \
        with_file(suite##__##name##_task);                                     \
    }                                                                          \
    static void suite##__##name##_body(weir_loop *loop, int fd)

FILE_TASK(hung_files, a_file_is_opened_by_a_worker)
{
    const int other = weir_file_open(loop, fuse_rig_file, O_RDONLY, 0);
    expect_geq(other, 0);
    expect_geq(fuse_rig_count(FUSE_OPEN), 1);
    expect_eq(weir_file_close(loop, other), 0);
    expect_eq(weir_file_close(loop, fd), 0);
}

FILE_TASK(hung_files, a_file_is_closed_by_a_worker)
{
    expect_eq(weir_file_close(loop, fd), 0);
    expect_geq(fuse_rig_count(FUSE_FLUSH), 1);
}

FILE_TASK(hung_files, a_file_is_asked_for_its_status_by_a_worker)
{
    struct weir_file_status status;
    expect_eq(weir_file_stat(loop, fd, &status), 0);
    expect_geq(fuse_rig_count(FUSE_GETATTR), 1);
    expect_eq(weir_file_close(loop, fd), 0);
}

FILE_TASK(hung_files, a_file_is_synced_by_a_worker)
{
    expect_eq(weir_file_sync(loop, fd, false), 0);
    expect_geq(fuse_rig_count(FUSE_FSYNC), 1);
    expect_eq(weir_file_close(loop, fd), 0);
}

/* ---- files that are watched ---- */

static void never(void *arg)
{
    cr_assert_fail("called with %p", arg);
}

FILE_TASK(hung_files, a_file_that_cannot_be_watched_is_not_asked)
{
    expect_eq(weir_loop_add_reader(loop, fd, never, NULL), -EPERM);
    expect_eq(weir_loop_add_writer(loop, fd, never, NULL), -EPERM);
    expect_eq(weir_file_close(loop, fd), 0);
}
