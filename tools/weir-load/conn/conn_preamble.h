/*
 * The preamble of a connection (preamble.h): its requests are sent one after
 * the other when the connection stands, and their answers are read and checked
 * here, not by the codec. Nothing of it is in a histogram or in the ledger of
 * requests.
 *
 * A preamble that fails ends its connection, which is made again after a while
 * as one that was lost; the error has a phase of its own and names the request.
 * An answer of HTTP has a status below 400, another one the begin of its line.
 *
 * State: CONN_PREAMBLE between connecting and open (conn.h).
 */
#ifndef WEIR_LOAD_CONN_PREAMBLE_H
#define WEIR_LOAD_CONN_PREAMBLE_H

#include "conn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A thread's requests, of each target; NULL: there is no preamble. 0, or a
 * negative error that has been told. */
struct preamble_requests;
int preamble_requests_new(const struct run_options *options,
                          struct preamble_requests **ret);
void preamble_requests_free(struct preamble_requests *self);

/* The connection stands: send the first. The state is CONN_PREAMBLE behind it,
 * unless it was given up. */
void conn_preamble_begin(struct conn *conn, uint64_t now_ns);

/* In state CONN_PREAMBLE: bytes came, the server ended the stream, the
 * connection broke, time goes on. The last answer makes it CONN_OPEN, and the
 * owner is told (conn_events.prepared). */
void conn_preamble_read(struct conn *conn, const uint8_t *bytes, size_t len);
void conn_preamble_ended(struct conn *conn);
void conn_preamble_broke(struct conn *conn, int err);
void conn_preamble_expire(struct conn *conn, uint64_t now_ns,
                          uint64_t timeout_ns);

/* Free what an unfinished preamble has, and the values of the connection. */
void conn_preamble_drop(struct conn *conn);
void conn_preamble_forget(struct conn *conn);

#endif
