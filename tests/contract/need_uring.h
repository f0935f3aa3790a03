/*
 * Tests of io_uring itself, on a kernel that may be too old for it.
 *
 * Most tests hold with either engine. Those that ask for io_uring in so many
 * words have nothing to test where the kernel, or an emulator of it, lacks it.
 */
#ifndef WEIR_TESTS_CONTRACT_NEED_URING_H
#define WEIR_TESTS_CONTRACT_NEED_URING_H

/* Skips the test if there is no io_uring, or one older than weir needs. */
void need_uring(void);

#endif
