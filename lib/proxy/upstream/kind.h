/*
 * Kinds of checks: a row of functions for each, which check.c lists.
 *
 * A check is a talk. A kind says what is sent in the step at which the talk is,
 * and judges the answer each time that more of it has arrived; it moves the
 * talk to the next step itself.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_KIND_H
#define WEIR_LIB_PROXY_UPSTREAM_KIND_H

#include "check.h"

struct wr_check_kind {
    const char *name;
    bool has_handshake; /* it makes sense with TLS alone */
    bool is_bare;       /* it is made without the TLS of the upstream */
    bool needs_user;
    uint32_t least_limit;
    /* Makes the first bytes that a login sends; without @ret it returns their
     * number alone. NULL: none are made. */
    size_t (*make_login)(const struct weir_upstream_check *plan, uint8_t *ret);
    /* The bytes that are sent, in pieces; their number. NULL: nothing is said,
     * and the connection is the answer. */
    size_t (*ask)(const struct wr_check *check,
                  const struct wr_check_talk *talk, const char *authority,
                  struct wr_check_piece ret[WR_CHECK_PIECES]);
    enum wr_verdict (*judge)(const struct wr_check *check,
                             struct wr_check_talk *talk, const uint8_t *answer,
                             size_t len);
    /* The bytes that end a session (wr_check_talk.is_in). */
    struct wr_check_piece bye;
};

/* dialogue.c */
extern const struct wr_check_kind wr_check_text;
/* True if silence after these bytes means that they are a wrong answer. */
bool wr_dialogue_is_over_when_quiet(const struct wr_check *check,
                                    const struct wr_check_talk *talk,
                                    size_t len);

/* Appends the first line of a text from the server to the reason of the talk.
 * Bytes that are not plain text become '?'. */
void wr_dialogue_note_reason(struct wr_check_talk *talk, const void *words,
                             size_t len);

/* login.c */
extern const struct wr_check_kind wr_check_postgres;
extern const struct wr_check_kind wr_check_mysql;

#endif
