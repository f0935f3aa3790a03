/*
 * The rig for tests of upstreams on the fake machine.
 *
 * A struct ups is a set on a loop whose clock stands still, with upstreams "a",
 * "b", ... whose listeners the test plays. It records how each request has
 * ended, and which changes of states were reported.
 */
#ifndef WEIR_TESTS_TRACE_UPSTREAM_RIG_H
#define WEIR_TESTS_TRACE_UPSTREAM_RIG_H

#include "tests/contract/maker.h"
#include "tests/fake/fake.h"

#include <weir/resolver.h>
#include <weir/upstream.h>

enum { UPS_MAX = 8, UPS_ENDS = 64 };

/* The end of a request. */
struct ups_end {
    int err;
    int number; /* number of the request, from 0 in order */
    char name;  /* of the upstream; '-' is none */
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
    int change_err;    /* of the last change */
    char skips[256];   /* "a:EMFILE ": checks that could not be made */
    char uses[256];    /* "a b ": those that came into use */
    struct weir_resolver resolver; /* which the test plays */
    const char *name;              /* the only name that it answers */
    weir_lookup *asked;            /* the last query, unanswered */
    int asked_count;
    bool frees_when_changed;
    bool frees_when_used;
    uint64_t start_ns;
    uint32_t start_fds;
};

extern struct ups ups; /* of the current test */

/* Returns options for the rig; the test changes them before ups_open(). */
struct weir_upstreams_options ups_options(void);

/* Starts the machine, a loop and a set of @count upstreams. */
void ups_open(const struct weir_upstreams_options *options, int count);
/* Frees the set and everything else. All slots must have ended. */
void ups_close(void);
/* Runs the body of a test, and closes what it has opened. */
void ups_test(void (*body)(void));

/* Adds the next upstream, whose listener accepts after a millisecond. */
weir_upstream *ups_add(const struct weir_upstream_options *options);
/* Adds an upstream with a limit of connections; 0: no limit. */
void ups_add_limited(uint32_t limit);
void ups_answer(size_t index, enum fake_answer answer);

/* From now on the test answers queries for this name: of a host, or of a
 * service if ->resolver.start was set before and answers queries for hosts. */
void ups_play_resolver(const char *name);
/* Returns the query, for the test to answer. */
weir_lookup *ups_take_question(void);

/* Requests a connection; its end is recorded in ->ends. */
weir_pending *ups_ask(const struct weir_upstreams_connect_options *options);
/* Requests a connection, and returns the end of the request. */
struct ups_end *
ups_connect_by(const struct weir_upstreams_connect_options *options);
struct ups_end *ups_connect(void);
/* Runs the loop until this number of requests has ended. */
void ups_run_until(size_t end_count);
/* Aborts the connection, if there is one, and ends its slot. */
void ups_leave(struct ups_end *end, int result);

struct weir_upstream_statistics ups_info(size_t index);
struct weir_upstreams_statistics ups_set_info(void);
/* Returns the milliseconds since ups_open(). */
uint64_t ups_ms(void);

#endif
