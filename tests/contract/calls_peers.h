/*
 * The other ends in a round of random calls: plain sockets.
 *
 * They send, read, half-close, close and reset by chance, and never wait. They
 * connect only while the server listens, so that no other program's port is
 * met.
 */
#ifndef WEIR_TESTS_CONTRACT_CALLS_PEERS_H
#define WEIR_TESTS_CONTRACT_CALLS_PEERS_H

#include "tests/contract/calls_world.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <weir/address.h>

/* Where the server listens; false when it does not. */
bool find_server(struct weir_address *ret);

/* One end of a pair for weir; the other is a new peer. -1: no room. */
int pair_with_peer(void);
void connect_peer(void);
void end_all_peers(void);
void step_peers(void);

#endif
