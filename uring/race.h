/*
 * Telling ThreadSanitizer what it cannot see by itself.
 *
 * A program that is built with it knows the order of two threads from the calls
 * that it intercepts. It sees no atomic of a library that was built without it,
 * and no mapping that is made by a raw system call, as liburing's. So one
 * thread says what it lets go of, and the next what it takes over: a post, or
 * the addresses of a ring that has gone. Elsewhere the two functions do not
 * exist, and nothing is called.
 */
#ifndef WEIR_URING_RACE_H
#define WEIR_URING_RACE_H

/* Of the sanitizer's run-time library (sanitizer/tsan_interface.h). */
extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

/* Before the step by which others may take @address over. */
static inline void wr_race_release(void *address)
{
    if (__tsan_release) {
        __tsan_release(address);
    }
}

/* After the step by which this thread has taken @address over. */
static inline void wr_race_acquire(void *address)
{
    if (__tsan_acquire) {
        __tsan_acquire(address);
    }
}

/* Stands for all addresses at which rings were mapped: the kernel gives them
 * from one thread to another. In probe.c. */
extern char wr_race_mappings;

#endif
