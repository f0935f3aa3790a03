/*
 * --http auto: which protocol a connection speaks, by its handshake.
 *
 * What was agreed on is known before the first byte of HTTP, and each
 * connection of a run, also one that is made again, may agree on another. So
 * the choice is a connection's, which has a way of the traffic's (traffic.h),
 * and nothing above it knows which one.
 */
#ifndef WEIR_LOAD_AGREED_H
#define WEIR_LOAD_AGREED_H

#include "conn.h"

/* The handshake is over, and the connection does not stand yet: choose its way.
 * What is to be sent again goes with it. */
void agreed_choose(struct conn *conn, const weir_transport *t);

#endif
