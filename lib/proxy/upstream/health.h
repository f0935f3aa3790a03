/*
 * The health of an upstream: pure functions.
 *
 * A struct wr_health counts the results of checks: it needs "rise" successes in
 * a row to be up, and "fall" failures to be down.
 *
 * A struct wr_ejection counts consecutive failures in two rows: of connecting,
 * and of established connections, as reported by the program. One row does not
 * interrupt the other, because each report follows a successful connection. A
 * row that reaches the limit ejects the upstream, for a time that doubles with
 * each ejection until the row is broken.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_HEALTH_H
#define WEIR_LIB_PROXY_UPSTREAM_HEALTH_H

#include "lib/proxy/libweir.h"
#include "weir/base.h"

enum wr_health_state {
    WR_HEALTH_UNKNOWN, /* the first check decides */
    WR_HEALTH_UP,
    WR_HEALTH_DOWN,
};

struct wr_health {
    enum wr_health_state state; /* set only by health_set_state() */
    uint32_t rise;
    uint32_t fall;
    uint32_t streak; /* results in a row that contradict the state */
};

void wr_health_init(struct wr_health *health, uint32_t rise, uint32_t fall,
                    enum wr_health_state state);

/* The upstream is up until checks find it down. Returns false if it was up. */
bool wr_health_lift(struct wr_health *health);

/* Called when a check has ended. Returns true if the state has changed. */
bool wr_health_note(struct wr_health *health, bool is_good);

/* Clocks of different loops may differ, so @then_ns may be in the future. */
static inline uint64_t wr_since(uint64_t now_ns, uint64_t then_ns)
{
    return now_ns > then_ns ? now_ns - then_ns : 0;
}

/* Returns the interval, plus or minus a tenth. */
uint64_t wr_health_next_ns(uint64_t interval_ns, uint64_t random);

enum wr_failure {
    WR_FAILURE_CONNECT,
    WR_FAILURE_REPORT,
    WR_FAILURES,
};

/* The limits of the set that records a failure. */
struct wr_ejection_plan {
    uint32_t limit; /* failures in a row; UINT32_MAX means no limit */
    uint64_t first_ns;
    uint64_t max_ns;
};

/* The ejection of a target, with its failures so far. All 0 at first. */
struct wr_ejection {
    uint32_t fails[WR_FAILURES];
    bool is_ejected;
    uint32_t count; /* ejections since the row was last broken */
    enum wr_failure
        cause; /* kind of failures that ejected last, if count > 0 */
};

/* Continues after @count ejections whose row of failures was not broken. */
void wr_ejection_resume(struct wr_ejection *ejection, uint32_t count,
                        enum wr_failure cause, bool is_ejected);

/* Returns true if a success of this row would change anything. */
static inline bool wr_ejection_has_row(const struct wr_ejection *ejection,
                                       enum wr_failure row)
{
    wr_assert(row < WR_FAILURES);
    return ejection->fails[row] > 0 ||
           (ejection->count > 0 && ejection->cause == row);
}

void wr_ejection_note_success(struct wr_ejection *ejection,
                              enum wr_failure row);

/* Returns the time of the ejection that the failure starts, or 0. */
WEIR_MUST_USE uint64_t wr_ejection_note_failure(
    struct wr_ejection *ejection, const struct wr_ejection_plan *plan,
    enum wr_failure row);

/* Called when the time of the ejection has expired. */
void wr_ejection_end(struct wr_ejection *ejection);

#endif
