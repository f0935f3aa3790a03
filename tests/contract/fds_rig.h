/*
 * The rig of the tests that pass descriptors over Unix sockets.
 *
 * A mark is a descriptor that can be recognised wherever it is passed: an
 * eventfd that contains a number.
 */
#ifndef WEIR_TESTS_CONTRACT_FDS_RIG_H
#define WEIR_TESTS_CONTRACT_FDS_RIG_H

#include "tests/contract/harness.h"
#include "tests/contract/rights.h"
#include "tests/dump.h"

int fds_count_open(void);

int mark_open(unsigned int number);
/* Closes a mark. Returns its number, which can be read only once. */
uint64_t mark_close(int fd);

/* Makes a pipe whose writing end is passed on. Once all copies of that end are
 * closed, the reading end, ends[0], is at its end. */
void passed_pipe(int ends[2]);
/* Expects that no copy of the writing end is open, and closes the reading end.
 * Waits until the loop has closed its copies. */
void expect_pipe_closed(struct rig *rig, int reading_end);

bool fds_are_refused(weir_loop *loop);

void ask_for_everything(const weir_transport *t);

/* Returns how many bytes of the pattern were sent, at least one, or -errno. */
ssize_t peer_send_fds(struct rig *rig, size_t len, const int *fds,
                      size_t count);

struct peer_message {
    uint64_t at;
    size_t len; /* 0 at the end of the stream */
    int flags;
    size_t count;
    int fds[WEIR_FDS_MAX];
};

void peer_receive(struct rig *rig, size_t room, struct peer_message *ret);

int rig_send_fds(struct rig *rig, size_t len, const int *fds, size_t count);

#endif
