/*
 * The state of a thread; see asleep.h.
 *
 * The kernel shows it as a letter in the thread's file in /proc, behind the
 * thread's name. S stands for a wait that a signal may end, which is how
 * threads wait for descriptors, rings, conditions and semaphores.
 */
#include "tests/contract/asleep.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ASLEEP_LIMIT_S = 60 };

/* The letter of its state, 0 where there is no such thread. */
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
    /* The name may hold anything. */
    const char *name_end = len > 0 ? strrchr(text, ')') : NULL;
    return name_end && name_end[1] == ' ' ? name_end[2] : 0;
}

bool wait_until_asleep(pid_t thread)
{
    struct timespec start;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        const char state = state_of(thread);
        if (state == 'S' || state == 0) {
            return state == 'S';
        }
        sched_yield();
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - start.tv_sec < ASLEEP_LIMIT_S);
    return false;
}
