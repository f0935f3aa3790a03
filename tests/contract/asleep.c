/*
 * The state of a thread; see asleep.h.
 *
 * The kernel shows it as a letter after the thread's name in a file of /proc. S
 * is a wait that a signal can interrupt; threads wait in this way for
 * descriptors, rings, conditions and semaphores.
 */
#include "tests/contract/asleep.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ASLEEP_LIMIT_S = 60 };

/* Returns the thread's state letter, or 0 if there is no such thread. */
static char state_of(pid_t thread)
{
    char path[64];
    char text[256] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    const ssize_t len = read(fd, text, sizeof(text) - 1);
    close(fd);
    /* The name may contain any bytes. */
    const char *name_end = len > 0 ? strrchr(text, ')') : NULL;
    return name_end && name_end[1] == ' ' ? name_end[2] : 0;
}

static bool do_others_sleep(void)
{
    const struct dirent *entry;
    bool all = true;
    DIR *threads = opendir("/proc/self/task");

    while (threads && (entry = readdir(threads))) {
        const pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
        const char state = state_of(thread);
        all = all &&
              (thread == 0 || thread == gettid() || state == 'S' || state == 0);
    }
    if (threads) {
        closedir(threads);
    }
    return all;
}

static bool is_late(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec - start->tv_sec >= ASLEEP_LIMIT_S;
}

bool wait_until_asleep(pid_t thread)
{
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        const char state = state_of(thread);
        if (state == 'S' || state == 0) {
            return state == 'S';
        }
        sched_yield();
    } while (!is_late(&start));
    return false;
}

bool wait_until_others_sleep(void)
{
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        if (do_others_sleep()) {
            return true;
        }
        sched_yield();
    } while (!is_late(&start));
    return false;
}
