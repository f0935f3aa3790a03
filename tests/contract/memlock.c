/*
 * Little locked memory: rings created while the kernel still counts the pages
 * of freed rings, which are released later.
 *
 * Locked memory is counted per user, not per process, so each case runs in a
 * child process with its own user. This requires root.
 */
#include "tests/bind.h"
#include "tests/contract/need_uring.h"
#include "tests/unit.h"
#include "uring/engine.h"
#include "uring/guard.h"
#include "uring/ring.h"
#include "uring/sys.h"

#include <errno.h>
#include <grp.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <weir/embed.h>
#include <weir/error.h>
#include <weir/task.h>

#define KIB 1024u

enum {
    GOOD,
    WAS_REFUSED,
    WAS_SMALLER,
    IS_ODD,
    NO_USER,
    IS_COUNTED,
    HAS_WAITED
};

/* Becomes a user without rings except those of the calling process. */
static void become_somebody(rlim_t locked_bytes)
{
    const struct rlimit limit = {.rlim_cur = locked_bytes,
                                 .rlim_max = locked_bytes};
    const uid_t user = 100000 + (uid_t)getpid();
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || setgroups(0, NULL) != 0 ||
        setgid(user) != 0 || setuid(user) != 0) {
        _exit(NO_USER);
    }
}

static int in_child(int (*body)(void))
{
    if (geteuid() != 0) {
        cr_skip_test("this process cannot become another user; runs as root");
    }
    const pid_t child = fork();
    expect_geq(child, 0);
    if (child == 0) {
        alarm(60);
        _exit(body());
    }
    int status = 0;
    expect_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "the child ended by a signal");
    if (WEXITSTATUS(status) == NO_USER) {
        cr_skip_test("no other user; runs where nobody is a user");
    }
    return WEXITSTATUS(status);
}

static int yield_once(weir_loop *loop, void *arg)
{
    return weir_yield(loop);
}

static void stop_loop(void *arg)
{
    weir_loop_stop(arg);
}

static int run_loops_in_a_row(void)
{
    become_somebody(64 * KIB);
    for (int i = 0; i < 60; i++) {
        int err = weir_run(
            SIZED(weir_loop_options, .sq_entries = 64, .cq_entries = 256),
            yield_once, NULL);
        if (err < 0) {
            fprintf(stderr, "loop %d: %s\n", i, weir_strerror(err));
            return WAS_REFUSED;
        }
    }
    return GOOD;
}

UNIT(memlock, loops_that_are_made_in_a_row_are_never_refused)
{
    expect_eq(in_child(run_loops_in_a_row), GOOD);
}

/* Minimum time that a ring waits for the memory of earlier rings before it is
 * made smaller; a busy kernel may release the memory even later. */
#define SIZE_WAITS_NS (100 * UINT64_C(1000000))

static int open_rings_in_a_row(void)
{
    const struct wr_ring_options options = {.allocator = wr_default_allocator(),
                                            .sq_entries = 256,
                                            .cq_entries = 1024};
    become_somebody(96 * KIB); /* for one ring, and a part of the next */
    for (int i = 0; i < 60; i++) {
        struct wr_ring *ring = NULL;
        struct wr_features features;
        const uint64_t start_ns = wr_sys_now();
        if (wr_ring_open(&options, &ring, &features) < 0) {
            return WAS_REFUSED;
        }
        const uint64_t took_ns = wr_sys_now() - start_ns;
        wr_ring_close(ring);
        if ((features.sq_entries != 256 || features.cq_entries != 1024) &&
            took_ns < SIZE_WAITS_NS) {
            fprintf(stderr, "ring %d: %u and %u entries after %llu ns\n", i,
                    features.sq_entries, features.cq_entries,
                    (unsigned long long)took_ns);
            return WAS_SMALLER;
        }
    }
    return GOOD;
}

UNIT(memlock, rings_that_are_made_in_a_row_have_the_size_asked_for)
{
    expect_eq(in_child(open_rings_in_a_row), GOOD);
}

static int run_until_killed(weir_loop *loop, void *arg)
{
    const int *fd = arg;
    if (write(*fd, "", 1) != 1) {
        return -EIO;
    }
    return weir_sleep(loop, UINT64_MAX);
}

static bool start_and_kill(const struct weir_loop_options *options)
{
    int fds[2];
    if (pipe(fds) != 0) {
        return false;
    }
    const pid_t child = fork();
    if (child == 0) {
        close(fds[0]);
        _exit(weir_run(options, run_until_killed, &fds[1]) < 0);
    }
    close(fds[1]);
    char byte;
    const bool has_started = read(fds[0], &byte, 1) == 1;
    close(fds[0]);
    int status = 0;
    return child > 0 && kill(child, SIGKILL) == 0 &&
           waitpid(child, &status, 0) == child && has_started;
}

static int restart_killed_process(void)
{
    become_somebody(48 * KIB);
    for (int i = 0; i < 20; i++) {
        if (!start_and_kill(SIZED(weir_loop_options, .sq_entries = 64,
                                  .cq_entries = 256))) {
            fprintf(stderr, "start %d was refused\n", i);
            return WAS_REFUSED;
        }
    }
    return GOOD;
}

