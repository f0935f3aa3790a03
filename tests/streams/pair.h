/*
 * A stream and its peer on the fake machine.
 *
 * The stream is opened on a connected descriptor; the test, which is a task,
 * plays the peer. Bytes are a pattern in which each depends on its position.
 * nap() runs everything that can happen without the peer.
 */
#ifndef WEIR_TESTS_STREAMS_PAIR_H
#define WEIR_TESTS_STREAMS_PAIR_H

#include "tests/tasks/rig.h"

#define KIB (1u << 10)
#define MIB (1u << 20)

struct pair {
    weir_reader *reader;
    weir_writer *writer;
    weir_transport *t;
    struct fake_peer *peer;
    int fd;
    uint64_t written;   /* by pair_write() */
    uint64_t peer_read; /* by the peer */
};

uint8_t pair_byte(uint64_t offset);
void nap(void);
void pair_open(struct pair *p);
void pair_close(struct pair *p);

/* Runs @body as TASK() does, with an open pair. */
void pair_test(void (*body)(struct pair *p));

/* Writes the next @len bytes of the pattern. */
int pair_write(struct pair *p, size_t len);

/* The peer reads up to @len bytes and checks them. Returns their number. */
size_t pair_peer_read(struct pair *p, size_t len);

/* The peer reads until no more bytes arrive. */
void pair_peer_read_all(struct pair *p);
void pair_peer_write(struct pair *p, const char *text);
/* The peer writes @text; then nap(). */
void pair_peer_says(struct pair *p, const char *text);

/* Expects that a read returns @text at once. */
void pair_expect_read(struct pair *p, const char *text);

/* A task that makes one call on a writer. */
struct writer_call {
    struct pair *p;
    int (*fn)(weir_writer *writer);
    weir_task *task;
    bool is_done;
    int result;
    uint64_t depth; /* queued bytes at its return */
    uint64_t taken; /* bytes sent until its return */
    uint64_t sends; /* completed sends until its return */
};

void call_start(struct writer_call *call, struct pair *p,
                int (*fn)(weir_writer *writer));

/* Expects that the call has returned, and returns its result. */
int call_end(struct writer_call *call);

#endif
