/*
 * Searches for a path from the peer's certificate upwards, depth first. A peer
 * can send many certificates with the same name, so the number of verified
 * links is limited.
 */
#include "path.h"

#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>

/* Maximum cost of the verified links of one peer. A link with a P-256 key costs
 * 1, with P-384 2, with P-521 3 (strength.c). So at most 16 links are verified,
 * or 5 with P-521. */
#define PATH_COST_MAX 16u

/* Maximum cost of comparing a peer's names with subtrees of its issuers' name
 * constraints. The comparisons take about a millisecond. */
#define PATH_NAMES_MAX ((size_t)1 << 17)

enum {
    PATH_NOTHING,
    PATH_WITHOUT_ISSUER,
    PATH_AT_ISSUER,
    PATH_AT_ANCHOR,
    PATH_STOPPED, /* ends the search */
};

static void path_note(struct wr_x509_path *path, uint32_t rank,
                      const struct wr_x509 *wrong, struct wr_x509_reason reason)
{
    wr_assert(reason.err < 0);
    if (rank > path->rank) {
        path->rank = rank;
        path->wrong = wrong;
        path->reason = reason;
    }
}

static const struct wr_x509 *path_at(const struct wr_x509_path *path,
                                     uint32_t step)
{
    wr_assert(step < path->length);
    return &path->sent[path->steps[step]];
}

/* Counts the issuers between @step and the leaf. Self-issued ones do not count
 * (RFC 5280, 4.2.1.9). */
static uint32_t path_count_below(const struct wr_x509_path *path, uint32_t step)
{
    uint32_t count = 0;

    wr_assert(step <= path->length);
    for (uint32_t i = 1; i < step; i++) {
        count += !wr_x509_is_self_issued(path_at(path, i));
    }
    return count;
}

static void path_note_constraint(struct wr_x509_path *path,
                                 const struct wr_x509 *x509,
                                 enum wr_x509_constraint kept)
{
    static const char *const texts[] = {
        [WR_X509_CONSTRAINT_BROKEN] =
            "has a name that an issuer may not issue for",
        [WR_X509_CONSTRAINT_UNKNOWN] =
            "has a name of a kind that an issuer limits, and that is not known",
        [WR_X509_CONSTRAINT_MANY] = "has too many names for its issuers' "
                                    "constraints: they are not compared",
    };

    wr_assert(kept != WR_X509_CONSTRAINT_KEPT);
    path_note(path,
              kept == WR_X509_CONSTRAINT_MANY ? PATH_STOPPED : PATH_AT_ANCHOR,
              x509, (struct wr_x509_reason){WEIR_ETLSCONSTRAINT, texts[kept]});
}

/* Checks the rules that @authority, the certificate at @step or the anchor,
 * sets for the certificates before @step in the path. */
static bool path_keeps_rules_of(struct wr_x509_path *path,
                                const struct wr_x509 *authority, uint32_t step)
{
    wr_assert(step > 0 && step <= path->length);
    if (path_count_below(path, step) > authority->path_len) {
        path_note(path, PATH_AT_ANCHOR, path_at(path, step - 1),
                  (struct wr_x509_reason){WEIR_ETLSPATHLEN,
                                          "stands in a chain longer than an "
                                          "issuer allows"});
        return false;
    }
    for (uint32_t i = 0; i < step && authority->constraints.data; i++) {
        const struct wr_x509 *x509 = path_at(path, i);
        if (i > 0 && wr_x509_is_self_issued(x509)) {
            continue;
        }
        const enum wr_x509_constraint kept =
            wr_x509_constraint_check(authority, x509, &path->names_left);
        if (kept != WR_X509_CONSTRAINT_KEPT) {
            path_note_constraint(path, x509, kept);
            return false;
        }
    }
    return true;
}

/* A certificate of version 1 has no field that declares an authority, so an
 * anchor of this version may issue. */
static bool path_may_issue(const struct wr_x509 *anchor)
{
    wr_assert(anchor->version >= 1 && anchor->version <= 3);
    return (anchor->is_authority || anchor->version == 1) &&
           (!anchor->has_usage || (anchor->usage & WR_X509_USE_CERT_SIGN));
}

