/*
 * Files whose bytes are the rig's pattern, and one sendfile at a time.
 *
 * Byte n of a file is byte n of the pattern that the subject sends, so a part
 * of a file goes on where the writes have ended if its offset is rig->written.
 */
#ifndef WEIR_TESTS_CONTRACT_SENDING_RIG_H
#define WEIR_TESTS_CONTRACT_SENDING_RIG_H

#include "tests/contract/harness.h"

#include <weir/sendfile.h>

/* What done was told of the file that is being sent. */
struct sending {
    struct rig *rig;
    int calls;
    int err;
    uint64_t sent;
    bool before_loss; /* connection_lost had not been called */
};

extern struct sending sending;

/* A file of @size bytes on the disk of the build folder, which has no name. */
int pattern_file(uint64_t size);
/* The same; the end of the round closes it. */
int own_file(struct rig *rig, uint64_t size);

/* Takes the file out of the page cache; false where that is not possible. */
bool make_cold(int fd);

/* Pages of the file in the cache; -1: not known. */
int64_t count_cached(int fd);

/* Sends from rig->written on. */
void begin_sending(struct rig *rig, int fd, uint64_t count);
/* The same with all of an own_file(). */
int send_own_file(struct rig *rig, uint64_t size);

/* Until done is called, while the peer does not read. */
void wait_done(struct rig *rig);

/* Reads as the peer until done is called, and what was sent until then. */
void read_until_done(struct rig *rig);

/* A write and a close of the subject, which the peer reads to the end. */
void expect_usable(struct rig *rig);

#endif
