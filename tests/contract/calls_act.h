/*
 * One call of the public API, by chance.
 *
 * do_anything() calls something on a connection, or on the loop and the
 * server: from a callback, from a release, from the exception hook, or from
 * between two runs. What is called may call back and come here again. After
 * the loss only those who kept a reference go on calling.
 */
#ifndef WEIR_TESTS_CONTRACT_CALLS_ACT_H
#define WEIR_TESTS_CONTRACT_CALLS_ACT_H

#include "tests/contract/calls_peers.h"

#include <stdio.h>
#include <weir/connect_options.h>

void do_anything_anywhere(void);

/* Often nothing, sometimes a call or two, never without end. */
void do_a_few_things(struct calls_conn *conn);

/* ---- options ---- */

struct weir_connection_options any_stream(void);

/* ---- on a connection ---- */

void check_write(const struct calls_conn *conn, int err);
void release(void *arg);
void write_copy(struct calls_conn *conn);
void write_reference(struct calls_conn *conn);
void resume_reading(struct calls_conn *conn);
void give_reference(struct calls_conn *conn);
void look(struct calls_conn *conn);

/* ---- on the loop and the server ---- */

void adopt(void);

/* Of the program: a protocol by chance, and a factory that gives it. */
struct weir_protocol_binding any_binding(struct calls_conn *conn);
int create_any(void *arg, weir_transport *t, struct weir_protocol_binding *ret);

#endif
