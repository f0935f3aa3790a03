/*
 * What the objectives of a run (--slo) mean beside its other options: which
 * kinds of requests there are for them, whether the run has what they are
 * about, and how many errors are theirs to judge.
 */
#ifndef WEIR_LOAD_SETTLE_SLO_H
#define WEIR_LOAD_SETTLE_SLO_H

#include "options.h"

/* With the lines of all files read. False: a line has said why. */
bool settle_slo(struct run_options *options);

#endif
