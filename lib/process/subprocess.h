/*
 * Subprocess transports, for the makers above.
 *
 *     STARTING --> OPEN --> CLOSING --> LOST
 *         |          '--------------------^
 *         '--> DISCARDED -----------------'
 *
 * A transport exists from the moment its child does. It is STARTING until its
 * pipes are opened and the factory was asked: in the call of a task, else in
 * the next turn. Where that fails, or the program has changed its mind, it is
 * DISCARDED: its child is killed, and done is called when the child has ended.
 * An OPEN one is lost when its child has ended and all pipes are closed; a
 * CLOSING one has closed its pipes and signalled its child for that.
 *
 * Each pipe is a transport of its own with a protocol of this room, which calls
 * the subprocess's protocol, or the sink that a maker has given for the pipe.
 */
#ifndef WEIR_LIB_PROCESS_SUBPROCESS_H
#define WEIR_LIB_PROCESS_SUBPROCESS_H

#include "child.h"
#include "lib/loop/pending.h"
#include "lib/transport/transport.h"
#include "stdio.h"
#include "weir/subprocess.h"

enum wr_subprocess_state {
    WR_SUBPROCESS_STARTING,
    WR_SUBPROCESS_DISCARDED,
    WR_SUBPROCESS_OPEN,
    WR_SUBPROCESS_CLOSING,
    WR_SUBPROCESS_LOST,
    WR_SUBPROCESS_STATES,
};

/* One of the child's standard descriptors. */
struct wr_subprocess_pipe {
    struct wr_subprocess *subprocess;
    weir_transport *t; /* with a reference; NULL: no pipe, or none yet */
    /* Called instead of the subprocess's protocol, if it has a table. */
    struct weir_protocol_binding sink;
    bool is_open; /* cleared by its loss */
};

struct wr_subprocess {
    weir_transport t;            /* first */
    struct weir_pending pending; /* the program's handle, until done returns */
    enum wr_subprocess_state state;
    struct wr_child child;
    struct wr_stdio stdio; /* until the pipes are opened */
    struct wr_subprocess_pipe pipes[WR_STDIO_COUNT];
    struct wr_ready ready;       /* while it is STARTING */
    struct wr_timer grace_timer; /* between SIGTERM and SIGKILL */
    uint64_t grace_ns;           /* 0: SIGKILL at once */
    struct weir_factory factory;
    weir_connect_done_fn *done; /* until it is called */
    void *done_arg;
    int cause; /* the cause of giving up before done, or 0 */
};

/* Reads the options of a child that @outer ends with; see options.h. */
WEIR_MUST_USE int wr_spawn_options_read(const void *outer,
                                        struct weir_spawn_options *spawn);

/* Makes the child and connects its protocol, in this call, from a task: the
 * factory, connection_made and the sinks call no code of the program. A sink
 * with a table is called for its pipe instead of the protocol. @options were
 * read. After an error there is no child, or one that is killed and that
 * nothing reports. */
WEIR_MUST_USE int
wr_subprocess_open(weir_loop *loop, const struct weir_factory *factory,
                   const char *const *argv,
                   const struct weir_spawn_options *options,
                   const struct weir_protocol_binding sinks[WR_STDIO_COUNT]);

/* The arguments of a shell that runs @command. */
#define WR_SHELL_ARGV(command)                                                 \
    (const char *const[])                                                      \
    {                                                                          \
        "/bin/sh", "-c", (command), NULL                                       \
    }

/* ---- subprocess_calls.c ---- */

/* A transport without a child; NULL without memory. */
WEIR_MUST_USE struct wr_subprocess *wr_subprocess_new(weir_loop *loop);

/* ---- subprocess.c ---- */

void wr_subprocess_init(struct wr_subprocess *s, weir_loop *loop,
                        const struct wr_transport_ops *ops);

/* The child was made; from now on the loop handles it. */
void wr_subprocess_begin(struct wr_subprocess *s);

/* Opens the pipes, asks the factory and calls connection_made, once. After an
 * error the transport is DISCARDED. */
WEIR_MUST_USE int wr_subprocess_connect(struct wr_subprocess *s);

/* The only writer of the state. */
void wr_subprocess_set_state(struct wr_subprocess *s,
                             enum wr_subprocess_state state);
void wr_subprocess_check_invariants(const struct wr_subprocess *s);
bool wr_subprocess_has_open_pipe(const struct wr_subprocess *s);

/* Ends everything at once. The cause of the end is set. */
void wr_subprocess_doom(struct wr_subprocess *s);

/* No protocol is connected, because of @err: nothing reports the child's end.
 */
void wr_subprocess_discard(struct wr_subprocess *s, int err);

#endif
