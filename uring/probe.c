/*
 * Probes features by using them.
 *
 * A seccomp profile may allow io_uring_setup() and refuse io_uring_enter() or
 * io_uring_register(), and a kernel may accept a flag and ignore it. So the
 * probe uses a small ring, which takes about 200 microseconds.
 */
#include "probe.h"

#include "../include/weir/error.h"
#include "check.h"
#include "race.h"
#include "spawn.h"
#include "sqe.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

char wr_race_mappings;

#define PROBE_ENTRIES 8u
#define PROBE_GROUP   1
#define PROBE_CREDIT  8u
#define PROBE_BYTES   32u

/* Returns -1 if the value cannot be read. */
static int probe_read_sysctl(void)
{
    char digit = 0;
    int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t len = read(fd, &digit, 1);
    close(fd);
    return len == 1 ? digit - '0' : -1;
}

/* Returns true in the initial user namespace, or if it is unknown. */
static bool probe_is_outermost(void)
{
    static const char all[] = "0 0 4294967295";
    char text[64] = "";
    char *word = text;
    size_t at = 0;
    const int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return true;
    }
    const ssize_t len = read(fd, text, sizeof(text) - 1);
    wr_assert(len < (ssize_t)sizeof(text));
    close(fd);
    for (; len > 0 && *word; word += strspn(word, " \n")) {
        const size_t letters = strcspn(word, " \n");
        if (at + letters >= sizeof(all) ||
            memcmp(all + at, word, letters) != 0) {
            return false;
        }
        at += letters + 1;
        word += letters;
    }
    return len <= 0 || at == sizeof(all);
}

/* CAP_IPC_LOCK lifts RLIMIT_MEMLOCK only in the initial user namespace, so not
 * for the root of a container with a user namespace. */
