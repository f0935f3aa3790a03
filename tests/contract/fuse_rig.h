/*
 * A file system that records which thread makes requests.
 *
 * It is made by the test, with FUSE: a child answers the kernel, which names
 * the requesting thread; that thread waits for the answer. So a test finds out
 * whether the loop's thread would wait for a file system that does not answer,
 * and no test hangs.
 *
 * It has one file, of which the kernel caches only the name. Other processes do
 * not see it: it is mounted in this process's own mount namespace, which
 * requires root.
 */
#ifndef WEIR_TESTS_CONTRACT_FUSE_RIG_H
#define WEIR_TESTS_CONTRACT_FUSE_RIG_H

#include <stddef.h>
#include <stdint.h>
#include <weir/loop.h>

/* Path of the file. All its bytes are 'x', and writes are discarded. */
extern char fuse_rig_file[64];
enum { FUSE_RIG_SIZE = 100000 };

/* A descriptor of the test, or -1. The rig closes it after the loop was freed.
 */
extern int fuse_rig_kept;

/* Runs @body as the main task of a loop, with the file system and its open
 * file, which the task closes; or skips the test. Fails if the loop's thread
 * has made a request to the file system, if the hook was called, or if the file
 * is open at the end. */
typedef void fuse_rig_body(weir_loop *loop, int fd);
void fuse_rig_run(fuse_rig_body *body);

/* Returns the first request (FUSE_... of <linux/fuse.h>) that the loop's thread
 * has made, or 0. */
uint32_t fuse_rig_get_asked(void);
size_t fuse_rig_count(uint32_t opcode);

/* Makes requests of one kind fail with @err from now on; 0 lets them succeed
 * again. */
void fuse_rig_fail(uint32_t opcode, int err);

#endif