/* An anchor that is not an authority is trusted only as the leaf itself. */
static bool path_keeps_anchor(struct wr_x509_path *path,
                              const struct wr_x509 *anchor)
{
    struct wr_x509_reason reason = {.err = 0};
    const struct wr_x509 *top = path_at(path, path->length - 1);
    const bool is_itself = wr_der_is_equal(&top->der, &anchor->der);

    wr_assert(anchor->der.data != NULL);
    if (!wr_x509_rules_check_anchor(&path->rules, anchor, &reason)) {
        path_note(path, PATH_AT_ANCHOR, anchor, reason);
        return false;
    }
    if (!path_may_issue(anchor) && !(is_itself && path->length == 1)) {
        path_note(path, PATH_AT_ANCHOR, anchor,
                  (struct wr_x509_reason){WEIR_ETLSPURPOSE,
                                          "is trusted, but may issue no "
                                          "certificates"});
        return false;
    }
    /* Only a certificate that is the anchor itself may have a weak
     * signature. */
    for (uint32_t i = 0; i < path->length - is_itself; i++) {
        if (path_at(path, i)->signature != WR_X509_STRONG) {
            path_note(path, PATH_AT_ANCHOR, path_at(path, i),
                      (struct wr_x509_reason){WEIR_ETLSWEAK,
                                              "is signed over a hash weaker "
                                              "than SHA-256"});
            return false;
        }
    }
    return true;
}

static bool path_keeps_rules(struct wr_x509_path *path,
                             const struct wr_x509 *anchor)
{
    wr_assert(path->length > 0);
    if (!path_keeps_anchor(path, anchor) ||
        !path_keeps_rules_of(path, anchor, path->length)) {
        return false;
    }
    for (uint32_t i = path->length - 1; i > 0; i--) {
        if (!path_keeps_rules_of(path, path_at(path, i), i)) {
            return false;
        }
    }
    return true;
}

static bool path_verify_link(struct wr_x509_path *path,
                             const struct wr_x509 *issuer, uint32_t rank)
{
    const struct wr_x509 *child = path_at(path, path->length - 1);

    const uint32_t cost = 1 + issuer->key.extra_cost;

    wr_assert(path->links <= path->cost);
    wr_assert(path->cost <= PATH_COST_MAX && issuer->der.data);
    if (wr_der_is_equal(&child->der, &issuer->der)) {
        return true; /* the child is the trusted certificate itself */
    }
    if (path->cost + cost > PATH_COST_MAX) {
        path_note(path, PATH_STOPPED, child,
                  (struct wr_x509_reason){WEIR_ETLSPATHLEN,
                                          "has too many issuers of one name"});
        return false;
    }
    path->links++;
    path->cost += cost;
    const struct wr_x509_reason reason = path->link(path->user, child, issuer);
    if (reason.err < 0) {
        path_note(path, reason.err == -ENOMEM ? PATH_STOPPED : rank, child,
                  reason);
    }
    return reason.err == 0;
}

/* An anchor is revoked if another anchor has issued it and has it in a list. A
 * missing list is not an error. */
static bool path_keeps_anchors_lists(struct wr_x509_path *path,
                                     const struct wr_x509 *anchor)
{
    const struct wr_x509 *above = NULL;

    wr_assert(path->revoked != NULL);
    if (wr_x509_is_self_issued(anchor)) {
        return true;
    }
    while ((above = wr_x509_trust_find(path->trust, &anchor->issuer, above))) {
        const struct wr_x509_reason reason =
            path->revoked(path->user, anchor, above);
        if (reason.err < 0 && reason.err != WEIR_ETLSNOCRL) {
            path_note(path, PATH_AT_ANCHOR, anchor, reason);
            return false;
        }
    }
    return true;
}

/* Returns false if a certificate of the path was revoked, or if a list is
 * missing. A revocation takes precedence as the reason. */
static bool path_keeps_lists(struct wr_x509_path *path,
                             const struct wr_x509 *anchor)
{
    const struct wr_x509 *issuer = anchor;
    const struct wr_x509 *unlisted = NULL;
    struct wr_x509_reason missing = {.err = 0};

    wr_assert(path->length > 0);
    if (!path->revoked) {
        return true;
    }
    for (uint32_t i = path->length; i-- > 0; issuer = path_at(path, i)) {
        const struct wr_x509 *child = path_at(path, i);
        if (wr_der_is_equal(&child->der, &anchor->der)) {
            continue;
        }
        const struct wr_x509_reason reason =
            path->revoked(path->user, child, issuer);
        if (reason.err == WEIR_ETLSNOCRL) {
            unlisted = child;
            missing = reason;
        } else if (reason.err < 0) {
            path_note(path, PATH_AT_ANCHOR, child, reason);
            return false;
        }
    }
    if (unlisted) {
        path_note(path, PATH_AT_ANCHOR, unlisted, missing);
    }
    return !unlisted && path_keeps_anchors_lists(path, anchor);
}

