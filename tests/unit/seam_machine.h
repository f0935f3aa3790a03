/*
 * The machines that the tests of the seam run on.
 *
 * io_uring and epoll of the running kernel (seam_kernel.c), or the fake machine
 * (tests/trace/seam_fake.c).
 */
#ifndef WEIR_TESTS_UNIT_SEAM_MACHINE_H
#define WEIR_TESTS_UNIT_SEAM_MACHINE_H

#include "uring/op.h"

/* Provided buffers of each ring at most. */
#define SEAM_BUFS 4

/* False for the fake machine, whose ring keeps no memory. */
extern const bool seam_is_kernel;

/* Calls @body with a ring that is enabled, on one machine after the other. */
void seam_on_each_machine(void (*body)(struct wr_uring *uring));

#endif
