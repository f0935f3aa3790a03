/*
 * The datagrams that wait to be sent on one transport, in order.
 *
 * A datagram is an entry in a block, next to its destination, its ancillary
 * data and, if they are copied, its bytes. Bytes may also be in a lease or
 * belong to the caller. No entry is in flight while the program's code runs,
 * because sends end inside the system call. Release callbacks are called after
 * the entry has left the queue, so they may send again.
 */
#ifndef WEIR_LIB_BASE_DATAGRAMQ_H
#define WEIR_LIB_BASE_DATAGRAMQ_H

#include "uring/block.h"
#include "weir/datagram.h"

#include <sys/uio.h>

#define WR_DATAGRAMQ_BLOCK (16u << 10)

enum wr_outgoing_kind {
    WR_OUTGOING_COPY,
    WR_OUTGOING_REF,
    WR_OUTGOING_LEASE,
    WR_OUTGOING_KINDS,
};

/* A datagram in the queue. Its name, control data and copied bytes follow. */
struct wr_outgoing {
    uint32_t size;
    uint32_t len;
    const uint8_t *data;
    uint16_t name_len;
    uint16_t control_len;
    enum wr_outgoing_kind kind : 8;
    int error; /* error of the first attempt to send it, or 0 */
    uint64_t deadline_ns;
    union {
        weir_lease *lease;
        struct {
            weir_release_fn *release;
            void *release_arg;
        };
    };
};

struct wr_outgoing_parts {
    const void *data;
    size_t len;
    const struct weir_address *name; /* NULL if the socket is connected */
    const void *control;
    size_t control_len;
    enum wr_outgoing_kind kind;
    weir_lease *lease;
    weir_release_fn *release;
    void *release_arg;
    /* dropped if unsent by then; UINT64_MAX means never */
    uint64_t deadline_ns;
};

struct wr_datagramq {
    struct wr_block *head; /* `used` of a block is the end of its last entry */
    struct wr_block *tail;
    uint32_t head_offset;
    uint32_t count;
    uint64_t bytes; /* including WEIR_DATAGRAM_COST for each datagram */
};

void wr_datagramq_init(struct wr_datagramq *q);

void wr_datagramq_check_invariants(const struct wr_datagramq *q);

static inline bool wr_datagramq_is_empty(const struct wr_datagramq *q)
{
    return q->count == 0;
}

/* Appends a datagram and takes a reference to its lease, if any. Returns 0, or
 * -ENOMEM without effect. */
WEIR_MUST_USE int wr_datagramq_push(struct wr_datagramq *q,
                                    struct wr_blocks *blocks,
                                    const struct wr_outgoing_parts *parts);

struct wr_outgoing *wr_datagramq_first(const struct wr_datagramq *q);

/* Its len is 0 if the socket is connected. The queue must not be empty. */
void wr_datagramq_get_name(const struct wr_datagramq *q,
                           struct weir_address *ret);

/* Describes the first datagrams in @messages, with one vector of @iov each.
 * Returns their number, at most @max. Sets only the name, the vectors and the
 * control data of each header. */
WEIR_MUST_USE uint32_t wr_datagramq_gather(const struct wr_datagramq *q,
                                           struct mmsghdr *messages,
                                           struct iovec *iov, uint32_t max);

/* Drops the first datagram, sent or not. Returns its length plus its cost. */
uint64_t wr_datagramq_pop(struct wr_datagramq *q, struct wr_blocks *blocks);

#endif
