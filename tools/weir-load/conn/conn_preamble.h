/*
 * The preamble of a connection (request/preamble.h): its requests are sent one
 * after the other once the connection is established. Answers are read and
 * checked here, not by the codec, and are not counted in histograms or the
 * ledger.
 *
 * A preamble that fails ends its connection, which is made again after a delay
 * like a lost connection; the error has its own phase and names the request. An
 * HTTP answer must have a status below 400; other answers must begin as their
 * line requires.
 */
#ifndef WEIR_LOAD_CONN_PREAMBLE_H
#define WEIR_LOAD_CONN_PREAMBLE_H

#include "conn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Creates the requests of a thread for all targets; *ret is NULL if there is no
 * preamble. Returns 0, or a negative error that was printed. */
struct preamble_requests;
int preamble_requests_new(const struct run_options *options,
                          struct preamble_requests **ret);
void preamble_requests_free(struct preamble_requests *self);

/* Sends the first request. The state is CONN_PREAMBLE afterwards, unless the
 * connection was given up. */
void conn_preamble_begin(struct conn *conn, uint64_t now_ns);

/* Events in state CONN_PREAMBLE: bytes received, end of stream, a broken
 * connection, time passed. The last answer sets CONN_OPEN and calls
 * conn_events.prepared. */
void conn_preamble_read(struct conn *conn, const uint8_t *bytes, size_t len);
void conn_preamble_ended(struct conn *conn);
void conn_preamble_broke(struct conn *conn, int err);
void conn_preamble_expire(struct conn *conn, uint64_t now_ns,
                          uint64_t timeout_ns);

/* conn_preamble_drop() frees an unfinished preamble, conn_preamble_forget()
 * also the captured values of the connection. */
void conn_preamble_drop(struct conn *conn);
void conn_preamble_forget(struct conn *conn);

#endif
