/*
 * The plan of active checks, and the verdict on an answer: the pure part.
 *
 * A plan is the copy of the program's struct weir_upstream_check with its
 * defaults. An answer is judged each time that more of it has arrived, from its
 * first byte on, as long as it fits the room that the plan asks for.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_CHECK_H
#define WEIR_LIB_PROXY_UPSTREAM_CHECK_H

#include "weir/upstream_check.h"

struct wr_check {
    struct weir_upstream_check plan; /* its texts are in the memory below */
    char *text;
    size_t text_size; /* 0: there are no texts */
};

/* Copies the program's plan: 0, or the errors of weir_upstreams_new(). */
WEIR_MUST_USE int wr_check_init(struct wr_check *check,
                                const struct weir_allocator *allocator,
                                const struct weir_upstream_check *plan);
void wr_check_fini(struct wr_check *check,
                   const struct weir_allocator *allocator);

/* True if both ask the same of an upstream. */
bool wr_check_is_same(const struct wr_check *a, const struct wr_check *b);

/* True if there are checks to be made. */
static inline bool wr_check_is_active(const struct wr_check *check)
{
    return check->plan.interval_ns > 0;
}

/* True if a check needs the TLS settings of its upstream. */
bool wr_check_has_handshake(const struct wr_check *check);
/* True if a check is made without them. */
bool wr_check_is_bare(const struct wr_check *check);
/* True if a check ends with an answer, not with a connection. */
bool wr_check_has_answer(const struct wr_check *check);

/* Bytes that are sent, borrowed from the plan. */
struct wr_check_piece {
    const void *data;
    size_t size;
};

#define WR_CHECK_PIECES 5

/* Writes the pieces that a check sends to an upstream of this authority, and
 * returns their number. The check ends with an answer. */
size_t wr_check_ask(const struct wr_check *check, const char *authority,
                    struct wr_check_piece ret[WR_CHECK_PIECES]);

/* Bytes of an answer that a verdict needs at most. */
size_t wr_check_get_room(const struct wr_check *check);

enum wr_verdict {
    WR_VERDICT_MORE, /* not known yet */
    WR_VERDICT_GOOD,
    WR_VERDICT_BAD,
};

/* Judges an answer of which @len bytes have arrived. With a verdict that is
 * about a status of HTTP the status is written. */
enum wr_verdict wr_check_judge(const struct wr_check *check,
                               const uint8_t *answer, size_t len,
                               uint32_t *ret_status);

#endif
