/*
 * One connection of a run over UDP: a connected endpoint that keeps a number of
 * datagrams in flight and matches answers by the numbers in them.
 *
 * A datagram has --send bytes: a head of EXCHANGE_HEAD_SIZE bytes with a tag,
 * and slot and number of track.h, then a part of the payload stream that the
 * number chooses. The tag mixes slot and number with a nonce of the run and the
 * connection, so that no other head is taken for a sent one. The answer has the
 * same bytes. A datagram not answered within --timeout is counted as lost and
 * replaced.
 */
#ifndef WEIR_LOAD_EXCHANGE_H
#define WEIR_LOAD_EXCHANGE_H

#include "conn.h"

#define EXCHANGE_HEAD_SIZE 16U

/* The largest payload over IPv4, with its header and UDP's. */
#define EXCHANGE_SIZE_MAX 65507U

extern const struct conn_kind exchange_kind;

#endif
