/*
 * Moves bulk data from one stream socket to another in the kernel, without the
 * protocol. A relay requests it for one direction with ->splice_to of the
 * source transport; sock_bulk.c decides when bytes are moved. Between loop
 * iterations no byte is in transit. The end of the stream and errors are
 * reported as usual.
 *
 *     copying --many bytes wait--> moving --refused by the kernel--> refused
 *        ^-------few bytes wait------/
 */
#ifndef WEIR_LIB_TRANSPORT_SPLICING_H
#define WEIR_LIB_TRANSPORT_SPLICING_H

#include "transport.h"

enum wr_splicing_state {
    WR_SPLICING_COPYING,
    WR_SPLICING_MOVING,
    WR_SPLICING_REFUSED, /* the kernel cannot move them */
    WR_SPLICING_STATES,
};

struct wr_splicing {
    weir_transport *to; /* the relay holds a reference */
    /* Called when the kernel has taken @bytes from the source for ->to. */
    void (*moved)(struct wr_splicing *splicing, uint64_t bytes);
    /* Set by sock_bulk_set_splicing_state() alone. */
    enum wr_splicing_state state;
};

#endif
