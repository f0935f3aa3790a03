/*
 * Internals of a stream: one object for both of its sides.
 *
 *     UNBOUND --connection_made--> BOUND --connection_lost--> LOST
 *                                    '--detach--> DETACHED
 *
 * The writer contains the reader, and holds the transport from connection_made
 * until it is freed or detached, so that getters work after the loss. The
 * program, the handler's task and waiting calls hold references; the last one
 * closes the connection. The object is freed when it has neither a reference
 * nor a connection.
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
    WRITER_DETACHED, /* the connection has another protocol */
};

struct weir_writer {
    weir_loop *loop;
    weir_transport *transport;
    weir_client_connected_fn *client_connected; /* may be NULL */
    void *arg;
    struct wr_connection_set *set;
    struct wr_handler handler;
    weir_task *task; /* of client_connected, or NULL */
    size_t stack_size_bytes;
    struct wr_list drainers; /* tasks that wait for the low mark */
    struct wr_list flushers; /* tasks that wait for an empty queue */
    struct wr_list closers;  /* tasks that wait for the loss */
    struct wr_flush flush;
    uint32_t refs;
    enum writer_state state;
    bool no_task; /* client_connected is called without a task */
    struct weir_reader reader;
};

void wr_writer_set_state(weir_writer *writer, enum writer_state state);
void wr_writer_check_invariants(const weir_writer *writer);

static inline void wr_writer_debug_check(const weir_writer *writer)
{
    wr_debug_assert(wr_loop_check(writer->loop) < 0 ||
                    (wr_writer_check_invariants(writer), true));
}

/* Wakes the tasks that wait for the low mark or for an empty queue. */
void wr_writer_resumed(void *writer);

void wr_writer_lost(weir_writer *writer);

static inline bool wr_writer_is_busy(const weir_writer *writer)
{
    return !wr_list_is_empty(&writer->drainers) ||
           !wr_list_is_empty(&writer->flushers) ||
           !wr_list_is_empty(&writer->closers);
}

/* Makes a stream without a reference. Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_stream_make(weir_loop *loop,
                                 const struct weir_stream_options *options,
                                 const struct wr_handler_ops *handler_ops,
                                 weir_writer **ret);

void wr_stream_free(weir_writer *writer);

WEIR_MUST_USE int wr_stream_check(const struct weir_stream_options *options);

/* Returns 0 or an error of weir_stream_detach(). */
WEIR_MUST_USE int wr_stream_may_leave(const weir_writer *writer);

/* Gets the unread bytes of a stream that may leave, and resumes reading.
 * Returns 0 or -ENOMEM. wr_stream_leave() or wr_reader_note_left() must
 * follow. */
WEIR_MUST_USE int wr_stream_gather(weir_writer *writer, struct weir_buf *ret);

/* Ends a stream whose connection has another protocol. */
void wr_stream_leave(weir_writer *writer);

/* Starts a suspending call. @unread is the result of reading its options;
 * @is_complete is false if an argument is missing. Returns 0 or an error. */
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
