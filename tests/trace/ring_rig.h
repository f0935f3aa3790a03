/*
 * A ring on the fake machine, for tests that use it directly.
 *
 * Operations are made with uring/op.h, like weir's; their results are recorded
 * in order. An iteration is one enter with all its completions.
 */
#ifndef WEIR_TESTS_TRACE_RING_RIG_H
#define WEIR_TESTS_TRACE_RING_RIG_H

#include "tests/fake/fake.h"
#include "tests/unit.h"
#include "uring/guard.h"
#include "uring/op.h"
#include "uring/sys.h"

#define BUF_SIZE   4096u
#define BUF_COUNT  4u
#define RESULT_MAX 128

/* A ring on the machine, a socket and an operation. */
struct ring_rig {
    struct wr_uring uring;
    int fd;                 /* -1 if the test has closed it */
    struct fake_peer *peer; /* NULL likewise */
    struct wr_op op;
    uint8_t bufs[BUF_COUNT][BUF_SIZE];
};

struct result {
    struct wr_op *op;
    int32_t res;
    uint32_t flags;
};

extern struct ring_rig rig;
extern struct result results[RESULT_MAX];
extern uint32_t result_count;

void note(struct wr_op *op, int32_t res, uint32_t flags);
void rig_start(const struct fake_options *options);
void rig_provide(uint32_t count);

/* Enters and waits for up to @want completions. Returns their number. */
uint32_t rig_turn(uint32_t want, uint64_t timeout_ns);
void rig_stop(void);

/* Starts the rig with a connected socket and this number of buffers. */
void rig_begin(const struct fake_options *options, uint32_t buf_count);
/* Prepare a receive, or a send, of that socket. */
void rig_prep_recv(uint32_t credit);
void rig_prep_send(const void *data, size_t len);
/* Runs the body of a test, which starts the rig, and ends the rig. */
void rig_test(void (*body)(void));
int rig_connect(struct fake_peer **ret_peer);
void write_all(struct fake_peer *peer, size_t len);

#endif
