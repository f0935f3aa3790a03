/*
 * The datagrams that wait to be sent on one transport, in order.
 *
 * A datagram is an entry in a block, behind the one before it: its destination,
 * the ancillary data for the kernel and, where they are copied, its bytes lie
 * next to each other, so that a batch of small ones is read as it was written.
 * Bytes may also be under a lease or belong to the caller.
 *
 * Pure bookkeeping: no descriptor, no ring, no clock. Nothing here is in flight
 * while code of the user runs, because sends end inside the system call. The
 * only calls out are release callbacks, made when the entry has left the queue,
 * so that they may send again.
 */
#ifndef WEIR_LIB_BASE_DATAGRAMQ_H
#define WEIR_LIB_BASE_DATAGRAMQ_H

#include "uring/block.h"
#include "weir/datagram.h"

#include <sys/uio.h>

/* A block has room for several: small datagrams, a few blocks for a batch. */
#define WR_DATAGRAMQ_BLOCK (16u << 10)

enum wr_outgoing_kind {
    WR_OUTGOING_COPY,
    WR_OUTGOING_REF,
    WR_OUTGOING_LEASE,
    WR_OUTGOING_KINDS,
};

/* A datagram in the queue. Its name, control and copied bytes follow. */
struct wr_outgoing {
    uint32_t size; /* of the entry with all that follows it */
    uint32_t len;
    const uint8_t *data;
    uint16_t name_len;
    uint16_t control_len;
    enum wr_outgoing_kind kind : 8;
    int error; /* of the first try to send it; 0: none */
    uint64_t deadline_ns;
    union {
        weir_lease *lease;
        struct {
            weir_release_fn *release;
            void *release_arg;
        };
    };
};

/* A datagram that is to be queued; all of it borrowed. */
struct wr_outgoing_parts {
    const void *data;
    size_t len;
    const struct weir_address *name; /* NULL: that of the connected socket */
    const void *control;
    size_t control_len; /* 0: none */
    enum wr_outgoing_kind kind;
    weir_lease *lease;
    weir_release_fn *release;
    void *release_arg;
    uint64_t
        deadline_ns; /* it waits no longer for room; UINT64_MAX: for ever */
};

struct wr_datagramq {
    struct wr_block *head; /* whose `used` is the end of its last entry */
    struct wr_block *tail;
    uint32_t head_offset; /* of the first entry */
    uint32_t count;
    uint64_t bytes; /* with WEIR_DATAGRAM_COST for each */
};

void wr_datagramq_init(struct wr_datagramq *q);

/* The ends of the queue, and its sums. */
void wr_datagramq_check_invariants(const struct wr_datagramq *q);

static inline bool wr_datagramq_is_empty(const struct wr_datagramq *q)
{
    return q->count == 0;
}

/* Appends a datagram; takes a reference to a lease. 0, or -ENOMEM, and nothing
 * was done. */
WEIR_MUST_USE int wr_datagramq_push(struct wr_datagramq *q,
                                    struct wr_blocks *blocks,
                                    const struct wr_outgoing_parts *parts);

/* The first datagram; the queue is not empty. */
struct wr_outgoing *wr_datagramq_first(const struct wr_datagramq *q);

/* Where the first datagram goes; its len is 0 if that is for the socket to say.
 * The queue is not empty. */
void wr_datagramq_get_name(const struct wr_datagramq *q,
                           struct weir_address *ret);

/* Names the first datagrams in @messages, one vector of @iov for each; returns
 * how many, at most @max. Other fields than those of the header's parts stay as
 * they are. */
WEIR_MUST_USE uint32_t wr_datagramq_gather(const struct wr_datagramq *q,
                                           struct mmsghdr *messages,
                                           struct iovec *iov, uint32_t max);

/* Drops the first datagram, sent or not. Returns its bytes, with the cost. */
uint64_t wr_datagramq_pop(struct wr_datagramq *q, struct wr_blocks *blocks);

#endif
