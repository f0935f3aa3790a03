/*
 * One active check of an upstream.
 *
 * A probe connects, talks as its plan says, and ends once with a result, from
 * the loop, when nothing of it is left. Its timer gives it up.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_PROBE_H
#define WEIR_LIB_PROXY_UPSTREAM_PROBE_H

#include "check.h"
#include "target.h"

/*
 *     idle --start--> running --result--> leaving --all is gone--> idle
 */
enum wr_probe_state {
    WR_PROBE_IDLE,
    WR_PROBE_RUNNING,
    WR_PROBE_LEAVING, /* the result is known */
    WR_PROBE_STATES,
};

struct wr_probe {
    weir_loop *loop;
    const struct wr_check *check;
    /* The probe is over: 0, or a negative error. Not called inside a call. */
    void (*ended)(struct wr_probe *probe, int err);
    enum wr_probe_state state; /* set by probe_set_state() alone */
    int result;                /* of a leaving probe */
    uint32_t status;           /* of the answer to the last one; 0: none */
    const char *alert;         /* of the peer's TLS, likewise; NULL: none */
    const struct wr_target *target; /* of the last one */
    weir_pending *connect;          /* NULL: it has ended */
    weir_transport *t;              /* NULL: not made, or lost */
    struct wr_timer timer;
    uint8_t *answer; /* wr_check_get_room() bytes, the owner's memory */
    size_t answer_len;
};

/* @answer has room as the plan asks for; the plan has to stay. */
void wr_probe_init(struct wr_probe *probe, weir_loop *loop,
                   const struct wr_check *check, uint8_t *answer,
                   void (*ended)(struct wr_probe *probe, int err));

/* Starts an idle probe: 0, or an error of this machine. */
WEIR_MUST_USE int wr_probe_start(struct wr_probe *probe,
                                 struct wr_target *target);

/* A running probe ends with -ECANCELED. */
void wr_probe_give_up(struct wr_probe *probe);

static inline bool wr_probe_is_idle(const struct wr_probe *probe)
{
    return probe->state == WR_PROBE_IDLE;
}

#endif
