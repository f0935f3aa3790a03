/*
 * What a connection that stands gets before its first request: the options of
 * its socket, and the header of the PROXY protocol.
 *
 * A connection that cannot have them is given up.
 */
#ifndef WEIR_LOAD_OPENING_H
#define WEIR_LOAD_OPENING_H

#include "conn.h"

/* false: the connection was given up. */
bool opening_prepare(struct conn *conn);

/* --fast-open, with the first answer: counts the connection if its first bytes
 * went with the SYN. */
void opening_look_at_syn(struct conn *conn);

#endif
