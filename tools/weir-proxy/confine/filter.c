/*
 * The filter is a BPF program that compares the number of a system call with a
 * list, one after another. The calls of every connection come first.
 *
 * A call that is not in the list fails with EPERM. A call newer than this file
 * fails with ENOSYS, as on an older kernel, so that a newer C library falls
 * back. clone3() fails with ENOSYS, too, because the filter cannot see its
 * flags; threads are created with clone().
 */
#include "filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__) && !defined(__ILP32__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#endif

#ifdef ARCH

/* The last system call that this file knows, from Linux 6.12. */
#define LAST_KNOWN 462

static const int calls[] = {
    /* every connection */
    SYS_io_uring_enter,
    SYS_epoll_pwait,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_recvfrom,
    SYS_sendto,
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_accept4,
    SYS_connect,
    SYS_close,
    SYS_shutdown,
    SYS_epoll_ctl,
    SYS_splice,
    SYS_futex,
    SYS_setsockopt,
    SYS_getsockopt,
    SYS_getsockname,
    SYS_getpeername,
    SYS_clock_gettime,
    SYS_ioctl,
    SYS_fcntl,
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_sendmmsg,
    SYS_recvmmsg,
    SYS_socketpair,
    SYS_pipe2,
    SYS_tee,
    /* loops and threads */
    SYS_io_uring_setup,
    SYS_io_uring_register,
    SYS_epoll_create1,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    SYS_signalfd4,
    SYS_ppoll,
    SYS_pselect6,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_set_tid_address,
    SYS_gettid,
    SYS_getpid,
    SYS_getppid,
    SYS_tgkill,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_setaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_exit,
    SYS_exit_group,
    SYS_prctl,
    SYS_restart_syscall,
    SYS_membarrier,
    SYS_getcpu,
    /* signals */
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigtimedwait,
    SYS_rt_sigpending,
    SYS_rt_sigsuspend,
    SYS_sigaltstack,
    /* memory */
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    SYS_brk,
    SYS_mlock,
    SYS_munlock,
    SYS_mincore,
    /* files */
    SYS_openat,
    SYS_newfstatat,
    SYS_fstat,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_lseek,
    SYS_pread64,
    SYS_pwrite64,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_ftruncate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_getdents64,
    SYS_readlinkat,
    SYS_faccessat,
    SYS_unlinkat,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_flock,
    SYS_dup,
    SYS_dup3,
    SYS_getcwd,
    SYS_umask,
    SYS_fadvise64,
    SYS_sendfile,
    /* time, limits and identity */
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_getrandom,
    SYS_getrlimit,
    SYS_setrlimit,
    SYS_prlimit64,
    SYS_getrusage,
    SYS_sysinfo,
    SYS_uname,
    SYS_times,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getresuid,
    SYS_getresgid,
/* not in every header or on every processor */
#ifdef SYS_epoll_wait
    SYS_epoll_wait,
#endif
#ifdef SYS_epoll_pwait2
    SYS_epoll_pwait2,
#endif
#ifdef SYS_close_range
    SYS_close_range,
#endif
#ifdef SYS_openat2
    SYS_openat2,
#endif
#ifdef SYS_faccessat2
    SYS_faccessat2,
#endif
#ifdef SYS_fchmodat2
    SYS_fchmodat2,
#endif
#ifdef SYS_rseq
    SYS_rseq,
#endif
#ifdef SYS_open
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_unlink,
    SYS_chmod,
    SYS_poll,
    SYS_select,
    SYS_pipe,
    SYS_dup2,
    SYS_time,
#endif
#ifdef SYS_arch_prctl
    SYS_arch_prctl,
#endif
};

#define CALL_COUNT (sizeof(calls) / sizeof(calls[0]))

static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

#define FAMILY_COUNT (sizeof(families) / sizeof(families[0]))

/* Two for each call and family, and up to 32 others. */
#define INSTRUCTIONS_MAX (2 * (CALL_COUNT + FAMILY_COUNT) + 32)

struct program {
    struct sock_filter code[INSTRUCTIONS_MAX];
    unsigned short len;
};

#define FIELD(name) ((uint32_t)offsetof(struct seccomp_data, name))
/* Offset of the low half of the first argument. */
#define FIRST_ARGUMENT                                                         \
    (FIELD(args) + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4u : 0u))

static void add(struct program *program, struct sock_filter instruction)
{
    program->code[program->len++] = instruction;
}

static void load(struct program *program, uint32_t field)
{
    add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, field));
}

static void end_with(struct program *program, uint32_t verdict)
{
    add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict));
}

static void end_if(struct program *program, int comparison, uint32_t value,
                   uint32_t verdict)
{
    add(program, (struct sock_filter)BPF_JUMP(
                     (uint16_t)(BPF_JMP | comparison | BPF_K), value, 0, 1));
    end_with(program, verdict);
}

#define FAILS(err) (SECCOMP_RET_ERRNO | (uint32_t)(err))

static void write_program(struct program *program)
{
    load(program, FIELD(arch));
    add(program,
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
    end_with(program, SECCOMP_RET_KILL_PROCESS);
    load(program, FIELD(nr));
    for (size_t i = 0; i < CALL_COUNT; i++) {
        end_if(program, BPF_JEQ, (uint32_t)calls[i], SECCOMP_RET_ALLOW);
    }
    end_if(program, BPF_JGT, LAST_KNOWN, FAILS(ENOSYS));
    end_if(program, BPF_JEQ, SYS_clone3, FAILS(ENOSYS));
    /* clone() is allowed for threads only, not for processes. */
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                              SYS_clone, 0, 4));
    load(program, FIRST_ARGUMENT);
    end_if(program, BPF_JSET, CLONE_THREAD, SECCOMP_RET_ALLOW);
    end_with(program, FAILS(EPERM));
    add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                              SYS_socket, 1, 0));
    end_with(program, FAILS(EPERM));
    load(program, FIRST_ARGUMENT);
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        end_if(program, BPF_JEQ, (uint32_t)families[i], SECCOMP_RET_ALLOW);
    }
    end_with(program, FAILS(EAFNOSUPPORT));
}

int filter_install(void)
{
    struct program program = {.len = 0};

    write_program(&program);
    const struct sock_fprog filter = {program.len, program.code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0 ? -errno : 0;
}

#else

int filter_install(void)
{
    return -ENOSYS; /* system call numbers of other processors are not known
                     * here */
}

#endif
