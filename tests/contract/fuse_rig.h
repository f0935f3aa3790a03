/*
 * A file system that sees who asks it.
 *
 * It is the test's own, by FUSE: a child answers the kernel, which tells for
 * which thread each request is; that thread waits for the answer. So the test
 * learns whether the loop's thread would wait for a file system that does not
 * answer, and none ever hangs.
 *
 * There is one file, of which the kernel remembers the name and nothing else.
 * Other processes do not see it: it is mounted in a mount namespace of this
 * one, which takes root.
 */
#ifndef WEIR_TESTS_CONTRACT_FUSE_RIG_H
#define WEIR_TESTS_CONTRACT_FUSE_RIG_H

#include <stddef.h>
#include <stdint.h>
#include <weir/loop.h>

/* The file, of which all bytes are 'x' and writes are forgotten. */
extern char fuse_rig_file[64];
enum { FUSE_RIG_SIZE = 100000 };

/* A descriptor of the test's own; -1: none. The rig closes it when the loop has
 * gone. */
extern int fuse_rig_kept;

/* Runs @body as the main task of a loop, beside the file system, with its file,
 * which the task closes; or skips the test. It fails where the loop's thread
 * has asked the file system, the hook was told, or the file is open at the
 * end. */
typedef void fuse_rig_body(weir_loop *loop, int fd);
void fuse_rig_run(fuse_rig_body *body);

/* The first request, as FUSE_... of <linux/fuse.h>, that the loop's thread
 * made; 0: none. */
uint32_t fuse_rig_get_asked(void);
/* Requests of one kind that any thread made. */
size_t fuse_rig_count(uint32_t opcode);

/* From now on requests of one kind fail with @err; 0: they succeed again. */
void fuse_rig_fail(uint32_t opcode, int err);

#endif
