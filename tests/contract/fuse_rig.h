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

/* The file, of which all bytes are 'x' and writes are forgotten. */
extern char fuse_rig_file[64];
enum { FUSE_RIG_SIZE = 100000 };

/* Mounts it in a folder of its own, or skips the test. The file has been opened
 * once before it returns. */
void fuse_rig_mount(void);
/* Fails the test where its file is open still. */
void fuse_rig_unmount(void);

/* From now on the calling thread should not ask. */
void fuse_rig_watch(void);
/* The first request, as FUSE_... of <linux/fuse.h>, with which it did since
 * then; 0: it did not. */
uint32_t fuse_rig_get_asked(void);
/* Requests of one kind that any thread made since then. */
size_t fuse_rig_count(uint32_t opcode);

/* From now on requests of one kind fail with @err; 0: they succeed again. */
void fuse_rig_fail(uint32_t opcode, int err);

#endif
