/*
 * The rules for one certificate: dates, unknown critical extensions, strength
 * of the key and the signature, usage, purposes. The reported reason is the
 * first violated rule in the order of the checks.
 */
#include "rules.h"

#include "uring/check.h"

#include <weir/error.h>

static bool rules_refuse(struct wr_x509_reason *ret, int err, const char *text)
{
    wr_assert(err < 0);
    *ret = (struct wr_x509_reason){.err = err, .text = text};
    return false;
}

static bool rules_check_dates(const struct wr_x509_rules *rules,
                              const struct wr_x509 *x509,
                              struct wr_x509_reason *ret)
{
    wr_assert(rules->now > 0);
    if (rules->now < x509->not_before) {
        return rules_refuse(ret, WEIR_ETLSNOTYET, "is not valid yet");
    }
    if (rules->now > x509->not_after) {
        return rules_refuse(ret, WEIR_ETLSEXPIRED, "has expired");
    }
    return true;
}

static bool rules_check_known(const struct wr_x509 *x509,
                              struct wr_x509_reason *ret)
{
    wr_assert(x509->der.data != NULL);
    return !x509->has_unknown ||
           rules_refuse(ret, WEIR_ETLSCRITICAL,
                        "has a critical extension, or a constraint of names, "
                        "that is not known");
}

static const char *const rules_weaknesses[] = {
    [WR_X509_WEAK_RSA] = "has an RSA key of fewer than 2048 bits, or one that "
                         "is too long",
    [WR_X509_WEAK_CURVE] = "has a key on a curve other than P-256, P-384 and "
                           "P-521",
    [WR_X509_WEAK_POINT] = "has a key whose point is compressed, or of another "
                           "size than its curve's",
    [WR_X509_WEAK_HASH] = "is signed over a hash weaker than SHA-256",
    [WR_X509_WEAK_ALGORITHM] = "has a key or a signature of an algorithm that "
                               "is not accepted",
};

/* Ignores the signature of a self-issued certificate, which is trusted only if
 * it is an anchor. */
static bool rules_check_strength(const struct wr_x509 *x509,
                                 struct wr_x509_reason *ret)
{
    wr_assert(x509->key.strength <= WR_X509_WEAK_ALGORITHM);
    wr_assert(x509->signature <= WR_X509_WEAK_ALGORITHM);
    if (x509->key.strength != WR_X509_STRONG) {
        return rules_refuse(ret, WEIR_ETLSWEAK,
                            rules_weaknesses[x509->key.strength]);
    }
    if (x509->signature != WR_X509_STRONG && !wr_x509_is_self_issued(x509)) {
        return rules_refuse(ret, WEIR_ETLSWEAK,
                            rules_weaknesses[x509->signature]);
    }
    return true;
}

static bool rules_check_purposes(const struct wr_x509_rules *rules,
                                 const struct wr_x509 *x509,
                                 struct wr_x509_reason *ret)
{
    const bool is_client = rules->peer_is_client;
    const uint32_t purpose =
        is_client ? WR_X509_FOR_CLIENTS : WR_X509_FOR_SERVERS;

    wr_assert(x509->has_purposes || x509->purposes == 0);
    if (x509->has_purposes && !(x509->purposes & purpose)) {
        return rules_refuse(ret, WEIR_ETLSPURPOSE,
                            is_client ? "is not for clients (extKeyUsage)"
                                      : "is not for servers (extKeyUsage)");
    }
    return true;
}

/* RFC 5280, 4.2.1.3 and 4.2.1.9 */
static bool rules_check_usage(const struct wr_x509 *x509, bool is_leaf,
                              struct wr_x509_reason *ret)
{
    wr_assert(x509->has_usage || x509->usage == 0);
    if (is_leaf) {
        return !x509->has_usage || (x509->usage & WR_X509_USE_SIGNATURE) ||
               rules_refuse(ret, WEIR_ETLSPURPOSE,
                            "is not for signatures (keyUsage)");
    }
    if (!x509->is_authority) {
        return rules_refuse(ret, WEIR_ETLSPURPOSE,
                            "may issue no certificates (basicConstraints)");
    }
    return (x509->usage & WR_X509_USE_CERT_SIGN) ||
           rules_refuse(ret, WEIR_ETLSPURPOSE,
                        "may sign no certificates (keyUsage)");
}

bool wr_x509_rules_check(const struct wr_x509_rules *rules,
                         const struct wr_x509 *x509, bool is_leaf,
                         struct wr_x509_reason *ret)
{
    if (!rules_check_dates(rules, x509, ret)) {
        return false;
    }
    if (!rules_check_known(x509, ret)) {
        return false;
    }
    if (x509->constraints.data && !x509->is_authority) {
        return rules_refuse(ret, WEIR_ETLSCONSTRAINT,
                            "has constraints of names, and is no authority");
    }
    if ((x509->usage & WR_X509_USE_CERT_SIGN) && !x509->is_authority) {
        return rules_refuse(ret, WEIR_ETLSPURPOSE,
                            "is for the signing of certificates (keyUsage), "
                            "and is no authority (basicConstraints)");
    }
    if (is_leaf && rules->peer_is_client && x509->version != 3) {
        return rules_refuse(ret, WEIR_ETLSBADCERT, "is not of version 3");
    }
    /* The leaf's key signs the handshake, and some libraries do not apply the
     * rules for RSASSA-PSS keys to this signature (RFC 4055, 1.2). */
    if (is_leaf && x509->key.is_pss_alone) {
        return rules_refuse(ret, WEIR_ETLSWEAK,
                            "has a key for RSASSA-PSS alone, which is not "
                            "accepted");
    }
    wr_assert(x509->version >= 1);
    return rules_check_strength(x509, ret) &&
           rules_check_usage(x509, is_leaf, ret) &&
           rules_check_purposes(rules, x509, ret);
}

bool wr_x509_rules_check_anchor(const struct wr_x509_rules *rules,
                                const struct wr_x509 *x509,
                                struct wr_x509_reason *ret)
{
    if (x509->key.strength != WR_X509_STRONG) {
        return rules_refuse(ret, WEIR_ETLSWEAK,
                            rules_weaknesses[x509->key.strength]);
    }
    return rules_check_dates(rules, x509, ret) &&
           rules_check_known(x509, ret) &&
           rules_check_purposes(rules, x509, ret);
}
