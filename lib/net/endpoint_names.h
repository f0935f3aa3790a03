/*
 * The host names of a datagram endpoint: its own and its peer's.
 *
 * Both are looked up together. Their addresses are plans that can be tried one
 * after the other.
 */
#ifndef WEIR_LIB_NET_ENDPOINT_NAMES_H
#define WEIR_LIB_NET_ENDPOINT_NAMES_H

#include "endpoint.h"
#include "lib/names/lookup.h"

struct wr_endpoint_names {
    /* All lookups have ended; called once, from the ready queue. */
    void (*done)(struct wr_endpoint_names *names);
    weir_lookup own; /* idle where the own host is no name */
    weir_lookup peer;
};

void wr_endpoint_names_init(struct wr_endpoint_names *names, weir_loop *loop,
                            void (*done)(struct wr_endpoint_names *names));

/* Looks up the names of a plan that has names: 0 if done will be called, or the
 * error of a name, and no lookup is under way. */
WEIR_MUST_USE int wr_endpoint_names_start(struct wr_endpoint_names *names,
                                          const struct wr_endpoint_plan *plan,
                                          const struct wr_endpoint_call *call);

/* Ends the lookups; done is no longer called. */
void wr_endpoint_names_cancel(struct wr_endpoint_names *names);

/* 0, or the first error of a name. No lookup is under way. */
WEIR_MUST_USE int
wr_endpoint_names_get_result(const struct wr_endpoint_names *names);

/* Puts the addresses of attempt *@index, from 0 on, or of the next possible
 * attempt, into @plan, and moves *@index behind it. False if there is none. */
WEIR_MUST_USE bool wr_endpoint_names_next(const struct wr_endpoint_names *names,
                                          size_t *index,
                                          struct wr_endpoint_plan *plan);

/* Frees the answers; no lookup is under way. */
void wr_endpoint_names_fini(struct wr_endpoint_names *names);

#endif
