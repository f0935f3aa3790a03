/*
 * Finding what the kernel allows and can do, and saying why it does not.
 *
 * Part of the real seam: ring.c asks once for each ring. Nothing is concluded
 * from a version number.
 */
#ifndef WEIR_URING_PROBE_H
#define WEIR_URING_PROBE_H

#include "../include/weir/base.h"
#include "feature.h"

/* Opens a small ring, does a nop and each optional thing once, and applies the
 * mask of the environment. Errors as wr_ring_open(). */
WEIR_MUST_USE int wr_probe_features(struct wr_features *ret);

/* Turns an error of ring set-up into the WEIR_ERING... code of its cause. */
WEIR_MUST_USE int wr_probe_explain(int err);

#endif