UNIT(memlock, a_process_that_was_killed_can_be_started_again_at_once)
{
    expect_eq(in_child(restart_killed_process), GOOD);
}

/* Some kernels count the pages of rings, such as 6.18, and others do not, such
 * as 6.12: if they do, even the smallest ring is refused if no memory may be
 * locked. */
static int ask_whether_counted(void)
{
    struct io_uring ring;

    become_somebody(0);
    const int err = io_uring_queue_init(1, &ring, 0);
    if (err == 0) {
        io_uring_queue_exit(&ring);
    }
    return err == -ENOMEM ? IS_COUNTED : GOOD;
}

/* Returns the result of a case if rings count against the limit; otherwise the
 * limit has no effect, and the case passes. */
static int when_counted(int status)
{
    return in_child(ask_whether_counted) == IS_COUNTED ? status : GOOD;
}

static int open_larger_than_limit(void)
{
    const struct wr_ring_options options = {.allocator = wr_default_allocator(),
                                            .sq_entries = 4096,
                                            .cq_entries = 8192,
                                            .engine = WR_ENGINE_URING};
    become_somebody(128 * KIB);
    struct wr_ring *ring = NULL;
    struct wr_features features;
    if (wr_ring_open(&options, &ring, &features) < 0) {
        return WAS_REFUSED;
    }
    wr_ring_close(ring);
    return features.sq_entries < 4096 ? WAS_SMALLER : GOOD;
}

UNIT(memlock, a_ring_that_can_never_fit_is_made_smaller)
{
    need_uring();
    expect_eq(in_child(open_larger_than_limit), when_counted(WAS_SMALLER));
}

static int open_without_any(void)
{
    become_somebody(0);
    weir_loop *loop = NULL;
    const int err = weir_loop_new(
        SIZED(weir_loop_options, .engine = WEIR_ENGINE_URING), &loop);
    if (err == 0) {
        return weir_loop_free(loop) == 0 ? GOOD : IS_ODD;
    }
    return err == WEIR_ERINGMEMLOCK && !loop ? WAS_REFUSED : IS_ODD;
}

UNIT(memlock, without_any_a_loop_is_refused_in_the_end)
{
    need_uring();
    expect_eq(in_child(open_without_any), when_counted(WAS_REFUSED));
}

static int fall_back_without_any(void)
{
    weir_loop *loop = NULL;
    int reason = 0;
    become_somebody(0);
    unsetenv("WEIR_ENGINE");
    if (weir_loop_new(NULL, &loop) < 0) {
        return IS_ODD;
    }
    const bool polls = weir_loop_get_engine(loop, &reason) == WEIR_ENGINE_POLL;
    const bool tells = reason == (polls ? WEIR_ERINGMEMLOCK : 0);
    return weir_loop_free(loop) == 0 && tells ? polls ? WAS_REFUSED : GOOD
                                              : IS_ODD;
}

UNIT(memlock, without_any_epoll_takes_its_place)
{
    need_uring();
    expect_eq(in_child(fall_back_without_any), when_counted(WAS_REFUSED));
}

/* Limits of locked memory for cases with several loops: no ring fits, rings fit
 * but their buffers do not, or a few whole loops fit. */
static const rlim_t some_kib[] = {8, 24, 96};
static rlim_t locked_kib;

enum { SEVERAL = 12 };

static int told_count;
static bool has_polled;

static void count_told(void *arg, weir_loop *loop,
                       const struct weir_exception *exception)
{
    told_count += exception->notice == WEIR_NOTICE_ENGINE &&
                  exception->err == WEIR_ERINGMEMLOCK;
}

/* Returns true if the loop runs and, if it uses epoll, reports memory as the
 * reason; the first loop also reports it to the hook. */
static bool runs_and_tells(weir_loop *loop)
{
    int reason = 0;
    const bool polls = weir_loop_get_engine(loop, &reason) == WEIR_ENGINE_POLL;

    has_polled |= polls;
    weir_loop_set_exception_handler(loop, count_told, NULL);
    return reason == (polls ? WEIR_ERINGMEMLOCK : 0) &&
           weir_loop_call_soon(loop, stop_loop, loop, NULL) == 0 &&
           weir_loop_run(loop) == 0 && told_count == has_polled;
}

