/*
 * The end of a process whose invariants are broken.
 *
 * One line goes to standard error with write(2), without stdio: its buffers
 * and locks belong to a program that can no longer be trusted. This is the
 * only output that weir ever makes on its own.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void wr_check_failed(const char *cond, const char *file, int line)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "weir: %s:%d: broken: %s\n", file,
                       line, cond);
    if (len > 0) {
        size_t size = (size_t)len;
        if (size >= sizeof(text)) {
            size = sizeof(text) - 1;
            text[size - 1] = '\n';
        }
        /* abort() follows; a message that cannot be written is lost. */
        wr_ignore(write(STDERR_FILENO, text, size) < 0);
    }
    abort();
}
