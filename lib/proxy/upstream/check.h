/*
 * The plan of active checks, and the verdict on a response: pure functions.
 *
 * A response is evaluated each time that more of it has arrived, from its first
 * byte, while it fits the space that the plan requests.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_CHECK_H
#define WEIR_LIB_PROXY_UPSTREAM_CHECK_H

#include "lib/proxy/libweir.h"
#include "weir/upstream_check.h"

/* A step of a dialogue; offsets are in wr_check.text. Has no padding, because
 * plans are compared byte by byte. */
struct wr_check_step {
    size_t send_at;
    size_t send_size;
    size_t expect_at;
    size_t expect_size;
    size_t is_anywhere;
};

struct wr_check {
    struct weir_upstream_check plan; /* the plan's texts are in ->text */
    char *text;                      /* the steps, then the texts */
    /* Bytes of ->text; 0 if there are no texts. */
    size_t text_size;
    size_t step_count;
    const char *login; /* part of ->text, or NULL */
    size_t login_size;
    /* Address of the check's own endpoint; len may be 0. */
    struct weir_address address;
};

/* Copies the program's plan. Fails like weir_upstreams_new(). */
WEIR_MUST_USE int wr_check_init(struct wr_check *check,
                                const struct weir_allocator *allocator,
                                const struct weir_upstream_check *plan);
void wr_check_fini(struct wr_check *check,
                   const struct weir_allocator *allocator);

bool wr_check_is_same(const struct wr_check *a, const struct wr_check *b);

static inline bool wr_check_is_active(const struct wr_check *check)
{
    return check->plan.interval_ns > 0;
}

/* True if a check needs the TLS settings of its upstream. */
bool wr_check_has_handshake(const struct wr_check *check);
/* True if a check is made without the TLS settings. */
bool wr_check_is_bare(const struct wr_check *check);
/* True if a check requires a response, not only a connection. */
bool wr_check_has_answer(const struct wr_check *check);

/* True if checks do not connect to the upstream's endpoint. */
bool wr_check_has_endpoint(const struct wr_check *check);
struct weir_endpoint wr_check_get_endpoint(const struct wr_check *check);

/* The state of a check's conversation. Zero-initialized at the start. */
struct wr_check_talk {
    size_t step;     /* current step: to be sent, or sent and unanswered */
    size_t used;     /* bytes of the response already consumed */
    bool is_in;      /* there is a session, which wr_check_bye() ends */
    uint32_t status; /* HTTP's status or MySQL's error number, or 0 */
    char reason[WEIR_UPSTREAM_CHECK_REASON_SIZE]; /* the server's text, or "" */
};

/* Bytes to send, borrowed from the plan. */
struct wr_check_piece {
    const void *data;
    size_t size;
};

#define WR_CHECK_PIECES 5

/* Writes to @ret the bytes that the current step sends. Returns the number of
 * pieces. @authority is the upstream's host and port. Requires
 * wr_check_has_answer(). */
size_t wr_check_ask(const struct wr_check *check,
                    const struct wr_check_talk *talk, const char *authority,
                    struct wr_check_piece ret[WR_CHECK_PIECES]);

/* Returns the bytes that end the session, or size 0 if there is no session. */
struct wr_check_piece wr_check_bye(const struct wr_check *check,
                                   const struct wr_check_talk *talk);

/* Returns the maximum number of bytes of a response that a verdict needs. */
size_t wr_check_get_room(const struct wr_check *check);

enum wr_verdict {
    WR_VERDICT_MORE, /* not known yet: more bytes are needed */
    WR_VERDICT_GOOD,
    WR_VERDICT_BAD,
    WR_VERDICT_SAY, /* not known yet: send the next step */
};

/* Evaluates a response of which @len bytes have arrived since the start. */
enum wr_verdict wr_check_judge(const struct wr_check *check,
                               struct wr_check_talk *talk,
                               const uint8_t *answer, size_t len);

/* Returns true if the check must fail when no more bytes arrive for a while. */
bool wr_check_is_over_when_quiet(const struct wr_check *check,
                                 const struct wr_check_talk *talk, size_t len);

#endif
