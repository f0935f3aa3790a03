/*
 * A loop with children, and a protocol that notes what it is told of each.
 *
 * child_test() opens the loop, runs the body with a child and closes it.
 * The notes of a child are one line of text, in the order of the callbacks:
 * "made lost1 exited lost", say; bytes are collected apart, for each
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
    weir_pending *handle; /* until done */
    weir_transport *t;    /* with a reference, from connection_made on */
    char notes[512];
    char bytes[3][CHILD_BYTES_MAX]; /* the first ones, with an end */
    size_t byte_count[3];
    int pipe_err[3]; /* of pipe_connection_lost; 1: not called */
    bool is_done;
    bool has_exited;
    bool is_lost;
    int done_err;
    int lost_err;
    int factory_result;
    int data_result;    /* of pipe_data_received */
    bool stops_at_exit; /* stop the loop at process_exited, not lost */
    void (*made)(struct child *child);
    void (*exited)(struct child *child);
    void (*resumed)(struct child *child);
};

extern const struct weir_protocol child_protocol;

struct weir_factory child_factory(struct child *child);

/* The done of a call; its argument is the child. */
void child_done(void *arg, int err, weir_transport *t);

/* Starts a child that must start: a program, or a command of the shell. With
 * NULL for the options all are the default. */
void child_exec(struct child *child, const char *const *argv,
                const struct weir_spawn_options *spawn);
void child_shell(struct child *child, const char *command,
                 const struct weir_spawn_options *spawn);

/* Runs the loop until the child's transport is lost, or done failed. */
void child_wait(struct child *child);
/* Runs it until the child has ended. */
void child_wait_exit(struct child *child);

/* The child's end of one of its pipes, which there must be. */
weir_transport *child_pipe(const struct child *child, int fd);
/* More than its input takes without waiting. */
void child_write_much(struct child *child);

/* Gives the reference back. */
void child_forget(struct child *child);

/* Of a child that has ended. */
int child_returncode(const struct child *child);

/* What a command writes, and its exit status. */
const char *child_output(struct child *child, const char *command,
                         const struct weir_spawn_options *spawn);

/* Fails when a process is left that was not reaped. */
void child_expect_none(void);

/* Transports that the end of the loop is to find alive; 0 unless set. */
extern int children_left;

/* Opens the loop, runs a body and closes it. */
void children_run(void (*body)(void));

/* The same for a body with a child, which may be one that it never makes. A
 * file says UNIT_RUN child_test and UNIT_TAKES struct child *child. */
void child_test(void (*body)(struct child *child));

/* Runs the body of a TASK(). */
void rig_run_body(void (*body)(void));

#endif
