/*
 * Annotations for ThreadSanitizer.
 *
 * The sanitizer does not see atomics of a library built without it, or mappings
 * made by raw system calls, as in liburing. So one thread announces what it
 * releases and another what it acquires. Without the sanitizer the two
 * functions are NULL.
 */
#ifndef WEIR_URING_RACE_H
#define WEIR_URING_RACE_H

#include <stdbool.h>
#include <stddef.h>

extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

/* Called before the step that lets other threads use @address. */
static inline void wr_race_release(void *address)
{
    if (__tsan_release) {
        __tsan_release(address);
    }
}

/* Called after the step with which this thread has acquired @address. */
static inline void wr_race_acquire(void *address)
{
    if (__tsan_acquire) {
        __tsan_acquire(address);
    }
}

/* ThreadSanitizer does not see that a ring closes a descriptor, and would
 * report a race if another thread got the same number. */
static inline bool wr_race_is_watched(void)
{
    return __tsan_acquire != NULL;
}

/* Represents the addresses of all ring mappings, which the kernel may give to
 * another thread's ring later. Defined in probe.c. */
extern char wr_race_mappings;

#endif
