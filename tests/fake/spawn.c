/*
 * The fake machine's children (uring/spawn.h).
 *
 * A child is a number and a pidfd. It does nothing, and ends when the test ends
 * it or SIGKILL reaches it. Starting a child always succeeds.
 */
#include "uring/spawn.h"

#include "tests/fake/world.h"

#include <errno.h>
#include <signal.h>

/* Keeps process ids apart from descriptors. */
#define PID_OFFSET 100000

static struct fake_child *child_of_pid(int pid)
{
    return &fake_file_get(pid - PID_OFFSET, "a child")->child;
}

static struct fake_child *child_of_fd(int pidfd)
{
    struct fake_file *file = fake_file_get(pidfd, "pidfd");

    wr_assert(file->kind == FAKE_PIDFD);
    return &file->child;
}

int wr_spawn(const struct wr_spawn *spawn, pid_t *ret_pid, int *ret_pidfd,
             const char **ret_step)
{
    *ret_step = "clone";
    if (fake_chance(fake.options.permille[FAKE_NO_FD])) {
        return -EMFILE;
    }
    struct fake_file *file = fake_file_open(FAKE_PIDFD, 0);
    if (!file) {
        return -EMFILE;
    }
    file->child = (struct fake_child){.pid = file->fd + PID_OFFSET};
    fake_trace("spawn %s = %d", spawn->argv[0], file->child.pid);
    *ret_pid = file->child.pid;
    *ret_pidfd = file->fd;
    return 0;
}

int wr_spawn_reap(int pidfd, int *ret)
{
    const struct fake_child *child = child_of_fd(pidfd);

    if (!child->has_ended) {
        child_of_fd(pidfd)->is_woken = false;
        return 0;
    }
    if (child->is_stolen) {
        return -ECHILD;
    }
    fake_trace("reap %d = %d", child->pid, child->returncode);
    *ret = child->returncode;
    return 1;
}

int wr_spawn_query(int pidfd, int *ret)
{
    const struct fake_child *child = child_of_fd(pidfd);

    if (!child->has_ended || !child->is_stolen) {
        return -ENODATA;
    }
    *ret = child->returncode;
    return 0;
}

int wr_spawn_signal(int pidfd, int signum)
{
    struct fake_child *child = child_of_fd(pidfd);

    fake_trace("signal %d to %d = %d", signum, child->pid, child->signal_err);
    if (child->signal_err) {
        return child->signal_err;
    }
    child->signum = signum;
    if (signum == SIGKILL && !child->has_ended && !child->hangs) {
        child->has_ended = true;
        child->returncode = -SIGKILL;
    }
    return 0;
}

/* There are no processes except the children. */
int wr_spawn_signal_group(int pidfd, int signum)
{
    return wr_spawn_signal(pidfd, signum);
}

void wr_spawn_await(int pidfd, int timeout_ms)
{
    if (!child_of_fd(pidfd)->has_ended) {
        fake_spend((uint64_t)timeout_ms * 1000000u);
    }
}

void fake_child_end(int pid, int returncode)
{
    struct fake_child *child = child_of_pid(pid);

    child->has_ended = true;
    child->returncode = returncode;
}

void fake_child_steal(int pid)
{
    child_of_pid(pid)->is_stolen = true;
}

void fake_child_refuse(int pid, int err)
{
    child_of_pid(pid)->signal_err = err;
}

void fake_child_wake(int pid)
{
    child_of_pid(pid)->is_woken = true;
}

void fake_child_fail_poll(int pid, int err)
{
    child_of_pid(pid)->poll_err = err;
}

void fake_child_hang(int pid)
{
    child_of_pid(pid)->hangs = true;
}

int fake_child_signal(int pid)
{
    return child_of_pid(pid)->signum;
}
