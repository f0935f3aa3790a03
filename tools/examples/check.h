/*
 * How the examples with protocols end when there is an error: with a line that
 * says which. A service would rather tell its log, and close that connection
 * alone.
 */
#ifndef WEIR_EXAMPLES_CHECK_H
#define WEIR_EXAMPLES_CHECK_H

#include <err.h>
#include <weir.h>

static inline void check(int error)
{
    if (error < 0) {
        errx(1, "%s", weir_strerror(error));
    }
}

#endif
