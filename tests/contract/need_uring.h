/*
 * Tests of io_uring itself, on a kernel that may be too old for it.
 *
 * Most tests hold with either engine. Tests that request io_uring explicitly
 * are skipped if the kernel, or an emulator of it, does not have it.
 */
#ifndef WEIR_TESTS_CONTRACT_NEED_URING_H
#define WEIR_TESTS_CONTRACT_NEED_URING_H

void need_uring(void);

#endif
