/*
 * The inside of readers, for the stream protocol that owns one, and what the
 * reading calls in reader.c and reader_until.c share.
 *
 * A reading call that has to wait may find, when its task goes on, that the
 * reader is no more. So each has a visit on its stack, which wr_reader_fini()
 * tells; a wait that returns an error says nothing about the reader, which
 * must then not be touched.
 */
#ifndef WEIR_LIB_READER_H
#define WEIR_LIB_READER_H

#include "../include/weir/stream.h"
#include "loop.h"
#include "recvq.h"
#include "task.h"

/* A task inside a reading call that is suspended; on its stack. */
struct wr_reader_visit {
    struct wr_waiter waiter;
    struct wr_list link; /* in weir_reader.visits */
    weir_reader *reader; /* NULL: freed meanwhile */
};

struct weir_reader {
    struct wr_recvq queue;
    weir_loop *loop;
    weir_transport *transport;     /* that feeds it, or NULL */
    struct wr_list waiters;        /* the task that waits for bytes */
    struct wr_reader_visit *woken; /* it has them and did not go on yet */
    struct wr_list visits;     /* tasks that let others run before they read */
    struct wr_timer packer;    /* packs what has been kept for some time */
    struct wr_sender keeper;   /* at the end of the turn: compact, pause */
    struct wr_list hoard_link; /* in the pool's, with bytes of it in hand */
    size_t limit_bytes;
    size_t high_bytes; /* with more than that reading is paused */
    size_t needed;     /* bytes that the waiting task is waiting for */
    size_t moved;      /* bytes that a call has in its caller's memory so far */
    size_t consumed;   /* of the last WEIR_ELIMIT */
    size_t expected;   /* of the last WEIR_EINCOMPLETE */
    int exception;     /* the first, sticky */
    bool is_eof;       /* set by feed_eof */
    bool is_paused : 1;  /* the transport was paused by this reader */
    bool tells_idle : 1; /* the transport is told when a task begins to wait */
    bool begins_wait;    /* set around telling it */
    bool is_untouched;   /* nothing was consumed since packer was armed */
    bool must_move;      /* set when others starve, cleared by the keeper */
};

/* In place; @limit_bytes is above 0. */
void wr_reader_init(weir_reader *reader, weir_loop *loop, size_t limit_bytes);

/* Frees what it holds. A task that waits gets -ECANCELED. */
void wr_reader_fini(weir_reader *reader);

/* weir_reader_feed_buf() for a transport: what arrives when the program has
 * ended the reader by hand is dropped, and is no failure of the connection. */
int wr_reader_feed(weir_reader *reader, const struct weir_buf *buf);

/* ---- reader_keep.c ---- */

void wr_reader_keeper_init(weir_reader *reader);
void wr_reader_keeper_fini(weir_reader *reader);

/* The transport, unless it is paused by this reader; or if it is. */
void wr_reader_pause(weir_reader *reader);
void wr_reader_resume(weir_reader *reader);

/* Reads again, if so few bytes are left. */
void wr_reader_resume_if_low(weir_reader *reader);

/* ---- for the reading calls ---- */

/* wr_reader_begin() of a task that may not simply go on. */
int wr_reader_begin_slowly(weir_reader *reader);

/* Bytes were fed that nobody has asked for, or are kept while one waits for
 * more: seen to at the end of the turn. */
static inline void wr_reader_keep(weir_reader *reader)
{
    if (!wr_list_is_linked(&reader->keeper.link)) {
        wr_list_push_back(&reader->loop->dirty, &reader->keeper.link);
    }
}

/* With more than that unread reading is paused, as things stand. */
static inline uint64_t wr_reader_high(const weir_reader *reader)
{
    return wr_budget_reader_high(&reader->loop->pool.budget,
                                 reader->high_bytes);
}

/* Is a task inside a reading call? One that was cancelled is not. */
static inline bool wr_reader_is_busy(const weir_reader *reader)
{
    return reader->woken || !wr_list_is_empty(&reader->waiters);
}

/* Does a task wait for the first byte of what it reads next? If not, the
 * transport is told each time one begins to from now on. */
bool wr_reader_is_idle(weir_reader *reader);

/* Begins a reading call: 0, and then nothing is shown any more, or what it
 * returns. */
static inline int wr_reader_begin(weir_reader *reader)
{
    if (WR_UNLIKELY(!wr_task_try_enter(reader->loop))) {
        return wr_reader_begin_slowly(reader);
    }
    if (WR_UNLIKELY(wr_reader_is_busy(reader))) {
        return -EBUSY;
    }
    wr_recvq_drop_shown(&reader->queue);
    return 0;
}

/* The same with a visit of the caller, whose reader tells whether there is one
 * after an error. */
int wr_reader_wait_as(weir_reader *reader, struct wr_reader_visit *visit,
                      size_t needed);

/* weir_reader_readexactly() of much: into the caller's memory as it arrives. */
ssize_t wr_reader_exact(weir_reader *reader, void *buf, size_t len);

/* Bytes that can be read, now or by the call that has a part of them. */
static inline size_t wr_reader_available(const weir_reader *reader)
{
    return reader->queue.total + reader->moved;
}

/* Waits until @needed bytes are buffered or no more will come: 0, or an error,
 * and then the reader may be gone. */
int wr_reader_wait(weir_reader *reader, size_t needed);

/* Waits for @len bytes: 0, WEIR_EINCOMPLETE, the stream's error or one of
 * wr_reader_wait(). */
int wr_reader_ensure(weir_reader *reader, size_t len);

/* Bytes were consumed. */
static inline void wr_reader_consumed(weir_reader *reader)
{
    reader->is_untouched = false;
    if (WR_UNLIKELY(reader->is_paused)) {
        wr_reader_resume_if_low(reader);
    }
    if (reader->queue.total > 0) {
        wr_reader_keep(reader);
    }
}

/* Copies the first @len bytes out. */
static inline ssize_t wr_reader_copy_out(weir_reader *reader, void *buf,
                                         size_t len)
{
    wr_recvq_read(&reader->queue, buf, len);
    reader->loop->counts.copied_to_protocol += len;
    wr_reader_consumed(reader);
    return (ssize_t)len;
}

/* Shows the first @len bytes, which lie together. */
static inline ssize_t wr_reader_show(weir_reader *reader, size_t len,
                                     struct weir_buf *ret)
{
    wr_recvq_show(&reader->queue, len, ret);
    wr_reader_consumed(reader);
    return (ssize_t)len;
}

#endif
