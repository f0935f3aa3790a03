/*
 * weir's rules for a peer's certificates, in the order in which they are asked:
 * what wolfSSL found, the form, strength, what the certificate is for, and at
 * last, of the leaf alone, the name.
 */
#include "verify.h"

#include "certificate.h"
#include "engine_impl.h"
#include "hostname.h"

#include <weir/error.h>

#include <string.h>

#define SUBJECT_SIZE 96

/* A certificate that is looked at, and where what is found is noted. */
struct verify {
    const struct wr_tls_policy *policy;
    struct wr_tls_verdict *verdict;
    const struct wr_tls_x509 *x509;
    uint32_t depth;
};

/* Notes the cause with the name of the certificate before the text; false. */
static bool verify_refuse(const struct verify *verify, int err,
                          const char *text)
{
    char subject[SUBJECT_SIZE];

    wr_assert(err < 0);
    wr_tls_x509_write_subject(verify->x509, subject, sizeof(subject));
    wr_tls_verdict_fail(verify->verdict, err, "The %s (%s) %s",
                        verify->depth == 0 ? "peer's certificate"
                                           : "certificate of an issuer",
                        subject, text);
    return false;
}

static bool verify_is_self_issued(const struct wr_tls_x509 *x509)
{
    wr_assert(x509->subject.data != NULL);
    return x509->issuer.size == x509->subject.size &&
           memcmp(x509->issuer.data, x509->subject.data, x509->issuer.size) ==
               0;
}

/* The code of what wolfSSL found. */
static int verify_code_of(const struct verify *verify, int error)
{
    int err = wr_tls_engine_code_of(error);

    wr_assert(error < 0);
    if (err == WEIR_ETLSISSUER && verify_is_self_issued(verify->x509)) {
        err = WEIR_ETLSSELFSIGNED;
    }
    return err == WEIR_ETLSPROTOCOL ? WEIR_ETLSBADCERT : err;
}

struct verify_reason {
    int err;
    const char *text;
};

static const struct verify_reason verify_reasons[] = {
    {WEIR_ETLSEXPIRED, "has expired"},
    {WEIR_ETLSNOTYET, "is not valid yet"},
    {WEIR_ETLSISSUER, "was signed by nobody who is trusted, or an issuer's "
                      "certificate is missing"},
    {WEIR_ETLSSELFSIGNED, "is signed by itself, and not trusted"},
    {WEIR_ETLSHOSTNAME, "is for other names"},
    {WEIR_ETLSREVOKED, "was revoked"},
    {WEIR_ETLSNOCRL, "cannot be checked for revocation"},
    {WEIR_ETLSPURPOSE, "is not for this purpose"},
    {WEIR_ETLSWEAK, "has a key or a signature that is too weak"},
    {WEIR_ETLSCONSTRAINT, "has a name that its issuer may not issue for"},
    {WEIR_ETLSPATHLEN, "stands in a chain longer than an issuer allows"},
    {WEIR_ETLSCRITICAL, "has a critical extension that is not known"},
};

static bool verify_refuse_as_wolfssl(const struct verify *verify, int error)
{
    const size_t count = sizeof(verify_reasons) / sizeof(*verify_reasons);
    const int err = verify_code_of(verify, error);

    wr_assert(err < 0);
    for (size_t i = 0; i < count; i++) {
        if (verify_reasons[i].err == err) {
            return verify_refuse(verify, err, verify_reasons[i].text);
        }
    }
    return verify_refuse(
        verify, err,
        wolfSSL_ERR_reason_error_string((unsigned long)-(long)error));
}

static const char *const verify_weaknesses[] = {
    [WR_TLS_WEAK_RSA] = "has an RSA key of fewer than 2048 bits",
    [WR_TLS_WEAK_CURVE] = "has a key on a curve other than P-256, P-384 and "
                          "P-521",
    [WR_TLS_WEAK_HASH] = "is signed over a hash weaker than SHA-256",
    [WR_TLS_WEAK_ALGORITHM] = "has a key or a signature of an algorithm that "
                              "is not accepted",
};

/* A certificate that signed itself is trusted for being known, not for its
 * signature. */
static bool verify_is_strong(const struct verify *verify)
{
    const struct wr_tls_x509 *x509 = verify->x509;

    wr_assert(x509->key <= WR_TLS_WEAK_ALGORITHM);
    wr_assert(x509->signature <= WR_TLS_WEAK_ALGORITHM);
    if (x509->key != WR_TLS_STRONG) {
        return verify_refuse(verify, WEIR_ETLSWEAK,
                             verify_weaknesses[x509->key]);
    }
    if (x509->signature != WR_TLS_STRONG && !verify_is_self_issued(x509)) {
        return verify_refuse(verify, WEIR_ETLSWEAK,
                             verify_weaknesses[x509->signature]);
    }
    return true;
}

