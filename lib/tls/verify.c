/*
 * The verification of a peer's certificates: they are read from the verdict,
 * the path is asked for, and the name is compared. What is wrong is written
 * with the name of the certificate that it is about.
 */
#include "verify.h"

#include "hostname.h"
#include "uring/check.h"

#include <weir/error.h>

#include <string.h>

#define SUBJECT_SIZE 96

/* ---- the name ---- */

/* True when one of the names is that of the host. */
static bool verify_names_host(const struct wr_tls_x509 *x509, const char *host)
{
    struct wr_tls_der names = x509->names;
    struct wr_tls_der name;
    enum wr_tls_name_kind kind;
    uint8_t ip[WR_TLS_IP_SIZE];
    const size_t ip_size = wr_tls_hostname_read_ip(host, ip);

    wr_assert(ip_size <= sizeof(ip));
    while (wr_tls_x509_next_name(&names, &kind, &name)) {
        if (kind == WR_TLS_NAME_IP
                ? name.size == ip_size && memcmp(name.data, ip, ip_size) == 0
                : kind == WR_TLS_NAME_DNS &&
                      wr_tls_hostname_matches(host, (const char *)name.data,
                                              name.size)) {
            return true;
        }
    }
    return false;
}

static bool verify_is_for_host(const struct wr_tls_policy *policy,
                               const struct wr_tls_x509 *leaf)
{
    wr_assert(leaf->der.data != NULL);
    return !policy->hostname || verify_names_host(leaf, policy->hostname);
}

bool wr_tls_certificate_is_for(const uint8_t *der, size_t size,
                               const char *hostname)
{
    struct wr_tls_x509 x509;

    wr_assert(der && hostname);
    return wr_tls_x509_read(&x509, der, size) == 0 &&
           verify_names_host(&x509, hostname);
}

/* ---- what is wrong ---- */

static void verify_refuse(struct wr_tls_verdict *verdict,
                          const struct wr_tls_path *path)
{
    char subject[SUBJECT_SIZE];

    wr_assert(path->wrong && path->reason.err < 0);
    wr_tls_x509_write_subject(path->wrong, subject, sizeof(subject));
    wr_tls_verdict_fail(verdict, path->reason.err, "The %s (%s) %s",
                        path->wrong == path->sent ? "peer's certificate"
                                                  : "certificate of an issuer",
                        subject, path->reason.text);
}

static void verify_refuse_host(struct wr_tls_verdict *verdict,
                               const struct wr_tls_x509 *leaf, const char *host)
{
    char subject[SUBJECT_SIZE];

    wr_assert(host != NULL);
    wr_tls_x509_write_subject(leaf, subject, sizeof(subject));
    wr_tls_verdict_fail(
        verdict, WEIR_ETLSHOSTNAME,
        "The peer's certificate (%s) is not for %s%s", subject, host,
        leaf->names.size > 0 ? "" : ": it has no subjectAltName");
}

/* ---- the path ---- */

/* Reads the chain. One that is malformed is no step of a path; false where it
 * is the leaf. */
static bool verify_read(const struct wr_tls_verdict *verdict,
                        struct wr_tls_x509 *sent)
{
    wr_assert(verdict->chain_count > 0);
    wr_assert(verdict->chain_count <= WR_TLS_CHAIN_MAX);
    for (uint32_t i = 0; i < verdict->chain_count; i++) {
        const struct wr_tls_certificate *from = &verdict->chain[i];
        if (wr_tls_x509_read(&sent[i], from->der, from->size) < 0) {
            sent[i] = (struct wr_tls_x509){.der = {NULL, 0}};
        }
    }
    return sent[0].der.data;
}

static struct wr_tls_path verify_begin(const struct wr_tls_policy *policy,
                                       const struct wr_tls_verdict *verdict,
                                       const struct wr_tls_x509 *sent)
{
    wr_assert(policy->trust != NULL);
    return (struct wr_tls_path){
        .rules = policy->rules,
        .trust = policy->trust,
        .sent = sent,
        .sent_count = verdict->chain_count,
        .link = policy->link,
        .revoked = policy->revoked,
        .user = policy->user,
    };
}

bool wr_tls_verify_plain(const struct wr_tls_policy *policy,
                         struct wr_tls_verdict *verdict)
{
    struct wr_tls_x509 sent[WR_TLS_CHAIN_MAX];

    if (!verify_read(verdict, sent)) {
        return false;
    }
    struct wr_tls_path path = verify_begin(policy, verdict, sent);
    if (!wr_tls_path_is_plain(&path) || !verify_is_for_host(policy, sent)) {
        return false;
    }
    wr_tls_verdict_select(verdict, path.steps, path.length);
    return true;
}

bool wr_tls_verify_issuer(const struct wr_tls_policy *policy,
                          const struct wr_tls_verdict *verdict, uint32_t index)
{
    struct wr_tls_x509 x509;
    struct wr_tls_reason reason;

    wr_assert(index < verdict->chain_count);
    const struct wr_tls_certificate *from = &verdict->chain[index];
    return wr_tls_x509_read(&x509, from->der, from->size) == 0 &&
           wr_tls_rules_check(&policy->rules, &x509, false, &reason);
}

bool wr_tls_verify_search(const struct wr_tls_policy *policy,
                          struct wr_tls_verdict *verdict)
{
    struct wr_tls_x509 sent[WR_TLS_CHAIN_MAX];

    if (!verify_read(verdict, sent)) {
        wr_tls_verdict_fail(verdict, WEIR_ETLSBADCERT,
                            "The certificate of the peer is malformed");
        return false;
    }
    struct wr_tls_path path = verify_begin(policy, verdict, sent);
    if (!wr_tls_path_find(&path)) {
        verify_refuse(verdict, &path);
        return false;
    }
    if (!verify_is_for_host(policy, sent)) {
        verify_refuse_host(verdict, sent, policy->hostname);
        return false;
    }
    wr_tls_verdict_select(verdict, path.steps, path.length);
    return true;
}