static bool probe_is_limited(void)
{
    struct __user_cap_header_struct header = {.version =
                                                  _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

    if (syscall(SYS_capget, &header, data) < 0) {
        return geteuid() != 0;
    }
    return !(data[0].effective >> CAP_IPC_LOCK & 1u) || !probe_is_outermost();
}

int wr_probe_explain(int err)
{
    switch (err) {
    case -ENOSYS:
        return WEIR_ERINGABSENT;
    case -EPERM:
    case -EACCES:
        return probe_read_sysctl() > 0 ? WEIR_ERINGSYSCTL : WEIR_ERINGSECCOMP;
    case -EINVAL:
        return WEIR_ERINGOLD;
    case -ENOMEM:
        return probe_is_limited() ? WEIR_ERINGMEMLOCK : -ENOMEM;
    default:
        return err;
    }
}

static struct io_uring_sqe *probe_sqe(struct io_uring *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(uring);
    wr_assert(sqe);
    return sqe;
}

static int probe_run_once(struct io_uring *uring)
{
    struct io_uring_cqe *cqe = NULL;
    struct __kernel_timespec timeout = {.tv_sec = 1};
    int err;

    do {
        err = io_uring_submit_and_wait_timeout(uring, &cqe, 1, &timeout, NULL);
    } while (err == -EINTR);
    if (err < 0) {
        return err;
    }
    if (!cqe && io_uring_peek_cqe(uring, &cqe) < 0) {
        return -ETIME;
    }
    int res = cqe->res;
    io_uring_cqe_seen(uring, cqe);
    return res;
}

/* Registers one buffer of PROBE_BYTES at @data, or none if @data is NULL. */
static struct io_uring_buf_ring *probe_add_buffers(struct io_uring *uring,
                                                   unsigned int flags,
                                                   void *data, int *ret_err)
{
    struct io_uring_buf_ring *bufs =
        io_uring_setup_buf_ring(uring, 1, PROBE_GROUP, flags, ret_err);
    wr_race_acquire(&wr_race_mappings);
    if (bufs && data) {
        io_uring_buf_ring_add(bufs, data, PROBE_BYTES, 0,
                              io_uring_buf_ring_mask(1), 0);
        io_uring_buf_ring_advance(bufs, 1);
    }
    return bufs;
}

static int probe_free_buffers(struct io_uring *uring,
                              struct io_uring_buf_ring *bufs)
{
    wr_race_release(&wr_race_mappings);
    return io_uring_free_buf_ring(uring, bufs, 1, PROBE_GROUP);
}

static int probe_buffers(struct io_uring *uring, unsigned int flags)
{
    int err = 0;
    struct io_uring_buf_ring *bufs =
        probe_add_buffers(uring, flags, NULL, &err);

    wr_assert(!bufs == (err < 0));
    return bufs ? probe_free_buffers(uring, bufs) : err;
}

/* Tries everything that weir requires. Returns 0 or the first error. */
static int probe_needs(struct io_uring *uring)
{
    int err = io_uring_enable_rings(uring);

    wr_assert(uring->ring_fd >= 0);
    if (err >= 0) {
        io_uring_prep_nop(probe_sqe(uring));
        err = probe_run_once(uring);
    }
    if (err >= 0) {
        err = probe_buffers(uring, 0);
    }
    if (err < 0) {
        return err;
    }
    /* wr_ring_open_signal() needs an eventfd. A lack of descriptors is no
     * refusal, so it is left to the call that needs one. */
    const int fd = wr_sys_eventfd_nonblock();
    if (fd < 0) {
        return 0;
    }
    err = io_uring_register_eventfd(uring, fd);
    close(fd);
    return err < 0 ? err : io_uring_unregister_eventfd(uring);
}

/* Kernels before 6.17 refuse a multishot receive with a length. */
static bool probe_recv_credit(struct io_uring *uring, const int fds[2])
{
    char data[PROBE_BYTES] = {0};
    int err = 0;
    struct io_uring_buf_ring *bufs = probe_add_buffers(uring, 0, data, &err);
    if (!bufs) {
        return false;
    }
    int res = -EIO;
    if (send(fds[1], data, PROBE_BYTES / 2, MSG_NOSIGNAL) > 0) {
        struct io_uring_sqe *sqe = probe_sqe(uring);
        io_uring_prep_recv_multishot(sqe, fds[0], NULL, 0, 0);
        sqe->len = PROBE_CREDIT;
        wr_sqe_set_optlen(sqe, PROBE_CREDIT);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = PROBE_GROUP;
        res = probe_run_once(uring);
    }
    wr_ignore(probe_free_buffers(uring, bufs) < 0);
    return res == (int)PROBE_CREDIT;
}

static bool probe_send_vectorized(struct io_uring *uring, const int fds[2])
{
    char text[] = "abc";
    struct iovec iov[2] = {{.iov_base = text, .iov_len = 2},
                           {.iov_base = text + 2, .iov_len = 1}};
    struct io_uring_sqe *sqe = probe_sqe(uring);

    io_uring_prep_send(sqe, fds[0], iov, 2, MSG_NOSIGNAL);
    sqe->ioprio |= WR_SEND_VECTORIZED;
    if (probe_run_once(uring) != 3) {
        return false;
    }
    char got[4] = {0};
    return recv(fds[1], got, sizeof(got), MSG_DONTWAIT) == 3 &&
           memcmp(got, "abc", 3) == 0;
}

/* qemu-user accepts every advice but ignores most, so this also checks that the
 * page cannot be populated, which only a guard prevents. */
static bool probe_guard_install(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *start = mmap(NULL, page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) {
        return false;
    }
    const bool result = madvise(start, page, MADV_GUARD_INSTALL) == 0 &&
                        madvise(start, page, MADV_POPULATE_READ) < 0;
    wr_ignore(munmap(start, page) != 0);
    return result;
}

static uint32_t probe_pipe(void)
{
    char byte = 0;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    uint32_t found = 0;
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0) {
        return 0;
    }
    if (wr_sys_read(fds[0], &iov, 1) == -EAGAIN) {
        found |= 1u << WR_FEATURE_PIPE_NOWAIT;
    }
    if (wr_sys_write(fds[1], &iov, 1, true) == 1) {
        found |= 1u << WR_FEATURE_WRITE_NOSIGNAL;
    }
    close(fds[0]);
    close(fds[1]);
    return found;
}

static bool probe_pidfd_info(void)
{
    int status;
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (pidfd < 0) {
        return false;
    }
    /* -ENODATA is expected, as this process has not ended. */
    const bool result = wr_spawn_query(pidfd, &status) == -ENODATA;
    close(pidfd);
    return result;
}

