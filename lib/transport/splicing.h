/*
 * Bulk on its way from one stream socket to another, past the protocol.
 *
 * A relay asks for it, for one direction, by `splice_to` of the table of the
 * transport that the bytes come from, and embeds the struct. From then on the
 * kind may move bytes in the kernel, from one socket to the other, that it
 * would deliver to the protocol otherwise. It decides when; lib/transport/sock/
 * sock_bulk.c tells how. No byte is under way between two calls, and an end
 * of the stream or an error comes as without a splicing.
 *
 *     copying <--deep, dry--> moving
 *        \----- refused ---> refused
 */
#ifndef WEIR_LIB_TRANSPORT_SPLICING_H
#define WEIR_LIB_TRANSPORT_SPLICING_H

#include "transport.h"

enum wr_splicing_state {
    WR_SPLICING_COPYING, /* bytes are delivered */
    WR_SPLICING_MOVING,  /* many bytes waited: they are moved in the kernel */
    WR_SPLICING_REFUSED, /* the kernel cannot: bytes are delivered for good */
    WR_SPLICING_STATES,
};

struct wr_splicing {
    weir_transport *to; /* the asker has a reference */
    /* Bytes were received, and the kernel has taken them for ->to. */
    void (*moved)(struct wr_splicing *splicing, uint64_t bytes);
    enum wr_splicing_state state; /* set by sock_splice_set_state() alone */
};

#endif
