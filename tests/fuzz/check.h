/*
 * What holds for all bytes that libFuzzer makes up.
 *
 * Where it does not hold the fuzzer aborts, and libFuzzer keeps the bytes that
 * it was shown, in a file whose name it prints.
 */
#ifndef WEIR_TESTS_FUZZ_CHECK_H
#define WEIR_TESTS_FUZZ_CHECK_H

#include <stdbool.h>
#include <stdlib.h>

static inline void check(bool holds)
{
    if (!holds) {
        abort();
    }
}

#endif