static bool probe_pidfd_group(void)
{
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (pidfd < 0) {
        return false;
    }
    /* Signal 0 sends nothing. -ESRCH means that this process leads no group. */
    const int err = wr_spawn_signal_group(pidfd, 0);
    close(pidfd);
    return err == 0 || err == -ESRCH;
}

static bool probe_passrights(void)
{
    const int off = 0;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    const int err =
        wr_sys_setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
    close(fd);
    return err == 0;
}

static uint32_t probe_find_of_machine(void)
{
    uint32_t found = probe_pipe();

    wr_assert(found >> WR_FEATURE_COUNT == 0);
    if (probe_guard_install()) {
        found |= 1u << WR_FEATURE_GUARD_INSTALL;
    }
    if (probe_pidfd_info()) {
        found |= 1u << WR_FEATURE_PIDFD_INFO;
    }
    if (probe_pidfd_group()) {
        found |= 1u << WR_FEATURE_PIDFD_GROUP;
    }
    if (probe_passrights()) {
        found |= 1u << WR_FEATURE_PASSRIGHTS;
    }
    return found;
}

static uint32_t probe_find_features(struct io_uring *uring)
{
    uint32_t found = 0;
    int fds[2];

    if (probe_buffers(uring, IOU_PBUF_RING_INC) == 0) {
        found |= 1u << WR_FEATURE_BUF_INC;
    }
    if (uring->features & WR_FEAT_NO_IOWAIT) {
        found |= 1u << WR_FEATURE_NO_IOWAIT;
    }
    /* Trying the retry (ASYNC_RETRY) could leave this thread in the kernel for
     * ever. Linux 6.3 added both IORING_FEAT_REG_REG_RING and the retry, and a
     * backport of io_uring has both, too. */
    if (uring->features & IORING_FEAT_REG_REG_RING) {
        found |= 1u << WR_FEATURE_ASYNC_RETRY;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0) {
        if (probe_recv_credit(uring, fds)) {
            found |= 1u << WR_FEATURE_RECV_CREDIT;
        }
        if (probe_send_vectorized(uring, fds)) {
            found |= 1u << WR_FEATURE_SEND_VECTORIZED;
        }
        close(fds[0]);
        close(fds[1]);
    }
    /* Must be last, because this ring is not mapped again. liburing 2.9 would
     * map it again, but leave the old SQEs mapped, which keeps the ring in the
     * kernel, and its pages charged, for the life of the process. */
    struct io_uring_params params = {
        .flags = IORING_SETUP_CQSIZE,
        .sq_entries = PROBE_ENTRIES,
        .cq_entries = PROBE_ENTRIES * 4,
    };
    if (io_uring_register((unsigned int)uring->ring_fd,
                          IORING_REGISTER_RESIZE_RINGS, &params, 1) == 0) {
        found |= 1u << WR_FEATURE_RING_RESIZE;
    }
    return found | probe_find_of_machine();
}

static void probe_apply_mask(struct wr_features *ret, uint32_t found)
{
    const char *unknown;
    const uint32_t mask =
        wr_features_parse_mask(secure_getenv("WEIR_FEATURES_MASK"), &unknown);

    wr_assert(found >> WR_FEATURE_COUNT == 0);
    ret->found = found & ~mask;
    ret->masked = found & mask;
}

/* Adds three features that the poll engine has on every kernel: its worker
 * threads wait for pipes (ASYNC_RETRY), and its receives count their bytes
 * (RECV_CREDIT) and consume only the filled part of a buffer (BUF_INC). */
void wr_probe_machine(struct wr_features *ret)
{
    probe_apply_mask(
        ret, probe_find_of_machine() | 1u << WR_FEATURE_ASYNC_RETRY |
                 1u << WR_FEATURE_BUF_INC | 1u << WR_FEATURE_RECV_CREDIT);
}

int wr_probe_features(struct wr_features *ret)
{
    struct io_uring uring;
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_R_DISABLED,
    };

    int err = io_uring_queue_init_params(PROBE_ENTRIES, &uring, &params);
    wr_race_acquire(&wr_race_mappings);
    if (err < 0) {
        return wr_probe_explain(err);
    }
    err = probe_needs(&uring);
    if (err >= 0) {
        probe_apply_mask(ret, probe_find_features(&uring));
    }
    wr_race_release(&wr_race_mappings);
    io_uring_queue_exit(&uring);
    return err < 0 ? wr_probe_explain(err) : 0;
}
