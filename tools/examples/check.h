/*
 * Error handling of the examples with protocols: the program prints the error
 * and ends. A service would instead log the error and close only the affected
 * connection.
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
