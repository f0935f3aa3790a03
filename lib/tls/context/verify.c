/*
 * The verification of a peer's certificates: they are read from the verdict, a
 * path is searched, and the name is compared. An error text names the
 * certificate at fault.
 */
#include "verify.h"

#include "uring/check.h"

#include <weir/error.h>

#define SUBJECT_SIZE 96

static bool verify_is_for_host(const struct wr_tls_policy *policy,
                               const struct wr_x509 *leaf)
{
    wr_assert(leaf->der.data != NULL);
    return !policy->hostname || wr_x509_is_for(leaf, policy->hostname);
}

/* ---- errors ---- */

static void verify_refuse(struct wr_tls_verdict *verdict,
                          const struct wr_x509_path *path)
{
    char subject[SUBJECT_SIZE];

    wr_assert(path->wrong && path->reason.err < 0);
    wr_x509_write_subject(path->wrong, subject, sizeof(subject));
    wr_tls_verdict_fail(verdict, path->reason.err, "The %s (%s) %s",
                        path->wrong == path->sent ? "peer's certificate"
                                                  : "certificate of an issuer",
                        subject, path->reason.text);
}

static void verify_refuse_host(struct wr_tls_verdict *verdict,
                               const struct wr_x509 *leaf, const char *host)
{
    char subject[SUBJECT_SIZE];

    wr_assert(host != NULL);
    wr_x509_write_subject(leaf, subject, sizeof(subject));
    wr_tls_verdict_fail(
        verdict, WEIR_ETLSHOSTNAME,
        "The peer's certificate (%s) is not for %s%s", subject, host,
        leaf->names.size > 0 ? "" : ": it has no subjectAltName");
}

/* ---- the path ---- */

/* Reads the chain. A malformed certificate is never part of a path; false if
 * the leaf is malformed. */
static bool verify_read(const struct wr_tls_verdict *verdict,
                        struct wr_x509 *sent)
{
    wr_assert(verdict->chain_count > 0);
    wr_assert(verdict->chain_count <= WR_X509_CHAIN_MAX);
    for (uint32_t i = 0; i < verdict->chain_count; i++) {
        const struct wr_tls_certificate *from = &verdict->chain[i];
        if (wr_x509_read(&sent[i], from->der, from->size) < 0) {
            sent[i] = (struct wr_x509){.der = {NULL, 0}};
        }
    }
    return sent[0].der.data;
}

static struct wr_x509_path verify_begin(const struct wr_tls_policy *policy,
                                        const struct wr_tls_verdict *verdict,
                                        const struct wr_x509 *sent)
{
    wr_assert(policy->trust != NULL);
    return (struct wr_x509_path){
        .rules = policy->rules,
        .trust = policy->trust,
        .sent = sent,
        .sent_count = verdict->chain_count,
        .link = policy->link,
        .revoked = policy->revoked,
        .user = policy->user,
    };
}

bool wr_tls_verify_search(const struct wr_tls_policy *policy,
                          struct wr_tls_verdict *verdict)
{
    struct wr_x509 sent[WR_X509_CHAIN_MAX];

    if (!verify_read(verdict, sent)) {
        wr_tls_verdict_fail(verdict, WEIR_ETLSBADCERT,
                            "The certificate of the peer is malformed");
        return false;
    }
    struct wr_x509_path path = verify_begin(policy, verdict, sent);
    if (!wr_x509_path_find(&path)) {
        verify_refuse(verdict, &path);
        return false;
    }
    if (!verify_is_for_host(policy, sent)) {
        verify_refuse_host(verdict, sent, policy->hostname);
        return false;
    }
    verdict->key_kind = sent->key.kind;
    wr_tls_verdict_select(verdict, path.steps, path.length);
    return true;
}
