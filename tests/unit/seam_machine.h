/*
 * The machines on which the tests of the ring interface run.
 *
 * They are io_uring and epoll of the running kernel (seam_kernel.c), or the
 * simulated machine (tests/trace/seam_fake.c).
 */
#ifndef WEIR_TESTS_UNIT_SEAM_MACHINE_H
#define WEIR_TESTS_UNIT_SEAM_MACHINE_H

#include "uring/op.h"

/* Maximum of provided buffers of a ring. */
#define SEAM_BUFS 4

/* False for the simulated machine, whose ring keeps no memory. */
extern const bool seam_is_kernel;

/* Calls @body with an enabled ring, on one machine after another. */
void seam_on_each_machine(void (*body)(struct wr_uring *uring));

#endif
