/*
 * Child processes: system calls of spawn.h.
 *
 * The child shares its parent's memory, as with vfork(). So making it is as
 * fast in a large process, and the child can store an error of its execve() for
 * the parent. The parent's thread sleeps until the child has executed a program
 * or has ended. Until then the child only makes system calls, on its own stack.
 * It uses syscall(), because sanitizers wrap the C library's functions, and
 * some take locks or act on all threads.
 *
 * No signal handler may run in the child, as it would use the parent's memory.
 * So all signals are blocked first, even the C library's, and the child resets
 * the handlers before it unblocks the signals. Only execve() sets SIGCHLD as
 * the child's exit signal. So neither a handler nor a wait() of the host
 * program sees a child whose execve() failed.
 */
#include "spawn.h"

#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The C library's headers do not have these. */
#define SPAWN_P_PIDFD        3
#define SPAWN_INFO_EXIT      (UINT64_C(1) << 3)
#define SPAWN_PIDFD_GET_INFO _IOWR(0xff, 11, struct spawn_info)
#define SPAWN_SIGNAL_GROUP   4u /* PIDFD_SIGNAL_PROCESS_GROUP */

#define SPAWN_STACK_SIZE   (32u << 10)
#define SPAWN_ENTRIES_SIZE 1024
#define SPAWN_SIGNALS      64
/* size of the kernel's signal sets */
#define SPAWN_SIGSET_SIZE sizeof(uint64_t)

/* The first bytes of the kernel's struct pidfd_info. */
struct spawn_info {
    uint64_t mask;
    uint64_t cgroup_id;
    uint32_t ids[11];
    int32_t exit_code;
};

_Static_assert(sizeof(struct spawn_info) == 64, "PIDFD_INFO_SIZE_VER0");
_Static_assert(offsetof(struct dirent, d_name) == 19, "linux_dirent64");

struct spawn_shared {
    const struct wr_spawn *spawn;
    int err; /* errno of the failed step, or 0 if the program runs */
    const char *step;
};

/* ---- the child: nothing here may change the parent's memory or files ---- */

#define IN_CHILD                                                               \
    __attribute__((no_sanitize("address"), no_sanitize("undefined"),           \
                   no_sanitize("thread")))

/* Signals that the parent ignores stay ignored, with two exceptions. */
IN_CHILD static void spawn_reset_signals(void)
{
    /* The kernel's struct begins with the handler, and SIG_DFL is 0. */
    const uint64_t by_default[8] = {0};

    for (int signum = 1; signum <= SPAWN_SIGNALS; signum++) {
        uint64_t action[8] = {0};
        if (syscall(SYS_rt_sigaction, signum, NULL, action, SPAWN_SIGSET_SIZE) <
            0) {
            continue;
        }
        const uintptr_t handler = (uintptr_t)action[0];
        /* Python and others ignore SIGPIPE and SIGXFSZ for themselves, but a
         * program expects the default action. */
        if (handler == (uintptr_t)SIG_DFL ||
            (handler == (uintptr_t)SIG_IGN && signum != SIGPIPE &&
             signum != SIGXFSZ)) {
            continue;
        }
        /* Fails for SIGKILL and SIGSTOP, which have no handler. */
        wr_ignore(syscall(SYS_rt_sigaction, signum, by_default, NULL,
                          SPAWN_SIGSET_SIZE) < 0);
    }
}

/* Sets close-on-exec for a descriptor that /proc/self/fd lists. */
IN_CHILD static void spawn_mark_listed(const char *name)
{
    int fd = 0;

    for (; *name >= '0' && *name <= '9'; name++) {
        fd = fd * 10 + (*name - '0');
    }
    if (fd >= WR_STDIO_COUNT) { /* skips "." and ".." */
        wr_ignore(syscall(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC) < 0);
    }
}

/* Used before Linux 5.11, and if a seccomp filter refuses close_range(). */
IN_CHILD static int spawn_mark_by_proc(void)
{
    _Alignas(struct dirent) char entries[SPAWN_ENTRIES_SIZE];
    long len;
    const long dir = syscall(SYS_openat, AT_FDCWD, "/proc/self/fd",
                             O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0) {
        return errno;
    }
    while ((len = syscall(SYS_getdents64, dir, entries, sizeof(entries))) > 0) {
        for (long at = 0; at < len;) {
            const struct dirent *entry = (const void *)(entries + at);
            spawn_mark_listed(entry->d_name);
            at += entry->d_reclen;
        }
    }
    const int err = len < 0 ? errno : 0;
    syscall(SYS_close, dir);
    return err;
}

