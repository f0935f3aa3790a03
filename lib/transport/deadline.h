/*
 * The limit that ends a connection first, out of those that it has.
 *
 * A transport considers each limit that is in force, and arms one timer for the
 * soonest. Which are in force is its own knowledge. When a limit is over it
 * looks whether the peer is to blame: bytes of its may wait in the kernel.
 */
#ifndef WEIR_LIB_TRANSPORT_DEADLINE_H
#define WEIR_LIB_TRANSPORT_DEADLINE_H

#include "transport.h"
#include "weir/error.h"

/* A limit that is over by more than this: the loop was held up. */
#define WR_DEADLINE_LATE_NS 1000000u

struct wr_deadline {
    uint64_t when_ns;  /* UINT64_MAX: there is none */
    int err;           /* of the end; 0: it is no error */
    const char *where; /* for the text of the error; static */
};

/* Puts a limit from @since_ns on, of which 0 is none, into @first if it is
 * sooner. */
static inline void wr_deadline_consider(struct wr_deadline *first,
                                        uint64_t since_ns, uint64_t limit_ns,
                                        int err, const char *where)
{
    wr_assert(err <= 0);
    if (limit_ns == 0) {
        return;
    }
    const uint64_t when_ns = wr_add_sat(since_ns, limit_ns);
    if (when_ns < first->when_ns) {
        *first = (struct wr_deadline){when_ns, err, where};
    }
}

/* True when bytes that the peer has sent wait here. */
static inline bool wr_deadline_has_unread(const weir_transport *t)
{
    return t->ops->is_reading && t->ops->is_reading(t) && t->ops->has_unread(t);
}

/* True when a limit that is over would end the connection for what the loop did
 * not do: bytes that are there count as received, and a peer that has taken all
 * while the loop was held up has not kept it waiting. A connection on which
 * bytes wait for the peer may be idle: its own may wait for that. */
static inline bool wr_deadline_is_unfair(const struct wr_deadline *over,
                                         const weir_transport *t)
{
    const struct wr_transport_ops *ops = t->ops;
    const uint64_t now_ns = t->loop->now_ns;

    wr_assert(over->when_ns <= now_ns);
    switch (over->err) {
    case WEIR_EREADTIMEOUT:
        return wr_deadline_has_unread(t);
    case WEIR_EIDLE:
        return !(ops->get_depth && ops->get_depth(t).bytes > 0) &&
               wr_deadline_has_unread(t);
    case WEIR_EWRITESTALL:
    case WEIR_ECLOSETIMEOUT:
        return now_ns - over->when_ns >= WR_DEADLINE_LATE_NS &&
               ops->has_taken_all(t);
    default:
        return false;
    }
}

/* The limits of a transport. */
struct wr_deadline_ops {
    /* The limit that ends the connection first, as things stand. */
    struct wr_deadline (*next)(const weir_transport *t);
    /* The limit that ends with this error begins now. */
    void (*begin_anew)(weir_transport *t, int err);
};

/* The limit that is first when those that are over and unfair have begun anew,
 * each once at most, as none is over at the moment at which it begins. */
static inline struct wr_deadline
wr_deadline_find_fair(weir_transport *t, const struct wr_deadline_ops *ops)
{
    struct wr_deadline next = ops->next(t);

    while (next.when_ns <= t->loop->now_ns && wr_deadline_is_unfair(&next, t)) {
        wr_assert(next.err < 0);
        ops->begin_anew(t, next.err);
        next = ops->next(t);
    }
    return next;
}

#endif
