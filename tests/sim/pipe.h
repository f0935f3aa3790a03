/*
 * The internal interface of the simulation's pipes.
 *
 * pipe.c plans them, plays their peers and checks them from outside;
 * pipe_side.c is the protocol of weir's ends.
 */
#ifndef WEIR_TESTS_SIM_PIPE_H
#define WEIR_TESTS_SIM_PIPE_H

#include "tests/sim/sim.h"

#define SIM_PIPE_PIECE 20000u

/* The bytes of both directions follow from the number of the pipe. */
struct sim_pipe {
    struct sim_conn bytes; /* its id alone */
    bool reads;
    bool is_buffered;
    bool by_name; /* a worker moves the bytes */
    bool refuses;
    bool minds_marks;
    enum sim_state state;
    weir_transport *t;
    bool started;
    bool done;
    bool writing_paused;
    bool reading_paused;
    bool eof;
    bool close_asked;
    bool abort_asked;
    bool is_whole; /* closed, and all that was accepted is in the pipe */
    int callback_err;
    uint64_t written; /* accepted */
    uint64_t received;
    uint64_t close_ns;
    uint64_t closing_ns;
    struct weir_handle act;
    uint32_t acts_left;
    uint64_t moved;
    uint32_t idle_beats;
    uint8_t memory[SIM_PIPE_PIECE];
    /* the peer */
    struct fake_fifo *fifo;        /* NULL: the peer has let go */
    const struct fake_fifo *whole; /* the same, until weir lets go as well */
    uint64_t peer_moved;           /* bytes that it wrote or read */
    uint64_t peer_plan;            /* after which it lets go */
    uint64_t stalled_to_ns;
};

/* pipe.c */
void sim_pipe_act_soon(struct sim_pipe *p, uint64_t delay_ns);

/* pipe_side.c */
/* Buffers of the pool, and own memory. */
extern const struct weir_protocol sim_pipe_protocols[2];
void sim_pipe_close(struct sim_pipe *p);
void sim_pipe_abort(struct sim_pipe *p);
/* Pauses or resumes reading, if it reads. */
void sim_pipe_toggle(struct sim_pipe *p);
void sim_pipe_write(struct sim_pipe *p);

#endif
