/*
 * One way to speak to the person at the terminal: a line at a time, written
 * whole, so that lines of several processes do not mix.
 *
 * It does not know levels or colours.
 */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void say(const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (len < 0) {
        return;
    }
    fprintf(stderr, "%s: %s\n", console_name, line);
    fflush(stderr);
}

void console_begin(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) {
            _exit(CONSOLE_FAILED); /* nowhere to say why */
        }
    }
}

int console_end(int code)
{
    const int err = fflush(stdout) != 0 || ferror(stdout) ? errno : 0;

    if (err == 0 || code != 0) {
        return code;
    }
    say("standard output could not be written: %s", strerror(err));
    return CONSOLE_FAILED;
}
