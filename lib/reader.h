/*
 * The inside of readers, for the stream protocol that owns one.
 */
#ifndef WEIR_LIB_READER_H
#define WEIR_LIB_READER_H

#include "../include/weir/stream.h"
#include "loop.h"
#include "recvq.h"
#include "task.h"

struct weir_reader {
    struct wr_recvq queue;
    weir_loop *loop;
    weir_transport *transport; /* that feeds it, or NULL */
    struct wr_list waiters;    /* the task that waits for bytes */
    struct wr_sender keeper;   /* at the end of the turn: compact */
    size_t limit_bytes;
    size_t needed;   /* bytes that the waiting task is waiting for */
    size_t consumed; /* of the last WEIR_ELIMIT */
    size_t expected; /* of the last WEIR_EINCOMPLETE */
    int exception;   /* the first, sticky */
    bool is_eof;     /* set by feed_eof */
    bool is_reading; /* a task is inside a call, set and cleared by it */
    bool is_paused;  /* the transport was paused by this reader */
};

/* In place; @limit_bytes is above 0. */
void wr_reader_init(weir_reader *reader, weir_loop *loop, size_t limit_bytes);

/* Frees what it holds. A task that waits gets -ECANCELED. */
void wr_reader_fini(weir_reader *reader);

#endif