IN_CHILD static int spawn_keep_descriptors(const struct wr_spawn *spawn)
{
    if (syscall(SYS_close_range, WR_STDIO_COUNT, ~0u, CLOSE_RANGE_CLOEXEC) <
        0) {
        const int err = errno;
        if (spawn_mark_by_proc() != 0) {
            /* not ENOENT, which would mean that there is no program */
            return err;
        }
    }
    for (size_t i = 0; i < spawn->pass_fd_count; i++) {
        if (syscall(SYS_fcntl, spawn->pass_fds[i], F_SETFD, 0) < 0) {
            return errno;
        }
    }
    return 0;
}

/* Descriptors below 3 are duplicated first, because each may be the target of
 * another. */
IN_CHILD static int spawn_place_stdio(const struct wr_spawn *spawn)
{
    int from[WR_STDIO_COUNT];

    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        from[i] = spawn->stdio[i];
        if (from[i] >= 0 && from[i] < WR_STDIO_COUNT) {
            from[i] = (int)syscall(SYS_fcntl, from[i], F_DUPFD_CLOEXEC,
                                   WR_STDIO_COUNT);
            if (from[i] < 0) {
                return errno;
            }
        }
    }
    for (int i = 0; i < WR_STDIO_COUNT; i++) {
        if (from[i] >= 0 && syscall(SYS_dup3, from[i], i, 0) < 0) {
            return errno;
        }
    }
    return 0;
}

/* Like execvp(), but does not try a shell on ENOEXEC. */
IN_CHILD static int spawn_execute(const struct wr_spawn *spawn)
{
    bool is_forbidden = false;
    int err = ENOENT;

    for (const char *const *path = spawn->paths; *path; path++) {
        syscall(SYS_execve, *path, spawn->argv, spawn->env);
        err = errno;
        switch (err) {
        case EACCES:
            is_forbidden = true;
            break;
        case ENOENT:
        case ENOTDIR:
        case ESTALE:
        case ENODEV:
        case ETIMEDOUT:
            break;
        default:
            return err;
        }
    }
    return is_forbidden ? EACCES : err;
}

/* Returns the errno of the failed step, or does not return. */
IN_CHILD static int spawn_become(struct spawn_shared *shared)
{
    const struct wr_spawn *spawn = shared->spawn;
    const uint64_t none = 0;

    shared->step = "descriptors";
    int err = spawn_keep_descriptors(spawn);
    if (err == 0) {
        err = spawn_place_stdio(spawn);
    }
    if (err) {
        return err;
    }
    shared->step = "cwd";
    if (spawn->cwd && syscall(SYS_chdir, spawn->cwd) < 0) {
        return errno;
    }
    if (spawn->set_umask) {
        syscall(SYS_umask, spawn->umask);
    }
    shared->step = "process group";
    if ((spawn->new_session && syscall(SYS_setsid) < 0) ||
        (spawn->set_group && syscall(SYS_setpgid, 0, spawn->group) < 0)) {
        return errno;
    }
    spawn_reset_signals();
    shared->step = "program";
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, SPAWN_SIGSET_SIZE);
    return spawn_execute(spawn);
}

IN_CHILD static int spawn_run_child(void *arg)
{
    struct spawn_shared *shared = arg;

    shared->err = spawn_become(shared);
    return 127; /* the child's exit status */
}

static int spawn_wait(int pidfd, int options, siginfo_t *ret)
{
    long err;

    do {
        memset(ret, 0, sizeof(*ret));
        err = syscall(SYS_waitid, SPAWN_P_PIDFD, pidfd, ret,
                      WEXITED | __WALL | options, NULL);
    } while (err < 0 && errno == EINTR);
    return err < 0 ? -errno : 0;
}

/* Another name of clone() in the C library, if it has one. ThreadSanitizer
 * regards clone() as a fork of all threads, and allows no new threads
 * afterwards. */
extern int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
    __attribute__((weak));

