/*
 * Prepares an established connection for its first request: sets socket options
 * and writes the header of the PROXY protocol. If this fails, the connection is
 * given up.
 */
#ifndef WEIR_LOAD_OPENING_H
#define WEIR_LOAD_OPENING_H

#include "conn.h"

/* Returns false if the connection was given up. */
bool opening_prepare(struct conn *conn);

/* Checks with --fast-open whether data was sent with the connection's SYN, and
 * counts it. */
void opening_look_at_syn(struct conn *conn);

#endif
