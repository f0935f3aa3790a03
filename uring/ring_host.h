/*
 * The descriptor of an io_uring ring that another event loop waits for.
 *
 * These functions implement wr_ring_open_signal() and wr_ring_enable_signal(),
 * which are documented in ring.h.
 */
#ifndef WEIR_URING_RING_HOST_H
#define WEIR_URING_RING_HOST_H

#include "ring.h"

WEIR_MUST_USE int wr_ring_host_open(struct wr_ring *base);
void wr_ring_host_enable(struct wr_ring *base, int fd, bool enable);

#endif
