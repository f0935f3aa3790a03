/*
 * One way to speak to the person at the terminal: a line at a time, written
 * whole, so that lines of several processes do not mix.
 *
 * It does not know levels or colours.
 */
#include "console.h"

#include <stdarg.h>
#include <stdio.h>

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
    fprintf(stderr, "weir-load: %s\n", line);
    fflush(stderr);
}
