/*
 * Memory for large arrays of tests.
 *
 * The leak check of each test reads all static memory of its program, which may
 * hold hundreds of tests, so large arrays are not static.
 */
#ifndef WEIR_TESTS_PAGES_H
#define WEIR_TESTS_PAGES_H

#include "expect.h"

#include <sys/mman.h>

static inline void *test_pages(size_t len)
{
    void *pages = mmap(NULL, len, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(pages != MAP_FAILED, "no memory");
    return pages;
}

#endif
