/*
 * One active check of an upstream.
 *
 * A probe connects, talks as its plan says, and leaves, in a task of weir's
 * own. Its end is told once, from the loop.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_PROBE_H
#define WEIR_LIB_PROXY_UPSTREAM_PROBE_H

#include "check.h"
#include "lib/task/own_task.h"
#include "target.h"

struct wr_probe {
    struct wr_own_task own; /* it runs while the probe does */
    const struct wr_check *check;
    /* The probe is over: 0, or a negative error. Not called inside a call. */
    void (*ended)(struct wr_probe *probe, int err);
    struct wr_check_talk talk; /* of the last one, as are all below */
    const char *alert;         /* of the peer's TLS; NULL: none */
    const struct wr_target *target;
    const struct wr_secure_settings *tls; /* NULL: none */
    uint8_t *answer; /* wr_check_get_room() bytes, the owner's memory */
    size_t len;      /* bytes of it */
};

/* @answer has room as the plan asks for; the plan has to stay. */
void wr_probe_init(struct wr_probe *probe, weir_loop *loop,
                   const struct wr_check *check, uint8_t *answer,
                   void (*ended)(struct wr_probe *probe, int err));

/* Starts an idle probe, with TLS unless @tls is NULL: 0, or an error of this
 * machine. */
WEIR_MUST_USE int wr_probe_start(struct wr_probe *probe,
                                 const struct wr_target *target,
                                 const struct wr_secure_settings *tls);

/* A running probe ends with -ECANCELED, unless its end is near. */
void wr_probe_give_up(struct wr_probe *probe);

static inline bool wr_probe_is_idle(const struct wr_probe *probe)
{
    return !wr_own_task_is_running(&probe->own);
}

#endif
