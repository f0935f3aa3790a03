/*
 * Declarations shared by the files of TLS filters. A filter is a connection
 * (connection.h) whose device is in these files. Each file calls only the files
 * after it:
 *
 *     filter_open.c     creating a filter; the table of contexts
 *     filter.c          the device: events of the transport below, time,
 *                       facts, the end
 *     filter_facts.c    facts about the connection and its handshake
 *     filter_read.c     ciphertext in, the handshake, plaintext to the protocol
 *     filter_write.c    plaintext in, ciphertext to the transport below
 *     filter_shared.c   the common part of a loop's filters
 *     filter_settings.c the settings of a connection
 *
 * In state HANDSHAKING the program does not know the filter; the factory gets
 * it when the handshake is done. A filter made by start_tls is OPEN from the
 * start. In CLOSING the filter seals the written bytes and its close_notify. If
 * the filter must wait for the peer's close_notify, the transport below sends
 * all of this first, and then the filter is LINGERING. In ENDING the filter
 * waits for the loss of the transport below, which was aborted, or closed so
 * that sealed bytes and alerts are sent.
 *
 * A peer that ends its stream without a required close_notify is "cut off". The
 * connection fails, but first sends the written bytes, like a close.
 *
 * A filter whose transport below is lost stays OPEN while it has bytes,
 * received before the loss, for a protocol that has paused.
 *
 * Except for its getters and the export of keys, the engine runs only on the
 * loop's stack. Calls of the program only store a request and schedule the step
 * or `seal`, which runs before the end of the loop iteration, so that its
 * records are sent in the same iteration.
 */
#ifndef WEIR_LIB_TLS_FILTER_FILTER_IMPL_H
#define WEIR_LIB_TLS_FILTER_FILTER_IMPL_H

#include "lib/tls/engine/engine.h"
#include "lib/transport/intake.h"
#include "lib/transport/secure.h"
#include "lib/transport/sock/sock.h"
#include "weir/connect_options.h"
#include "weir/error.h"

struct wr_filter_shared {
    struct wr_module module;
    weir_loop *loop;
    struct wr_tls_account *account; /* placed after this struct */
    struct wr_block *scratch;       /* plaintext of one call, or NULL */
    struct wr_list waiting;
    struct wr_ready ready; /* runs steps of waiting handshakes */
    uint64_t turn; /* number of the loop iteration that ->steps counts */
    uint32_t steps;
};

struct wr_filter {
    /* The send queue of ->c contains plaintext that is not sealed yet. */
    struct wr_connection c;
    weir_transport *below;   /* a reference, or NULL at first */
    struct wr_filter *upper; /* the filter on top of this one, or NULL */
    struct wr_filter_shared *shared;
    struct wr_tls_engine engine;
    struct wr_secure_settings *settings; /* NULL once the engine exists */
    bool has_engine : 1;
    bool is_upper : 1;      /* below is a filter; set before the start */
    bool may_handshake : 1; /* its next handshake step is counted already */
    bool aborts : 1;        /* to end, abort ->below instead of closing it */
    /* The stream of ->below ended without a required close_notify. */
    bool is_cut : 1;
    bool below_paused : 1; /* this filter has paused reading of ->below */
    bool below_eof : 1;
    bool below_lost : 1;  /* connection_lost was called for ->below */
    bool head_is_fed : 1; /* the engine has the first lease of the input */

    struct wr_turn_end seal;
    struct wr_list wait_link;

    /* Received bytes, borrowed while ->below delivers them. */
    const struct weir_buf *lent;
    weir_lease *input_head; /* unopened ciphertext, oldest first */
    weir_lease *input_tail;

    uint64_t unsent_bytes; /* plaintext sealed, but not passed to ->below yet */
    uint64_t sealed_ns;
    /* Bytes sealed since the filter was last idle; stops growing at
     * BURST_BYTES. */
    uint32_t burst_bytes;
    /* Blocks without plaintext that ->below has not sent. */
    uint32_t answer_count;

    uint64_t handshake_timeout_ns;
    uint64_t shutdown_timeout_ns;
    uint64_t handshake_began_ns;
    uint64_t handshake_took_ns; /* 0 until the handshake is done */
    uint64_t heard_ns;          /* time of the handshake's last step */
    /* Start of the time limit that runs: of the handshake, of the wait for a
     * close_notify, or of the end of the transport below. */
    uint64_t since_ns;
    /* Time at which a peer that had received everything first sent more bytes
     * instead of a close_notify, or 0. */
    uint64_t rest_ns;

    struct wr_secure_opener opener; /* ->opened is NULL after its call */
};

static inline struct wr_filter *wr_filter_of(const weir_transport *t)
{
    return (struct wr_filter *)(uintptr_t)t;
}

/* filter.c */

