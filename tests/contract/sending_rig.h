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

struct sending {
    struct rig *rig;
    int calls;
    int err;
    uint64_t sent;
    bool before_loss;
};

extern struct sending sending;

int pattern_file(uint64_t size);
/* Like pattern_file(); the end of the round closes it. */
int own_file(struct rig *rig, uint64_t size);

bool make_cold(int fd);

/* Returns the number of the file's pages in the cache, or -1 if unknown. */
int64_t count_cached(int fd);

void begin_sending(struct rig *rig, int fd, uint64_t count);
int send_own_file(struct rig *rig, uint64_t size);

/* Waits until done is called, while the peer does not read. */
void wait_done(struct rig *rig);

void read_until_done(struct rig *rig);

void expect_usable(struct rig *rig);

#endif
