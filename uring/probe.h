/*
 * Probing what the kernel allows and supports, and explaining errors.
 *
 * This is part of the seam (ring.h). An engine probes once for each ring.
 * Version numbers are not used.
 */
#ifndef WEIR_URING_PROBE_H
#define WEIR_URING_PROBE_H

#include "../include/weir/base.h"
#include "feature.h"

/* Tries a small ring and each optional feature, and applies the mask of the
 * environment. Returns errors like wr_ring_open(). */
WEIR_MUST_USE int wr_probe_features(struct wr_features *ret);

/* Tries the features that are not io_uring's, and applies the mask. */
void wr_probe_machine(struct wr_features *ret);

/* Maps an error of ring set-up to the WEIR_ERING... code of its cause. */
WEIR_MUST_USE int wr_probe_explain(int err);

#endif
