/*
 * The rig of the tests of upstreams on the fake machine.
 *
 * A struct ups is a set on a loop whose clock stands still, with upstreams "a",
 * "b", ... at addresses of listeners that the test plays. It writes down how
 * each request has ended, and which changes of states were told.
 */
#ifndef WEIR_TESTS_TRACE_UPSTREAM_RIG_H
#define WEIR_TESTS_TRACE_UPSTREAM_RIG_H

#include "tests/contract/maker.h"
#include "tests/fake/fake.h"

#include <weir/resolver.h>
#include <weir/upstream.h>

enum { UPS_MAX = 8, UPS_ENDS = 64 };

/* How a request has ended. */
struct ups_end {
    int err;
    int number; /* of the request, from 0 in the order of asking */
    char name;  /* of the upstream; '-': none */
    weir_transport *t;
    weir_upstream_slot *slot;
    uint32_t try_count;
    uint64_t queue_ns;
    uint64_t connect_ns;
    uint64_t when_ns; /* since ups_open() */
};

struct ups {
    struct maker m;
    weir_upstreams *set;
    weir_upstream *all[UPS_MAX];
    struct fake_listener *listeners[UPS_MAX];
    size_t count;
    struct ups_end ends[UPS_ENDS];
    size_t end_count;
    int ask_count;
    char changes[256]; /* "a:down b:up " */
    int change_err;    /* of the last one */
    char skips[256];   /* "a:EMFILE ": checks that could not be made */
    char uses[256];    /* "a b ": those that were in use */
    struct weir_resolver resolver; /* that the test plays */
    const char *name;              /* the only one that is asked for */
    weir_lookup *asked;            /* the last question, without an answer */
    int asked_count;
    bool frees_when_changed;
    bool frees_when_used;
    uint64_t start_ns;
    uint32_t start_fds;
};

extern struct ups ups; /* of the test that runs */

/* Options that fit the rig; the test changes them before ups_open(). */
struct weir_upstreams_options ups_options(void);

/* Starts the machine, a loop and a set, of so many upstreams to begin with. */
void ups_open(const struct weir_upstreams_options *options, int count);
/* Frees the set and all else. The test has ended all slots. */
void ups_close(void);
/* Runs the body of a test, and closes what it has opened. */
void ups_test(void (*body)(void));

/* Adds the next upstream; its listener accepts after a millisecond. */
weir_upstream *ups_add(const struct weir_upstream_options *options);
/* One that takes so many connections; 0: no limit. */
void ups_add_limited(uint32_t limit);
void ups_answer(size_t index, enum fake_answer answer);

/* The test answers questions for this name from now on: of a host or, where
 * ->resolver.start is set before and answers those of hosts, of a service. */
void ups_play_resolver(const char *name);
/* The question, which the test answers. */
weir_lookup *ups_take_question(void);

/* Asks for a connection; how it ends is noted in ->ends. */
weir_pending *ups_ask(const struct weir_upstreams_connect_options *options);
/* Asks for one, and returns how it has ended. */
struct ups_end *
ups_connect_by(const struct weir_upstreams_connect_options *options);
struct ups_end *ups_connect(void);
/* Runs until this number of requests has ended. */
void ups_run_until(size_t end_count);
/* Aborts the connection, if there is one, and ends its slot. */
void ups_leave(struct ups_end *end, int result);

struct weir_upstream_statistics ups_info(size_t index);
struct weir_upstreams_statistics ups_set_info(void);
/* Milliseconds since ups_open(). */
uint64_t ups_ms(void);

#endif
