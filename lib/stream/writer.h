/*
 * The inside of a stream: one object for both of its sides.
 *
 *     UNBOUND --connection_made--> BOUND --connection_lost--> LOST
 *
 * A writer is the handle of the whole: it has the reader in it and keeps the
 * transport from connection_made until it is freed, so that getters answer
 * after the loss. The object is kept by references, of the program, of the
 * handler's task and of calls that wait, and by the connection while it is
 * bound. With the last reference the connection is closed; with the last
 * reference and without a connection the object is freed.
 */
#ifndef WEIR_LIB_STREAM_WRITER_H
#define WEIR_LIB_STREAM_WRITER_H

#include "lib/task/task.h"
#include "lib/transport/transport.h"
#include "reader.h"
#include "weir/stream.h"

enum writer_state {
    WRITER_UNBOUND,
    WRITER_BOUND,
    WRITER_LOST,
};

struct weir_writer {
    weir_loop *loop;
    weir_transport *transport;                  /* NULL: unbound */
    weir_client_connected_fn *client_connected; /* or NULL */
    void *arg;
    struct wr_connection_set *set; /* in whose list the handler is */
    struct wr_handler handler;     /* the task, for the set */
    weir_task *task;               /* that runs client_connected, or NULL */
    size_t stack_size_bytes;
    struct wr_list drainers; /* tasks that wait for the low mark */
    struct wr_list flushers; /* tasks that wait for a depth of 0 */
    struct wr_list closers;  /* tasks that wait for the loss */
    uint32_t refs;
    enum writer_state state;
    bool no_task; /* client_connected is called without a task */
    struct weir_reader reader;
};

/* ---- writer.c ---- */

void wr_writer_set_state(weir_writer *writer, enum writer_state state);
void wr_writer_check_invariants(const weir_writer *writer);

/* wr_writer_check_invariants() on the way of every message. */
static inline void wr_writer_debug_check(const weir_writer *writer)
{
    wr_debug_assert(wr_loop_check(writer->loop) < 0 ||
                    (wr_writer_check_invariants(writer), true));
}

/* The low mark was reached, or all was sent, or the queue was dropped: the
 * tasks that wait for one of these look again. */
void wr_writer_resumed(void *writer);

/* The connection is lost: all tasks that wait look again. */
void wr_writer_lost(weir_writer *writer);

/* ---- stream_memory.c ---- */

/* Makes a stream without a reference, by options that are complete and checked:
 * 0 or -ENOMEM. */
WEIR_MUST_USE int wr_stream_make(weir_loop *loop,
                                 const struct weir_stream_options *options,
                                 const struct wr_handler_ops *handler_ops,
                                 weir_writer **ret);

/* Frees a stream that has no reference and no connection. */
void wr_stream_free(weir_writer *writer);

/* ---- stream.c ---- */

/* Checks the values of complete options: 0 or -EINVAL. */
WEIR_MUST_USE int wr_stream_check(const struct weir_stream_options *options);

/* Begins a suspending call that makes a stream or a server of streams: 0, or
 * what it returns. @unread is the result of reading its options, and
 * @is_complete that no argument is missing. */
WEIR_MUST_USE static inline int wr_stream_enter(weir_loop *loop, int unread,
                                                bool is_complete)
{
    int err = wr_task_enter(loop);
    if (err < 0) {
        return err;
    }
    return is_complete ? unread : -EINVAL;
}

#endif
