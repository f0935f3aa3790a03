/*
 * One connection of a run over UDP: a connected endpoint that keeps a number of
 * datagrams in flight and matches answers by the numbers in them.
 *
 * A datagram has --send bytes: a head of EXCHANGE_HEAD_SIZE bytes with a tag
 * and with the slot and number of track.h, then a part of the payload stream
 * that the number chooses. The tag is a hash of slot, number and a nonce of the
 * run and the connection, so that other data is not mistaken for a head. The
 * answer has the same bytes. A datagram not answered within --timeout is
 * counted as lost and replaced.
 */
#ifndef WEIR_LOAD_EXCHANGE_H
#define WEIR_LOAD_EXCHANGE_H

#include "conn.h"

#define EXCHANGE_HEAD_SIZE 16U

/* Largest UDP payload in an IPv4 packet. */
#define EXCHANGE_SIZE_MAX 65507U

extern const struct conn_kind exchange_kind;

#endif
