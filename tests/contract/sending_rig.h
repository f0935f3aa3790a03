/*
 * Files that contain the rig's pattern, and one sendfile at a time.
 *
 * Byte n of a file is byte n of the pattern that the subject sends, so a part
 * of a file continues after the writes if its offset is rig->written.
 */
#ifndef WEIR_TESTS_CONTRACT_SENDING_RIG_H
#define WEIR_TESTS_CONTRACT_SENDING_RIG_H

#include "tests/contract/harness.h"

#include <weir/sendfile.h>

/* What done reported about the file being sent. */
struct sending {
    struct rig *rig;
    int calls;
    int err;
    uint64_t sent;
    bool before_loss; /* connection_lost had not been called */
};

extern struct sending sending;

/* Creates an unnamed file of @size bytes on the disk of the build folder. */
int pattern_file(uint64_t size);
/* Like pattern_file(); the end of the round closes it. */
int own_file(struct rig *rig, uint64_t size);

/* Drops the file from the page cache. Returns false if that is not possible. */
bool make_cold(int fd);

/* Returns the number of the file's pages in the cache, or -1 if unknown. */
int64_t count_cached(int fd);

/* Sends the file, starting at rig->written. */
void begin_sending(struct rig *rig, int fd, uint64_t count);
/* Sends all of an own_file(). */
int send_own_file(struct rig *rig, uint64_t size);

/* Waits until done is called, while the peer does not read. */
void wait_done(struct rig *rig);

/* Reads as the peer until done is called, and then everything sent until then.
 */
void read_until_done(struct rig *rig);

/* Writes and closes the subject; the peer reads to the end. */
void expect_usable(struct rig *rig);

#endif