static bool verify_has_purpose(const struct verify *verify)
{
    const struct wr_tls_x509 *x509 = verify->x509;
    const bool is_client = verify->policy->peer_is_client;
    const uint32_t purpose =
        is_client ? WR_TLS_FOR_CLIENTS : WR_TLS_FOR_SERVERS;
    const uint32_t usage =
        verify->depth == 0 ? WR_TLS_USE_SIGNATURE : WR_TLS_USE_CERT_SIGN;

    wr_assert(verify->depth < WR_TLS_CHAIN_MAX);
    if (verify->depth > 0 && !x509->is_authority) {
        return verify_refuse(verify, WEIR_ETLSPURPOSE,
                             "may issue no certificates (basicConstraints)");
    }
    if (x509->has_usage && !(x509->usage & usage)) {
        return verify_refuse(verify, WEIR_ETLSPURPOSE,
                             verify->depth == 0
                                 ? "is not for signatures (keyUsage)"
                                 : "may sign no certificates (keyUsage)");
    }
    if (x509->has_purposes && !(x509->purposes & purpose)) {
        return verify_refuse(verify, WEIR_ETLSPURPOSE,
                             is_client ? "is not for clients (extKeyUsage)"
                                       : "is not for servers (extKeyUsage)");
    }
    return true;
}

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

static bool verify_is_for_host(const struct verify *verify)
{
    const char *host = verify->policy->hostname;
    char subject[SUBJECT_SIZE];

    if (verify->depth > 0 || !host || verify_names_host(verify->x509, host)) {
        return true;
    }
    wr_assert(verify->depth == 0);
    wr_tls_x509_write_subject(verify->x509, subject, sizeof(subject));
    wr_tls_verdict_fail(
        verify->verdict, WEIR_ETLSHOSTNAME,
        "The peer's certificate (%s) is not for %s%s", subject, host,
        verify->x509->names.size > 0 ? "" : ": it has no subjectAltName");
    return false;
}

/* wolfSSL refused the certificate: weir's rules may know better why. */
static bool verify_explain(const struct verify *verify, int error)
{
    const int err = verify_code_of(verify, error);

    wr_assert(err < 0);
    if ((err == WEIR_ETLSBADCERT || err == WEIR_ETLSWEAK) &&
        !verify_is_strong(verify)) {
        return false;
    }
    if (err == WEIR_ETLSPURPOSE && !verify_has_purpose(verify)) {
        return false;
    }
    return verify_refuse_as_wolfssl(verify, error);
}

static bool verify_x509(const struct verify *verify, int error)
{
    wr_assert(error <= 0);
    if (error < 0) {
        return verify_explain(verify, error);
    }
    if (verify->x509->has_unknown) {
        return verify_refuse(verify, WEIR_ETLSCRITICAL,
                             "has a critical extension, or a constraint of "
                             "names, that is not known");
    }
    /* wolfSSL applies the constraints of an issuer to what it signed itself,
     * and forgets them for what comes below that. */
    if (verify->x509->has_name_constraints && verify->depth > 1) {
        return verify_refuse(verify, WEIR_ETLSCONSTRAINT,
                             "limits the names of certificates that it did "
                             "not sign itself, which is not supported");
    }
    return verify_is_strong(verify) && verify_has_purpose(verify) &&
           verify_is_for_host(verify);
}

bool wr_tls_verify_certificate(const struct wr_tls_policy *policy,
                               struct wr_tls_verdict *verdict, uint32_t depth,
                               const uint8_t *der, size_t size, int error)
{
    struct wr_tls_x509 x509;

    wr_assert(policy && verdict);
    if (depth >= WR_TLS_CHAIN_MAX) {
        wr_tls_verdict_fail(verdict, WEIR_ETLSPATHLEN,
                            "The peer sent more than %u certificates",
                            WR_TLS_CHAIN_MAX);
        return false;
    }
    if (size == 0 || wr_tls_x509_read(&x509, der, size) < 0) {
        wr_tls_verdict_fail(verdict, WEIR_ETLSBADCERT,
                            "Certificate %u of the peer is malformed", depth);
        return false;
    }
    if (wr_tls_verdict_keep(verdict, depth, der, size) < 0) {
        wr_tls_verdict_fail(verdict, -ENOMEM, "No memory for a certificate");
        return false;
    }
    return verify_x509(&(struct verify){.policy = policy,
                                        .verdict = verdict,
                                        .x509 = &x509,
                                        .depth = depth},
                       error);
}

bool wr_tls_certificate_is_for(const uint8_t *der, size_t size,
                               const char *hostname)
{
    struct wr_tls_x509 x509;

    wr_assert(der && hostname);
    return wr_tls_x509_read(&x509, der, size) == 0 &&
           verify_names_host(&x509, hostname);
}
