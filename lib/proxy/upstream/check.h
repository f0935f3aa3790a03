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

/* A step of a dialogue: where its bytes are, in the text. No padding, so that
 * plans are compared by the bytes of their texts. */
struct wr_check_step {
    size_t send_at;
    size_t send_size;
    size_t expect_at;
    size_t expect_size;
    size_t is_anywhere;
};

struct wr_check {
    struct weir_upstream_check plan; /* its texts are in the memory below */
    char *text;       /* the steps, then the texts, one after the other */
    size_t text_size; /* 0: there are no texts */
    size_t step_count;
    const char *login; /* in the text; NULL: none */
    size_t login_size;
    struct weir_address address; /* of the place; len 0: it has none */
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

/* True if checks do not go to where the upstream is; then, where to. */
bool wr_check_has_place(const struct wr_check *check);
struct weir_place wr_check_get_place(const struct wr_check *check);

/* Where the talk of a check stands. Zero is its begin. */
struct wr_check_talk {
    size_t step;     /* that was sent, or is to be sent */
    size_t used;     /* bytes of the answer that were judged for good */
    bool is_in;      /* there is a session, which bye ends */
    uint32_t status; /* of HTTP, or the error of MySQL; 0: none */
    char reason[WEIR_CHECK_REASON_SIZE]; /* the server's words; "": none */
};

/* Bytes that are sent, borrowed from the plan. */
struct wr_check_piece {
    const void *data;
    size_t size;
};

#define WR_CHECK_PIECES 5

/* Writes the pieces that a step of a talk sends to an upstream of this
 * authority, and returns their number. The check ends with an answer. */
size_t wr_check_ask(const struct wr_check *check,
                    const struct wr_check_talk *talk, const char *authority,
                    struct wr_check_piece ret[WR_CHECK_PIECES]);

/* The bytes that end the session of a talk that is in; of size 0 if nothing
 * does. */
struct wr_check_piece wr_check_bye(const struct wr_check *check,
                                   const struct wr_check_talk *talk);

/* Bytes of an answer that a verdict needs at most. */
size_t wr_check_get_room(const struct wr_check *check);

enum wr_verdict {
    WR_VERDICT_MORE, /* not known yet: more bytes are needed */
    WR_VERDICT_GOOD,
    WR_VERDICT_BAD,
    WR_VERDICT_SAY, /* not known yet: the next step of the talk is to be sent */
};

/* Judges an answer of which @len bytes have arrived since the talk began. */
enum wr_verdict wr_check_judge(const struct wr_check *check,
                               struct wr_check_talk *talk,
                               const uint8_t *answer, size_t len);

/* True if it is a wrong answer when nothing follows these bytes for a while. */
bool wr_check_is_over_when_quiet(const struct wr_check *check,
                                 const struct wr_check_talk *talk, size_t len);

#endif
