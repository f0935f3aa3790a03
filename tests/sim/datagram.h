/*
 * The internal interface of the simulation's datagram endpoints.
 *
 * Every datagram of a run has a number, which determines its bytes. An endpoint
 * of weir (endpoint.c) and its box (box.c), the socket at the other end, send
 * each other datagrams over the machine's network and compare received ones
 * with what the machine has sent.
 */
#ifndef WEIR_TESTS_SIM_DATAGRAM_H
#define WEIR_TESTS_SIM_DATAGRAM_H

#include "tests/sim/sim.h"
#include "weir/datagram.h"

#define SIM_ENDPOINT_MAX  3u
#define SIM_DATAGRAM_MAX  1024u /* numbers in a run */
#define SIM_DATAGRAM_SIZE 60000u
#define SIM_OUT_MAX       512u /* datagrams of one endpoint at most */
#define SIM_KEPT_MAX      8u

struct sim_endpoint {
    uint32_t id;
    int family;
    bool connects;
    bool refuses;     /* its factory fails */
    bool minds_marks; /* sends nothing while writing is paused */

    /* weir's side */
    enum sim_state state;
    weir_transport *t;
    weir_pending *maker;
    bool started;
    bool done;
    bool cancelled;
    bool writing_paused;
    bool marks_moved; /* since pause_writing */
    bool reading_paused;
    bool close_asked;
    bool abort_asked;
    int callback_err;
    uint32_t size_limit_bytes;
    uint64_t write_limit;
    uint64_t close_limit_ns; /* 0: none */
    uint64_t peer_wait_ns;
    uint64_t close_ns; /* when it is closed at the latest */
    uint64_t closing_ns;
    struct weir_handle act;
    uint32_t acts_left;
    uint64_t shown;
    uint64_t next_given; /* of those that the machine gave */
    uint64_t refused;    /* errors that it was told of: -ECONNREFUSED, */
    uint64_t too_long;   /* -EMSGSIZE, */
    uint64_t errors;     /* and all */
    struct weir_buf kept[SIM_KEPT_MAX];
    uint32_t kept_number[SIM_KEPT_MAX];
    uint32_t kept_count;
    uint32_t refs_out;
    /* Datagrams that were accepted; those from out_head on are queued. */
    uint32_t out[SIM_OUT_MAX];
    uint32_t out_head;
    uint32_t out_tail;
    uint64_t out_bytes;
    uint32_t out_too_long; /* before out_head */
    uint64_t moved;        /* at the last beat */
    uint32_t idle_beats;

    /* the other end */
    struct fake_box *box; /* NULL: closed */
    struct weir_address box_name;
    uint32_t box_left;      /* datagrams that it will send */
    bool box_closes;        /* after them */
    uint64_t stalled_to_ns; /* reads nothing until then */
    uint32_t last_own;      /* number of the last of weir's own here */
};

/* endpoint.c */
void sim_endpoint_act_soon(struct sim_endpoint *e, uint64_t delay_ns);
/* Compares the queue and the counts with what was accepted and taken. */
void sim_endpoint_watch(struct sim_endpoint *e);

/* endpoint_side.c */
extern const struct weir_protocol sim_endpoint_protocol;
void sim_endpoint_close(struct sim_endpoint *e);
void sim_endpoint_abort(struct sim_endpoint *e);
void sim_endpoint_send(struct sim_endpoint *e);
void sim_endpoint_limit(struct sim_endpoint *e);
/* Pauses or resumes reading. */
void sim_endpoint_toggle(struct sim_endpoint *e);
void sim_endpoint_drop_kept(struct sim_endpoint *e);

/* box.c */
/* A new datagram; 0 when there are enough of them. */
uint32_t sim_datagram_new(size_t len, bool is_own);
size_t sim_datagram_len(uint32_t number);
void sim_datagram_fill(uint32_t number, uint8_t *data);
/* True when these are its first @len bytes. */
bool sim_datagram_is(uint32_t number, const uint8_t *data, size_t len);
/* weir has accepted it. */
void sim_datagram_allow(uint32_t number);
size_t sim_datagram_random_size(void);
void sim_box_plan(struct sim_endpoint *e);
/* Makes one step; false when there is none to make now. */
bool sim_box_step(struct sim_endpoint *e);
void sim_box_forget(void);

#endif