/* All signals must be blocked. */
static int spawn_clone(struct spawn_shared *shared, char *stack, pid_t *ret_pid,
                       int *ret_pidfd)
{
    const int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
    char *top = stack + SPAWN_STACK_SIZE;
    int pidfd = -1;

    wr_assert(shared->err == 0);
    shared->step = "clone";
    const pid_t pid = __clone
                          ? __clone(spawn_run_child, top, flags, shared, &pidfd)
                          : clone(spawn_run_child, top, flags, shared, &pidfd);
    if (pid < 0) {
        return -errno;
    }
    wr_check(pidfd >= 0);
    if (shared->err) {
        siginfo_t info;

        /* -ECHILD means that other code has reaped the child. If a seccomp
         * filter refuses waitid(), other code must reap it. */
        wr_ignore(spawn_wait(pidfd, 0, &info) < 0);
        close(pidfd);
        /* A file system's ECANCELED must not look like weir's cancellation. */
        return shared->err == ECANCELED ? -EIO : -shared->err;
    }
    *ret_pid = pid;
    *ret_pidfd = pidfd;
    return 0;
}

static int spawn_with_stack(struct spawn_shared *shared, char *stack,
                            pid_t *ret_pid, int *ret_pidfd)
{
    const uint64_t all = UINT64_MAX;
    uint64_t before;

    wr_assert(stack != NULL);
    long blocked = syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before,
                           SPAWN_SIGSET_SIZE);
    if (blocked != 0) {
        shared->step = "rt_sigprocmask";
        return -errno;
    }
    int err = spawn_clone(shared, stack, ret_pid, ret_pidfd);
    blocked = syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL,
                      SPAWN_SIGSET_SIZE);
    wr_check(blocked == 0);
    return err;
}

int wr_spawn(const struct wr_spawn *spawn, pid_t *ret_pid, int *ret_pidfd,
             const char **ret_step)
{
    struct spawn_shared shared = {.spawn = spawn, .step = "memory"};
    const int saved_errno = errno;
    int err;

    wr_assert(spawn->paths[0] != NULL);
    wr_assert(spawn->argv[0] != NULL);
    wr_assert(spawn->env != NULL);
    char *stack = mmap(NULL, SPAWN_STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        err = -errno;
    } else {
        err = spawn_with_stack(&shared, stack, ret_pid, ret_pidfd);
        wr_ignore(munmap(stack, SPAWN_STACK_SIZE) < 0);
    }
    *ret_step = shared.step;
    errno = saved_errno;
    return err;
}

int wr_spawn_reap(int pidfd, int *ret)
{
    siginfo_t info;

    wr_assert(pidfd >= 0);
    int err = spawn_wait(pidfd, WNOHANG, &info);
    if (err < 0 || info.si_pid == 0) {
        return err;
    }
    wr_check(info.si_code == CLD_EXITED || info.si_code == CLD_KILLED ||
             info.si_code == CLD_DUMPED);
    *ret = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return 1;
}

int wr_spawn_query(int pidfd, int *ret)
{
    struct spawn_info info = {.mask = SPAWN_INFO_EXIT};

    wr_assert(pidfd >= 0);
    if (ioctl(pidfd, SPAWN_PIDFD_GET_INFO, &info) < 0) {
        return -errno;
    }
    if (!(info.mask & SPAWN_INFO_EXIT)) {
        return -ENODATA;
    }
    *ret = WIFEXITED(info.exit_code) ? WEXITSTATUS(info.exit_code)
                                     : -WTERMSIG(info.exit_code);
    return 0;
}

static int spawn_send_signal(int pidfd, int signum, unsigned int flags)
{
    wr_assert(pidfd >= 0);
    const long ret = syscall(SYS_pidfd_send_signal, pidfd, signum, NULL, flags);
    return ret < 0 ? -errno : 0;
}

int wr_spawn_signal(int pidfd, int signum)
{
    return spawn_send_signal(pidfd, signum, 0);
}

int wr_spawn_signal_group(int pidfd, int signum)
{
    return spawn_send_signal(pidfd, signum, SPAWN_SIGNAL_GROUP);
}

void wr_spawn_await(int pidfd, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};

    wr_assert(timeout_ms >= 0);
    /* the caller checks in any case */
    wr_ignore(poll(&poll_fd, 1, timeout_ms) < 0);
}