static bool path_find_anchor(struct wr_x509_path *path)
{
    const struct wr_x509 *child = path_at(path, path->length - 1);
    const struct wr_x509 *anchor = NULL;

    wr_assert(path->trust != NULL);
    while (path->rank < PATH_STOPPED &&
           (anchor = wr_x509_trust_find(path->trust, &child->issuer, anchor))) {
        if (path_verify_link(path, anchor, PATH_AT_ANCHOR) &&
            path_keeps_rules(path, anchor) && path_keeps_lists(path, anchor)) {
            return true;
        }
    }
    return false;
}

static void path_find_copies(struct wr_x509_path *path)
{
    wr_assert(path->sent_count <= WR_X509_CHAIN_MAX);
    for (uint32_t i = 0; i < path->sent_count; i++) {
        uint32_t first = 0;
        while (!wr_der_is_equal(&path->sent[first].der, &path->sent[i].der)) {
            first++;
        }
        path->firsts[i] = first;
    }
}

static bool path_has(const struct wr_x509_path *path, uint32_t place)
{
    wr_assert(path->length > 0);
    for (uint32_t i = 0; i < path->length; i++) {
        if (path->firsts[path->steps[i]] == path->firsts[place]) {
            return true;
        }
    }
    return false;
}

/* Returns the first certificate, from @place on, that may have issued the last
 * certificate of the path, or ->sent_count. */
static uint32_t path_next_issuer(struct wr_x509_path *path, uint32_t place)
{
    const struct wr_x509 *child = path_at(path, path->length - 1);
    struct wr_x509_reason reason = {.err = 0};

    wr_assert(place <= path->sent_count);
    for (; place < path->sent_count; place++) {
        const struct wr_x509 *issuer = &path->sent[place];
        path->looks++;
        if (!issuer->der.data || path_has(path, place) ||
            !wr_der_is_equal(&issuer->subject, &child->issuer)) {
            continue;
        }
        if (wr_x509_rules_check(&path->rules, issuer, false, &reason)) {
            break;
        }
        path_note(path, PATH_AT_ISSUER, issuer, reason);
    }
    return place;
}

static void path_note_end(struct wr_x509_path *path)
{
    const struct wr_x509 *last = path_at(path, path->length - 1);
    const bool is_self = wr_x509_is_self_issued(last);

    wr_assert(path->length > 0);
    path_note(path, PATH_WITHOUT_ISSUER, last,
              is_self ? (struct wr_x509_reason){WEIR_ETLSSELFSIGNED,
                                                "is signed by itself, and not "
                                                "trusted"}
                      : (struct wr_x509_reason){
                            WEIR_ETLSISSUER,
                            "was signed by nobody who is trusted, or an "
                            "issuer's certificate is missing"});
}

/* Appends the next issuer to the path. If there is none, removes the path's
 * last certificate. Each step of the path has the index of its next candidate
 * in @places. */
static void path_step(struct wr_x509_path *path, uint32_t *places)
{
    const uint32_t last = path->length - 1;
    const uint32_t place = path_next_issuer(path, places[last]);

    wr_assert(place <= path->sent_count && last < WR_X509_CHAIN_MAX);
    if (place == path->sent_count) {
        path_note_end(path);
        path->length--;
        return;
    }
    places[last] = place + 1;
    if (path_verify_link(path, &path->sent[place], PATH_AT_ISSUER)) {
        places[path->length] = 0;
        path->steps[path->length++] = place;
    }
}

bool wr_x509_path_find(struct wr_x509_path *path)
{
    uint32_t places[WR_X509_CHAIN_MAX + 1] = {0};
    uint32_t asked = 0; /* length of the last path whose anchors were tried */

    wr_assert(path->sent_count > 0 && path->sent_count <= WR_X509_CHAIN_MAX);
    wr_assert(path->sent[0].der.data && path->link);
    path->rank = PATH_NOTHING;
    path->links = 0;
    path->cost = 0;
    path->looks = 0;
    path->names_left = PATH_NAMES_MAX;
    path->length = 1;
    path->steps[0] = 0;
    path_find_copies(path);
    if (!wr_x509_rules_check(&path->rules, path->sent, true, &path->reason)) {
        path->wrong = path->sent;
        return false;
    }
    while (path->length > 0 && path->rank < PATH_STOPPED) {
        if (path->length > asked && path_find_anchor(path)) {
            return true;
        }
        asked = path->length;
        path_step(path, places);
    }
    return false;
}
