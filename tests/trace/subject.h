/*
 * A connection on the fake ring, whose protocol records its callbacks.
 *
 * A test whose protocol does more has another table, with some of these
 * entries.
 */
#ifndef WEIR_TESTS_TRACE_SUBJECT_H
#define WEIR_TESTS_TRACE_SUBJECT_H

#include "adopt.h"
#include "clock.h"

#include <errno.h>

#define MS UINT64_C(1000000)

extern weir_loop *loop;
extern weir_transport *transport;
extern struct fake_peer *peer;
extern bool pauses;     /* in connection_made */
extern bool keeps;      /* keeps received bytes until subject_stop() */
extern bool keeps_open; /* keeps the connection open at the end of the stream */
extern uint64_t received_bytes;
extern int eof_count;
extern int lost_count;
extern int lost_err;
extern uint64_t lost_ns;

void note_made(void *user, weir_transport *t);
int note_data(void *user, weir_transport *t, const struct weir_buf *buf);
int note_eof(void *user, weir_transport *t);
void note_lost(void *user, weir_transport *t, int err);

/* Lends always the same 4 KiB, and checks that they are returned. */
int lend(void *user, weir_transport *t, size_t hint, void **ret_buf,
         size_t *ret_size);
int note_filled(void *user, weir_transport *t, size_t len);
void take_back(void *user, void *buf);

/* A file of the fake machine, and the reports about it. */
extern int told_count;
extern int told_err;
extern uint64_t told_sent;

void fill_file(void *arg, void *buf, uint64_t offset, size_t len);
void note_told(void *arg, weir_transport *t, int err, uint64_t sent);

extern const struct weir_protocol noting;
extern const struct weir_protocol lending;

/* Makes the loop and the connection, which opens in the next iteration. Returns
 * its descriptor. */
int subject_open(const struct fake_options *machine,
                 const struct weir_loop_options *limits,
                 const struct weir_protocol *protocol,
                 const struct weir_connect_options *options);
/* Likewise, and runs the loop until it is open. */
int subject_start(const struct fake_options *machine,
                  const struct weir_loop_options *limits,
                  const struct weir_protocol *protocol,
                  const struct weir_connect_options *options);
/* Expect one loss of the connection; an end of the file after @sent bytes. */
void expect_lost(int err);
void expect_told(int err, uint64_t sent);
/* Releases what is kept. */
void subject_forget(void);
/* Frees the loop, with @alive connections, and the machine. */
void subject_stop(int alive);

#endif
