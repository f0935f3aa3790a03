/*
 * Prepares an established connection for its first request: sets socket options
 * and writes the header of the PROXY protocol.
 *
 * A connection on which this fails is given up.
 */
#ifndef WEIR_LOAD_OPENING_H
#define WEIR_LOAD_OPENING_H

#include "conn.h"

/* Returns false if the connection was given up. */
bool opening_prepare(struct conn *conn);

/* --fast-open, at the first answer: counts a connection that sent data with its
 * SYN. */
void opening_look_at_syn(struct conn *conn);

#endif
