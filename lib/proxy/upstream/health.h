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

/* A check has ended. True if the state has changed. */
bool wr_health_note(struct wr_health *health, bool is_good);

/* The time until the next check: the interval, give or take a tenth. */
uint64_t wr_health_next_ns(uint64_t interval_ns, uint64_t random);

/* The rows of failures. */
enum wr_failure {
    WR_FAILURE_CONNECT,
    WR_FAILURE_REPORT,
    WR_FAILURES,
};

struct wr_ejection {
    uint32_t limit; /* failures in a row; UINT32_MAX: none is too many */
    uint64_t first_ns;
    uint64_t max_ns;
    uint32_t fails[WR_FAILURES]; /* in a row */
    bool is_ejected;
    uint32_t count;        /* ejections since the row was last broken */
    enum wr_failure cause; /* the row of the last ejection, if count > 0 */
};

void wr_ejection_init(struct wr_ejection *ejection, uint32_t limit,
                      uint64_t first_ns, uint64_t max_ns);

/* Goes on where another has stood: after @count ejections whose row was not
 * broken, perhaps still ejected. */
void wr_ejection_resume(struct wr_ejection *ejection, uint32_t count,
                        enum wr_failure cause, bool is_ejected);

/* A success breaks its row. */
void wr_ejection_note_success(struct wr_ejection *ejection,
                              enum wr_failure row);

/* A failure. Returns the time of the ejection that begins, or 0: none does. */
WEIR_MUST_USE uint64_t wr_ejection_note_failure(struct wr_ejection *ejection,
                                                enum wr_failure row);

/* The time of the ejection is over. */
void wr_ejection_end(struct wr_ejection *ejection);

#endif