WEIR_MUST_USE struct wr_filter *
wr_filter_make(weir_loop *loop, const struct weir_connection_options *options,
               const struct wr_secure_settings *settings,
               const struct wr_secure_opener *opener);
/* Starts the handshake on @below. The filter replaces @below in the loop and in
 * the server's set of connections. For start_tls, ->c.t.is_made must be set
 * before. */
void wr_filter_begin(struct wr_filter *f, weir_transport *below);
extern const struct weir_protocol wr_filter_protocol;

/* filter_facts.c */
int wr_filter_get_extra_info(const weir_transport *t, const char *name,
                             struct weir_extra_info *ret);

/* filter_read.c */
/* Receives @buf from the transport below. Keeps the bytes after earlier ones,
 * or lends them to wr_filter_pump(), which must be called next and opens them
 * in place. */
void wr_filter_arrived(struct wr_filter *f, const struct weir_buf *buf);
/* Opens and delivers as much as possible, or continues the handshake. Then
 * keeps the unread part of lent bytes. */
void wr_filter_pump(struct wr_filter *f);
/* Pauses or resumes the transport below, as the state requires. */
void wr_filter_settle_read(struct wr_connection *c);
/* Takes ownership of @lease. */
void wr_filter_keep_input(struct wr_filter *f, weir_lease *lease);
void wr_filter_drop_input(struct wr_filter *f);

/* filter_write.c */
/* Seals as much as the transport below has space for, then the close_notify if
 * the program has ended its stream. Resumes the program's writing if enough was
 * sent. */
void wr_filter_seal(struct wr_filter *f);
void wr_filter_seal_later(struct wr_connection *c);
void wr_filter_send_output(struct wr_filter *f);
/* Bytes of a file in one read: a whole number of records. */
#define WR_FILTER_PART_BYTES (4u * WR_TLS_RECORD_MAX)
void wr_filter_queued(weir_transport *t, size_t len);
void wr_filter_file_begins(weir_transport *t);
void wr_filter_file_ended(weir_transport *t);

/* filter_shared.c */
/* Returns the common part of the loop's filters, created at the first call, or
 * NULL if memory runs out. */
WEIR_MUST_USE struct wr_filter_shared *wr_filter_share(weir_loop *loop);
WEIR_MUST_USE struct wr_block *wr_filter_scratch(struct wr_filter *f);
/* Ownership passes to the caller. */
WEIR_MUST_USE struct wr_block *wr_filter_take_scratch(struct wr_filter *f);
/* Returns true if the handshake may make a step now. Otherwise queues the
 * filter for a later loop iteration. */
WEIR_MUST_USE bool wr_filter_may_handshake(struct wr_filter *f);

/* filter_settings.c */
/* See secure.h. */
WEIR_MUST_USE int
wr_filter_settings_read(struct wr_secure_settings *ret,
                        const struct weir_tls_settings *settings,
                        enum wr_secure_side side, const char *host);
/* Takes references of its own. */
void wr_filter_settings_copy(struct wr_secure_settings *ret,
                             const struct wr_secure_settings *settings);
void wr_filter_settings_drop(struct wr_secure_settings *settings);

static inline uint64_t wr_filter_below_depth(const struct wr_filter *f)
{
    return f->below && !f->below_lost && f->below->ops->get_depth
               ? f->below->ops->get_depth(f->below)
               : 0;
}

/* Returns the plaintext bytes that were passed to the transport below as
 * records, and that it has not sent yet. */
static inline uint64_t wr_filter_sealed_bytes(const struct wr_filter *f)
{
    return f->c.outbox.passed_bytes - f->unsent_bytes;
}

static inline bool wr_filter_is_shaking(const struct wr_filter *f)
{
    return f->handshake_took_ns == 0;
}

/* Received plaintext is discarded after a close. */
static inline bool wr_filter_discards(const struct wr_filter *f)
{
    return f->c.t.state == WR_LIFE_CLOSING || f->c.t.state == WR_LIFE_LINGERING;
}

/* Returns true while received bytes may be opened: there is no error, or only
 * an error of the transport below, which follows the bytes. */
static inline bool wr_filter_may_open(const struct wr_filter *f)
{
    return f->c.t.error == 0 ||
           (f->c.t.error == f->below->error && f->engine.err == 0);
}

/* Returns true if bytes are opened although the protocol has paused, because
 * the transport below has broken: when no plaintext is left, the loss is
 * reported at once. */
static inline bool wr_filter_looks_ahead(const struct wr_filter *f)
{
    const struct wr_delivery *d = &f->c.delivery;

    return f->c.t.state == WR_LIFE_OPEN && wr_delivery_is_paused(d) &&
           !wr_delivery_has_held(d) && !f->c.t.eof_seen &&
           f->below->error != 0 && wr_filter_may_open(f);
}

#endif
