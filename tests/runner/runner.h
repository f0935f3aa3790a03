/*
 * The library that the tests in C are written for: Criterion.
 *
 * meson's option test_runner says whether programs have the library itself or
 * the small runner of this folder, which stands for as much of Criterion as the
 * tests use; the summary of `meson setup` names the one that is used, and why.
 */
#ifndef WEIR_TESTS_RUNNER_RUNNER_H
#define WEIR_TESTS_RUNNER_RUNNER_H

#ifdef WR_TESTS_CRITERION
#include "criterion.h"
#else
#include "own.h"
#endif

#endif
