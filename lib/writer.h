/*
 * The inside of a stream: one object for both of its sides.
 *
 * A writer is the handle of the whole: it has the reader in it and keeps the
 * transport from connection_made until it is freed, so that getters answer
 * after the loss. What keeps the object is two things: references, of the
 * program and of the handler's task, and the binding, from connection_made
 * until connection_lost. With the last reference the connection is closed, and
 * when both are gone the object is freed.
 */
#ifndef WEIR_LIB_WRITER_H
#define WEIR_LIB_WRITER_H

#include "../include/weir/stream.h"
#include "reader.h"
#include "task.h"
#include "transport.h"

struct weir_writer {
    weir_loop *loop;
    weir_transport *transport; /* NULL before connection_made */
    weir_client_connected_fn *client_connected; /* or NULL */
    void *arg;
    struct wr_owner *owner;  /* what waits for the handler task, or NULL */
    struct wr_holder holder; /* in the owner's list, with */
    weir_task *task;         /* that task */
    size_t stack_size_bytes;
    struct wr_list drainers; /* tasks that wait for the low mark, */
    struct wr_list flushers; /* for everything to be sent, */
    struct wr_list closers;  /* for the loss */
    uint32_t refs;
    bool no_task : 1;
    bool is_bound : 1; /* set by connection_made, cleared by the loss */
    struct weir_reader reader;
};

/* writer.c */

/* The low mark was reached, or all was sent, or the queue was dropped: those
 * that wait look again. */
void wr_writer_resumed(void *writer);
/* The connection is lost. */
void wr_writer_lost(weir_writer *writer);

/* stream.c */

/* Nobody refers to it and nothing is bound to it. */
void wr_stream_free(weir_writer *writer);

/* Are the values of complete options good? 0 or -EINVAL. */
int wr_stream_check(const struct weir_stream_protocol_options *options);

#endif
