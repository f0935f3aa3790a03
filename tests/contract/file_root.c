/*
 * Files opened after the thread has changed its root.
 *
 * The threads that open files follow a chroot(), but not a chroot() after
 * unshare(), which gives the loop's thread its own root.
 */
#include "tests/task.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <weir/file.h>

static char folder[64];
static char outer[96]; /* the name of that file in the old root */
static int old_root = -1;

static int opened(weir_loop *loop, const char *path)
{
    const int fd = weir_file_open(loop, path, O_RDONLY, 0);
    return fd < 0 ? fd : close(fd);
}

static bool change_root(bool apart)
{
    return (!apart || unshare(CLONE_FS) == 0) && chroot(folder) == 0 &&
           chdir("/") == 0;
}

static void go_back(void)
{
    expect_eq(fchdir(old_root), 0);
    expect_eq(chroot("."), 0);
    expect_eq(close(old_root), 0);
    expect_eq(unlink(outer), 0);
    expect_eq(rmdir(folder), 0);
}

static void make_folder(void)
{
    snprintf(folder, sizeof(folder), "/tmp/weir-root-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(outer, sizeof(outer), "%s/mark", folder);
    const int fd = open(outer, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    expect_geq(fd, 0);
    expect_eq(close(fd), 0);
    old_root = open("/", O_PATH | O_CLOEXEC);
    expect_geq(old_root, 0);
}

static void change_root_or_skip(bool apart)
{
    if (!change_root(apart)) {
        go_back();
        cr_skip_test("this process may not change its root; runs as root");
    }
}

UNIT_IN(file_root, a_thread_keeps_its_root_after_an_unshare, task_run,
        weir_loop *loop)
{
    make_folder();
    expect_eq(opened(loop, outer), 0, "a thread is there now");
    change_root_or_skip(true);

    const int in_new = opened(loop, "/mark");
    const int in_old = opened(loop, outer);

    go_back();
    expect_eq(in_new, -ENOENT);
    expect_eq(in_old, 0, "the file is opened in the old root");
}

UNIT_IN(file_root, a_chroot_alone_is_followed, task_run, weir_loop *loop)
{
    make_folder();
    expect_eq(opened(loop, outer), 0);
    change_root_or_skip(false);

    const int in_new = opened(loop, "/mark");
    const int in_old = opened(loop, outer);

    go_back();
    expect_eq(in_new, 0);
    expect_eq(in_old, -ENOENT);
}

UNIT_IN(file_root, a_root_that_was_changed_before_the_first_call_holds,
        task_run, weir_loop *loop)
{
    make_folder();
    change_root_or_skip(true);

    const int in_new = opened(loop, "/mark");
    const int in_old = opened(loop, outer);

    go_back();
    expect_eq(in_new, 0);
    expect_eq(in_old, -ENOENT);
}
