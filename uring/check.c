/*
 * Aborting a process whose invariants are broken.
 *
 * The message is written to standard error with write(2), because the buffers
 * and locks of stdio may be damaged.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void check_write(char *text, size_t room, int len)
{
    if (len > 0) {
        size_t size = (size_t)len;
        if (size >= room) {
            size = room - 1;
            text[size - 1] = '\n';
        }
        wr_ignore(write(STDERR_FILENO, text, size) < 0);
    }
}

_Noreturn void wr_check_failed(const char *cond, const char *file, int line)
{
    char text[512];
    const int len = snprintf(text, sizeof(text), "weir: %s:%d: broken: %s\n",
                             file, line, cond);

    check_write(text, sizeof(text), len);
    abort();
}

_Noreturn void wr_check_misused(const char *task, const char *what)
{
    char text[512];
    const int len = task ? snprintf(text, sizeof(text), "weir: task '%s' %s\n",
                                    task[0] ? task : "-", what)
                         : snprintf(text, sizeof(text), "weir: %s\n", what);

    check_write(text, sizeof(text), len);
    abort();
}
