/*
 * Probing what the kernel allows and supports, and explaining errors.
 *
 * An engine probes once for each ring, by using each feature. Kernel versions
 * are not compared.
 */
#ifndef WEIR_URING_PROBE_H
#define WEIR_URING_PROBE_H

#include "../include/weir/base.h"
#include "feature.h"

/* Tries a small ring and each optional feature, and applies WEIR_FEATURES_MASK.
 * Returns errors like wr_ring_open(). */
WEIR_MUST_USE int wr_probe_features(struct wr_features *ret);

/* Like wr_probe_features(), for the poll engine. */
void wr_probe_machine(struct wr_features *ret);

/* Maps an error of ring set-up to the WEIR_ERING... code of its cause. */
WEIR_MUST_USE int wr_probe_explain(int err);

#endif
