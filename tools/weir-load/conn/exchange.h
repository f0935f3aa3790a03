/*
 * One connection of a run over UDP: a connected endpoint that keeps a number of
 * datagrams under way and tells their answers by the numbers in them.
 *
 * A datagram is --send bytes: a head of EXCHANGE_HEAD_SIZE with a tag, the slot
 * and the number of track.h, and a piece of the payload stream that its number
 * chooses. The tag mixes slot and number with a nonce of the run and the
 * connection, so that no other head passes for one that was sent. The answer is
 * the same bytes. A datagram that is not answered within --timeout is lost: it
 * is counted, and another one is sent.
 */
#ifndef WEIR_LOAD_EXCHANGE_H
#define WEIR_LOAD_EXCHANGE_H

#include "conn.h"

#define EXCHANGE_HEAD_SIZE 16U

/* The longest over IPv4, with its head and that of UDP. */
#define EXCHANGE_SIZE_MAX 65507U

extern const struct conn_kind exchange_kind;

#endif
