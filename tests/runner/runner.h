/*
 * The library for which the tests in C are written: Criterion.
 *
 * meson's option test_runner selects the library itself or the small runner of
 * this folder, which provides the part of Criterion that the tests use. The
 * summary of `meson setup` prints the choice and the reason.
 */
#ifndef WEIR_TESTS_RUNNER_RUNNER_H
#define WEIR_TESTS_RUNNER_RUNNER_H

#ifdef WR_TESTS_CRITERION
#include "criterion.h"
#else
#include "own.h"
#endif

#endif
