/*
 * Moves bulk data from one stream socket to another without the protocol. A
 * relay requests it for one direction with `splice_to` of the source
 * transport's table. From then on the kernel may move bytes from one socket to
 * the other instead of delivering them; sock_bulk.c decides when. Between
 * loop iterations no byte is in transit. The end of the stream and errors are
 * reported as usual.
 *
 *     copying --many bytes wait--> moving --refused by the kernel--> refused
 *        ^-------few bytes wait------/
 */
#ifndef WEIR_LIB_TRANSPORT_SPLICING_H
#define WEIR_LIB_TRANSPORT_SPLICING_H

#include "transport.h"

enum wr_splicing_state {
    WR_SPLICING_COPYING, /* bytes are delivered */
    WR_SPLICING_MOVING,  /* many bytes waited: they are moved in the kernel */
    WR_SPLICING_REFUSED, /* the kernel cannot: bytes are delivered */
    WR_SPLICING_STATES,
};

struct wr_splicing {
    weir_transport *to; /* the relay holds a reference */
    /* Called when the kernel has taken @bytes from the source for ->to. */
    void (*moved)(struct wr_splicing *splicing, uint64_t bytes);
    enum wr_splicing_state state; /* set by sock_bulk_set_splicing_state()
                                   * alone */
};

#endif
