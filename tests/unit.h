/*
 * The macros that define tests.
 *
 * UNIT runs the body and then checks that no descriptor is open that was not
 * open before. Under AddressSanitizer the runner checks for leaked memory.
 * Tests that must end in abort() use death.h.
 */
#ifndef WEIR_TESTS_UNIT_H
#define WEIR_TESTS_UNIT_H

#include "expect.h"
#include "pages.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define UNIT_HAS_LSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNIT_HAS_LSAN 1
#endif
#endif

/* A test that hangs is killed and reported by name; the program continues.
 * Waits inside tests have lower limits, which are far above what a slow machine
 * needs. */
#define UNIT_TIMEOUT_S 600

enum { UNIT_FD_MAX = 65536 };

/* The open descriptors, as bits. Larger numbers are ignored. */
struct unit_fds {
    unsigned char bits[UNIT_FD_MAX / 8];
    int count;
};

/* Number of threads at the start of a test; Criterion has one of its own. Rigs
 * include this header, too, and share one count per program. */
__attribute__((weak)) int unit_first_threads;

static inline bool unit_fds_has(const struct unit_fds *fds, int fd)
{
    return (fds->bits[fd / 8] >> (fd % 8)) & 1;
}

static inline int unit_count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    int count = 0;
    cr_assert_not_null(dir, "/proc/self/task cannot be read");
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count - 2;
}

static inline void unit_fds_read(struct unit_fds *ret_fds)
{
    DIR *dir = opendir("/proc/self/fd");
    memset(ret_fds, 0, sizeof(*ret_fds));
    cr_assert_not_null(dir, "/proc/self/fd cannot be read");
    for (;;) {
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            break;
        }
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(dir) || fd < 0 ||
            fd >= UNIT_FD_MAX) {
            continue;
        }
        ret_fds->bits[fd / 8] |= (unsigned char)(1u << (fd % 8));
        ret_fds->count++;
    }
    closedir(dir);
    if (unit_first_threads == 0) {
        unit_first_threads = unit_count_threads();
    }
}

/* Returns the first descriptor that was not open before, or -1. */
static inline int unit_fds_left(const struct unit_fds *before)
{
    struct unit_fds after;
    int fd = 0;
    unit_fds_read(&after);
    while (fd < UNIT_FD_MAX &&
           (!unit_fds_has(&after, fd) || unit_fds_has(before, fd))) {
        fd++;
    }
    return fd < UNIT_FD_MAX ? fd : -1;
}

/* Like unit_fds_left(), after threads that close descriptors have ended
 * (uring/closer.h). */
static inline int unit_fds_wait_left(const struct unit_fds *before)
{
    int fd = unit_fds_left(before);
    for (int i = 0;
         i < 60000 && fd >= 0 && unit_count_threads() > unit_first_threads;
         i++) {
        usleep(1000);
        fd = unit_fds_left(before);
    }
    if (fd >= 0) { /* the last thread may have ended after the last check */
        fd = unit_fds_left(before);
    }
    return fd;
}

static inline void unit_check_left(const struct unit_fds *before)
{
    const int fd = unit_fds_wait_left(before);
    if (fd >= 0) {
        char path[64];
        char target[256] = "?";
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        ssize_t len = readlink(path, target, sizeof(target) - 1);
        target[len > 0 ? len : 0] = '\0';
        cr_assert_fail("descriptor %d was left open: %s", fd, target);
    }
}

/* Function that runs the bodies of UNIT() in a file, and the parameters of the
 * bodies. A file may define both before its includes; then every test runs
 * between what the function opens and closes. */
#ifndef UNIT_RUN
#define UNIT_RUN unit_alone
#endif
#ifndef UNIT_TAKES
#define UNIT_TAKES void
#endif

static inline void unit_alone(void (*body)(void))
{
    body();
}

#define UNIT(suite, name) UNIT_IN(suite, name, UNIT_RUN, UNIT_TAKES)

/* A test whose body is passed to @run, a function that sets up what the body
 * needs, calls it and tears it down. The other arguments are the body's
 * parameters. */
#define UNIT_IN(suite, name, run, ...)                                         \
    static void suite##__##name(__VA_ARGS__);                                  \
    Test(suite, name, .timeout = UNIT_TIMEOUT_S)                               \
    {                                                                          \
        struct unit_fds before;                                                \
        unit_fds_read(&before);                                                \
        run(suite##__##name);                                                  \
        unit_check_left(&before);                                              \
    }                                                                          \
    static void suite##__##name(__VA_ARGS__)

/* Like UNIT_IN(), with an argument for @run before the body. */
#define UNIT_OF(suite, name, run, argument, ...)                               \
    static void suite##__##name##_body(__VA_ARGS__);                           \
    UNIT_IN(suite, name, unit_alone, void)                                     \
    {                                                                          \
        run(argument, suite##__##name##_body);                                 \
    }                                                                          \
    static void suite##__##name##_body(__VA_ARGS__)

/* Function that runs the bodies of TASK() in a file, inside the task. */
#ifndef TASK_RUN
#define TASK_RUN unit_alone
#endif

/* A test whose body is a task. Its rig defines rig_run_body() and `loop`. */
#define TASK(suite, name)                                                      \
    static void suite##__##name##_in_task(void);                               \
    UNIT_IN(suite, name, rig_run_body, void)                                   \
    {                                                                          \
        TASK_RUN(suite##__##name##_in_task);                                   \
    }                                                                          \
    static void suite##__##name##_in_task(void)

#endif
