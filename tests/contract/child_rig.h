/*
 * A loop with children, and a protocol that records their events.
 *
 * child_test() opens the loop, runs the body with a child and closes the loop.
 * The record of a child is one line of text, in the order of the callbacks,
 * such as "made lost1 exited lost". Bytes are collected separately for each
 * descriptor.
 */
#ifndef WEIR_TESTS_CONTRACT_CHILD_RIG_H
#define WEIR_TESTS_CONTRACT_CHILD_RIG_H

#include "tests/contract/loop_rig.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <weir/subprocess.h>

enum { CHILD_BYTES_MAX = 4096 };

struct child {
    weir_pending *handle;
    weir_transport *t; /* a reference, from connection_made on */
    char notes[512];
    char bytes[3][CHILD_BYTES_MAX];
    size_t byte_count[3];
    int pipe_err[3]; /* error passed to pipe_connection_lost; 1: not called */
    bool is_done;
    bool has_exited;
    bool is_lost;
    int done_err;
    int lost_err;
    int factory_result;
    int data_result;
    bool stops_at_exit;
    void (*made)(struct child *child);
    void (*exited)(struct child *child);
    void (*resumed)(struct child *child);
};

extern const struct weir_protocol child_protocol;

struct weir_factory child_factory(struct child *child);

void child_done(void *arg, int err, weir_transport *t);

/* Starting must succeed. NULL means the default options. */
void child_exec(struct child *child, const char *const *argv,
                const struct weir_spawn_options *spawn);
void child_shell(struct child *child, const char *command,
                 const struct weir_spawn_options *spawn);

/* Runs the loop until the child's transport is lost, or until done reports an
 * error. */
void child_wait(struct child *child);
void child_wait_exit(struct child *child);

weir_transport *child_pipe(const struct child *child, int fd);
/* Writes more than the child's input accepts without waiting. */
void child_write_much(struct child *child);

void child_forget(struct child *child);

int child_returncode(const struct child *child);

const char *child_output(struct child *child, const char *command,
                         const struct weir_spawn_options *spawn);

void child_expect_none(void);

/* Number of transports that are to be alive at the end of the loop; 0 by
 * default. */
extern int children_left;

void children_run(void (*body)(void));

/* Like children_run(), for a body with a child, which it need not start. A file
 * defines UNIT_RUN as child_test and UNIT_TAKES as struct child *child. */
void child_test(void (*body)(struct child *child));

void rig_run_body(void (*body)(void));

#endif
