/*
 * What the tests of the ring interface share: a ring, a connection on it, and
 * the results of an iteration.
 *
 * UNIT() runs a body on each machine (seam_machine.h), with an established
 * connection and an idle operation.
 */
#ifndef WEIR_TESTS_UNIT_SEAM_RIG_H
#define WEIR_TESTS_UNIT_SEAM_RIG_H

#ifndef UNIT_RUN
#define UNIT_RUN on_each_machine
#endif
#define UNIT_TAKES struct wr_op *op
#include "tests/unit/seam_machine.h"

#include "tests/unit.h"
#include "uring/sys.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

enum { BUF_SIZE = 4096, BUF_COUNT = SEAM_BUFS, RESULT_MAX = 256 };

struct result {
    const struct wr_op *op;
    int32_t res;
    uint32_t flags;
};

extern struct wr_uring *uring;
extern struct result results[RESULT_MAX]; /* results of the last iteration */
extern int result_count;
extern uint8_t bufs[BUF_COUNT][BUF_SIZE];
extern int ends[2]; /* accepted, connected; -1 if closed */

void on_each_machine(void (*body)(struct wr_op *op));

/* The body's operation, as a file operation. */
static inline struct wr_file_op *of_file(struct wr_op *op)
{
    return wr_container_of(op, struct wr_file_op, base);
}

/* Callback of the operations. */
void note(struct wr_op *op, int32_t res, uint32_t flags);

/* Enters the kernel once, waits at most this long for a completion, and handles
 * all completions. */
void turn(uint64_t timeout_ns);

/* Turns until the operation has ended. Returns its last result. */
int32_t ended(const struct wr_op *op);

/* Creates the ring of buffers, and adds the first @count. */
void provide(int count);

struct sockaddr_in listen_at(int *ret_fd);

/* Makes a connection with a pending accept and a connect. */
void connect_ends(void);

void send_at(int end, const char *text);
/* Sends from the connecting end, without an iteration. */
void send_now(const char *text);

/* Returns 1 if the descriptor is readable within this time. */
int is_readable(int fd, int wait_ms);

/* After some iterations, expects that waits last: each may end early, but at
 * most @most in 20 milliseconds. */
void expect_waits(int most);
void expect_no_spin(void);

/* Prepares a receive of the accepted end into a provided buffer. */
void prep_recv(struct wr_op *op, bool once);

#endif
