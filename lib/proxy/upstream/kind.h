/*
 * The kinds of checks. Each kind is a table of functions; check.c lists the
 * tables.
 *
 * A check is a conversation. A kind sends the bytes of the current step and
 * evaluates the response each time that more of it has arrived; it advances the
 * conversation to the next step itself.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_KIND_H
#define WEIR_LIB_PROXY_UPSTREAM_KIND_H

#include "check.h"

struct wr_check_kind {
    const char *name;
    bool has_handshake; /* requires TLS */
    bool is_bare;       /* made without the TLS of the upstream */
    bool needs_user;
    uint32_t least_limit;
    /* Writes the first bytes of a login to @ret, if it is not NULL, and returns
     * their number. The entry may be NULL. */
    size_t (*make_login)(const struct weir_upstream_check *plan, uint8_t *ret);
    /* Writes the pieces to send to @ret, and returns their number. The entry is
     * NULL if a check sends nothing and succeeds when it is connected. */
    size_t (*ask)(const struct wr_check *check,
                  const struct wr_check_talk *talk, const char *authority,
                  struct wr_check_piece ret[WR_CHECK_PIECES]);
    enum wr_verdict (*judge)(const struct wr_check *check,
                             struct wr_check_talk *talk, const uint8_t *answer,
                             size_t len);
    /* The bytes that end a session (wr_check_talk.is_in). */
    struct wr_check_piece bye;
};

extern const struct wr_check_kind wr_check_text;
/* Returns true if silence after these bytes means that they are wrong. */
bool wr_dialogue_is_over_when_quiet(const struct wr_check *check,
                                    const struct wr_check_talk *talk,
                                    size_t len);

/* Appends the first line of the server's text to the reason of the
 * conversation. Bytes that are not plain text become '?'. */
void wr_dialogue_note_reason(struct wr_check_talk *talk, const void *words,
                             size_t len);

extern const struct wr_check_kind wr_check_postgres;
extern const struct wr_check_kind wr_check_mysql;

#endif
