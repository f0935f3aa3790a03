/*
 * A loop, and a list of the events on it, in order and by iteration.
 *
 * Each event has a number chosen by the test, and the iteration in which it
 * ran, as counted by the loop's statistics. A time limit ends a run that does
 * not end by itself.
 */
#ifndef WEIR_TESTS_CONTRACT_LOOP_RIG_H
#define WEIR_TESTS_CONTRACT_LOOP_RIG_H

#include "tests/bind.h"
#include "tests/ends.h"
#include "tests/until.h"
#include "tests/walk.h"

#include <weir/error.h>

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#define MS UINT64_C(1000000)

enum { EVENTS_MAX = 32768, FAILSAFE_S = 60 };

struct event {
    int number;
    uint64_t turn;
};

extern weir_loop *loop;
extern struct event events[EVENTS_MAX];
extern int event_count;

struct weir_loop_statistics statistics(void);
uint64_t turns(void);
void note(int number);
void note_number(void *arg);
int *number(int value);
void stop_loop(void *arg);
void soon(weir_callback_fn *cb, void *arg);
void later(uint64_t delay_ns, weir_callback_fn *cb, void *arg);
void open_loop(const struct weir_loop_options *options);
void open_loop_from(struct test_allocator *memory);
void close_loop(void);
void with_loop(void (*body)(void));

void one_turn(void);
void fail_late(void *arg);

void run_until_stopped(void);

uint64_t clock_ns(void);
void spin(uint64_t time_ns);

extern weir_transport *connection; /* the transport of keep_connection() */

void keep_connection(void *user, weir_transport *t);

/* Adopts one end of a socket pair. Returns the other end, a plain descriptor.
 * connection_made follows in the loop's next iteration. */
int adopt_pair(const struct weir_protocol *protocol, void *user);

#endif
