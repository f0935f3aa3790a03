/*
 * The limit that ends a connection first, out of those that it has.
 *
 * A transport considers each limit that is in force, and arms one timer for the
 * soonest. Which are in force is its own knowledge.
 */
#ifndef WEIR_LIB_TRANSPORT_DEADLINE_H
#define WEIR_LIB_TRANSPORT_DEADLINE_H

#include "uring/sys.h"

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

#endif
