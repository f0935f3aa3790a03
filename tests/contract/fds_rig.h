/*
 * The rig of the tests that pass descriptors over Unix sockets.
 *
 * A mark is a descriptor that can be told from all others, wherever it was
 * passed to: an eventfd with a number in it.
 */
#ifndef WEIR_TESTS_CONTRACT_FDS_RIG_H
#define WEIR_TESTS_CONTRACT_FDS_RIG_H

#include "tests/contract/harness.h"
#include "tests/contract/rights.h"
#include "tests/dump.h"

/* The number of descriptors that are open in this process. */
int fds_count_open(void);

int mark_open(unsigned int number);
/* The number of a mark, which is closed; each mark can be asked once. */
uint64_t mark_close(int fd);

/* A pipe whose writing end is passed on: when all of them are closed its
 * reading end, ends[0], says so. */
void passed_pipe(int ends[2]);
/* Expects that no writing end is open anywhere, and closes the reading end. The
 * loop may still have to close its own. */
void expect_pipe_closed(struct rig *rig, int reading_end);

/* True where the kernel refuses descriptors that no one asked for. */
bool fds_are_refused(weir_loop *loop);

/* Asks a Unix socket for whatever else comes beside bytes: credentials, a
 * security label, and a pidfd. */
void ask_for_everything(const weir_transport *t);

/* ---- the peer sends ---- */

/* Sends at most @len bytes of the pattern with these descriptors: how many, at
 * least one, or -errno. */
ssize_t peer_send_fds(struct rig *rig, size_t len, const int *fds,
                      size_t count);

/* ---- the peer receives ---- */

struct peer_message {
    uint64_t at; /* place of its first byte */
    size_t len;  /* 0: the end of the stream */
    int flags;
    size_t count;
    int fds[WEIR_FDS_MAX];
};

/* Receives at most @room bytes, and descriptors; the loop turns meanwhile. */
void peer_receive(struct rig *rig, size_t room, struct peer_message *ret);

/* The subject sends the next @len bytes of the pattern with descriptors. */
int rig_send_fds(struct rig *rig, size_t len, const int *fds, size_t count);

#endif