static int make_several_loops(void)
{
    weir_loop *loops[SEVERAL];
    struct rusage usage;
    become_somebody(locked_kib * KIB);
    unsetenv("WEIR_ENGINE");
    expect_eq(getrusage(RUSAGE_SELF, &usage), 0);
    const long before = usage.ru_nvcsw;
    for (int i = 0; i < SEVERAL; i++) {
        const int err = weir_loop_new(
            SIZED(weir_loop_options, .sq_entries = 8, .cq_entries = 64),
            &loops[i]);
        if (err < 0) {
            fprintf(stderr, "loop %d: %s\n", i, weir_strerror(err));
            return WAS_REFUSED;
        }
        if (!runs_and_tells(loops[i])) {
            return IS_ODD;
        }
    }
    /* Each sleep while waiting for freed rings is a context switch. */
    expect_eq(getrusage(RUSAGE_SELF, &usage), 0);
    if (usage.ru_nvcsw - before > 5 * WR_LOCKED_WAITS_AT_FIRST) {
        fprintf(stderr, "waited %ld times\n", usage.ru_nvcsw - before);
        return HAS_WAITED;
    }
    for (int i = 0; i < SEVERAL; i++) {
        if (weir_loop_free(loops[i]) != 0) {
            return IS_ODD;
        }
    }
    return GOOD;
}

UNIT(memlock, each_loop_that_does_not_fit_falls_back)
{
    for (size_t i = 0; i < sizeof(some_kib) / sizeof(some_kib[0]); i++) {
        locked_kib = some_kib[i];
        expect_eq(in_child(make_several_loops), GOOD, "with %d KiB",
                  (int)locked_kib);
    }
}

static void count_up(void *arg)
{
    ++*(int *)arg;
}

static void *post_once(void *arg)
{
    static int count;

    if (weir_loop_call_soon_threadsafe(arg, count_up, &count, NULL) < 0) {
        _exit(IS_ODD);
    }
    return NULL;
}

/* Posts of another thread end the waits of a host. */
static bool is_woken_each_time(weir_loop *loop, int fd)
{
    for (int i = 0; i < 5; i++) {
        struct pollfd look = {.fd = fd, .events = POLLIN};
        pthread_t thread;

        while (weir_loop_get_deadline(loop) == 0) {
            if (weir_loop_run_once(loop) < 0) {
                return false;
            }
        }
        if (pthread_create(&thread, NULL, post_once, loop) != 0 ||
            poll(&look, 1, 60000) != 1 || weir_loop_run_once(loop) < 0 ||
            pthread_join(thread, NULL) != 0) {
            return false;
        }
    }
    return true;
}

static int get_a_host(void)
{
    weir_loop *loop = NULL;
    become_somebody(locked_kib * KIB);
    if (weir_loop_new(SIZED(weir_loop_options, .sq_entries = 64,
                            .cq_entries = 256, .engine = WEIR_ENGINE_URING),
                      &loop) < 0) {
        return WAS_REFUSED;
    }
    const int fd = weir_loop_get_fd(loop);
    if (fd < 0) {
        fprintf(stderr, "%d KiB: %s\n", (int)locked_kib, weir_strerror(fd));
        return IS_ODD;
    }
    return is_woken_each_time(loop, fd) && weir_loop_free(loop) == 0 ? GOOD
                                                                     : IS_ODD;
}

UNIT(memlock, a_loop_gets_a_host_where_a_second_ring_does_not_fit)
{
    int fitting = 0;
    need_uring();
    for (locked_kib = 16; locked_kib <= 160; locked_kib += 8) {
        const int status = in_child(get_a_host);
        expect_neq(status, IS_ODD, "with %d KiB", (int)locked_kib);
        fitting += status == GOOD;
    }
    expect_gt(fitting, 0);
}

static int ring_mappings(void)
{
    char line[512];
    int count = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file)) {
        count += strstr(line, "[io_uring]") ? 1 : 0;
    }
    fclose(file);
    return count;
}

UNIT(memlock, loops_that_have_gone_leave_no_mapping)
{
    const int before = ring_mappings();
    for (int i = 0; i < 5; i++) {
        expect_eq(weir_run(NULL, yield_once, NULL), 0);
    }
    expect_eq(ring_mappings(), before);
}

UNIT(memlock, a_ring_whose_queue_grew_leaves_no_mapping)
{
    need_uring();
    enum { NOPS = 1000 };
    const struct wr_ring_options options = {.allocator = wr_default_allocator(),
                                            .sq_entries = 8,
                                            .cq_entries = 64,
                                            .engine = WR_ENGINE_URING};
    const int before = ring_mappings();
    struct wr_ring *ring = NULL;
    struct wr_features features;
    expect_eq(wr_ring_open(&options, &ring, &features), 0);
    expect_eq(wr_ring_enable(ring), 0);
    const int opened = ring_mappings();
    for (int i = 0; i < NOPS; i++) {
        io_uring_prep_nop(wr_ring_sqe(ring));
    }
    struct wr_cqe cqes[64];
    uint32_t count = 0;
    bool has_overflowed = false;
    while (count < NOPS) {
        expect_eq(wr_ring_enter(ring, 1, 0), 0);
        uint32_t got;
        while ((got = wr_ring_reap(ring, cqes, 64)) > 0) {
            count += got;
        }
        has_overflowed = wr_ring_handle_overflow(ring) || has_overflowed;
    }
    cr_assert(has_overflowed);
    /* From then on the two queues may be mapped separately. */
    expect_leq(ring_mappings(), opened + 1);
    wr_ring_close(ring);
    expect_eq(ring_mappings(), before);
}
