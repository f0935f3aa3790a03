/*
 * The health of an upstream: the pure part.
 *
 * A struct wr_health counts the results of checks: it needs "rise" successes in
 * a row to be up, and "fall" failures to be down.
 *
 * A struct wr_ejection counts the failures of connections, in two rows: those
 * of connecting, and those that the program reports of connections that were
 * made. One row does not interrupt the other, because each report follows a
 * connection that was made. A row that reaches the limit ejects the upstream,
 * for a time that doubles with each ejection until the row is broken.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_HEALTH_H
#define WEIR_LIB_PROXY_UPSTREAM_HEALTH_H

#include "uring/check.h"
#include "weir/base.h"

/*
 *     unknown --first result--> up <--rise, fall--> down
 */
enum wr_health_state {
    WR_HEALTH_UNKNOWN, /* the first check decides */
    WR_HEALTH_UP,
    WR_HEALTH_DOWN,
};

struct wr_health {
    enum wr_health_state state; /* set by health_set_state() alone */
    uint32_t rise;
    uint32_t fall;
    uint32_t streak; /* results in a row that speak against the state */
};

void wr_health_init(struct wr_health *health, uint32_t rise, uint32_t fall,
                    enum wr_health_state state);

/* It is up from now on, until checks find it down. True if it was not. */
bool wr_health_lift(struct wr_health *health);

/* A check has ended. True if the state has changed. */
bool wr_health_note(struct wr_health *health, bool is_good);

/* From @then to now, by clocks of several loops, of which one may be late. */
static inline uint64_t wr_since(uint64_t now_ns, uint64_t then_ns)
{
    return now_ns > then_ns ? now_ns - then_ns : 0;
}

/* The time until the next check: the interval, give or take a tenth. */
uint64_t wr_health_next_ns(uint64_t interval_ns, uint64_t random);

/* The rows of failures. */
enum wr_failure {
    WR_FAILURE_CONNECT,
    WR_FAILURE_REPORT,
    WR_FAILURES,
};

/* The limits of whoever notes a failure. */
struct wr_ejection_plan {
    uint32_t limit; /* failures in a row; UINT32_MAX: none is too many */
    uint64_t first_ns;
    uint64_t max_ns;
};

/* Zero is one that has not failed. */
struct wr_ejection {
    uint32_t fails[WR_FAILURES]; /* in a row */
    bool is_ejected;
    uint32_t count;        /* ejections since the row was last broken */
    enum wr_failure cause; /* the row of the last ejection, if count > 0 */
};

/* Goes on where another has stood: after @count ejections whose row was not
 * broken, perhaps still ejected. */
void wr_ejection_resume(struct wr_ejection *ejection, uint32_t count,
                        enum wr_failure cause, bool is_ejected);

/* True if a success of this row has something to break. */
static inline bool wr_ejection_has_row(const struct wr_ejection *ejection,
                                       enum wr_failure row)
{
    wr_assert(row < WR_FAILURES);
    return ejection->fails[row] > 0 ||
           (ejection->count > 0 && ejection->cause == row);
}

/* A success breaks its row. */
void wr_ejection_note_success(struct wr_ejection *ejection,
                              enum wr_failure row);

/* A failure. Returns the time of the ejection that begins, or 0: none does. */
WEIR_MUST_USE uint64_t wr_ejection_note_failure(
    struct wr_ejection *ejection, const struct wr_ejection_plan *plan,
    enum wr_failure row);

/* The time of the ejection is over. */
void wr_ejection_end(struct wr_ejection *ejection);

#endif
