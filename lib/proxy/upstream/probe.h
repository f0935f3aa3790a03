/*
 * One active check of an upstream.
 *
 * A probe connects, talks as its plan requires, and leaves, in an internal
 * task. Its end is reported once, from the loop.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_PROBE_H
#define WEIR_LIB_PROXY_UPSTREAM_PROBE_H

#include "check.h"
#include "target.h"

struct wr_probe {
    struct wr_own_task own; /* runs while the probe runs */
    const struct wr_check *check;
    /* Called when the probe is over, with 0 or a negative error. Never called
     * inside a call. */
    void (*ended)(struct wr_probe *probe, int err);
    /* Result of the last probe, as are the fields below. */
    struct wr_check_talk talk;
    const char *alert; /* alert of the peer's TLS, or NULL */
    const struct wr_target *target;
    const struct wr_secure_settings *tls; /* may be NULL */
    uint8_t *answer; /* wr_check_get_room() bytes, owned by the owner */
    size_t len;      /* used bytes */
};

/* Initializes a probe. @answer must have the space that the plan requests; the
 * plan must outlive the probe. */
void wr_probe_init(struct wr_probe *probe, weir_loop *loop,
                   const struct wr_check *check, uint8_t *answer,
                   void (*ended)(struct wr_probe *probe, int err));

/* Starts an idle probe, with TLS unless @tls is NULL. Returns 0, or an error of
 * this machine. */
WEIR_MUST_USE int wr_probe_start(struct wr_probe *probe,
                                 const struct wr_target *target,
                                 const struct wr_secure_settings *tls);

/* Ends a running probe with -ECANCELED, unless it is about to end. */
void wr_probe_give_up(struct wr_probe *probe);

static inline bool wr_probe_is_idle(const struct wr_probe *probe)
{
    return !wr_own_task_is_running(&probe->own);
}

#endif
