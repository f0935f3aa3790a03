/*
 * The verification of a peer's certificates by a context.
 *
 * weir alone decides. wolfSSL has no authorities; it reads the certificates as
 * they were sent, from the last one to the leaf, and calls back for each. With
 * the first call weir searches for a path (verify.h) and verifies each link
 * itself (signature.h), and that result stands. wolfSSL's own complaint, that
 * it knows no signer, is overruled.
 *
 * While the calls for the other certificates of an accepted peer come, wolfSSL
 * verifies nothing: else it would add each issuer to the context, which threads
 * share, and verify signatures with those keys once more. With the call for the
 * leaf, the last one, the mode is the context's again.
 */
#include "context_impl.h"
#include "error.h"
#include "verify.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>
#include <time.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#if !defined(WOLFSSL_ALWAYS_VERIFY_CB) || !defined(WOLFSSL_VERIFY_CB_ALL_CERTS)
#error "this wolfSSL does not show good certificates to the verify callback"
#endif
#ifdef KEEP_PEER_CERT
#error "this wolfSSL accepts a leaf unseen if it has no memory for a copy"
#endif

/* ---- the verification ---- */

/* Keeps all certificates that the peer sent. */
static bool context_verify_begin(struct wr_tls_verdict *verdict,
                                 const WOLFSSL_X509_STORE_CTX *store)
{
    if (store->totalCerts > (int)WR_X509_CHAIN_MAX) {
        wr_tls_verdict_fail(verdict, WEIR_ETLSPATHLEN,
                            "The peer sent more than %u certificates",
                            WR_X509_CHAIN_MAX);
        return false;
    }
    for (int i = 0; i < store->totalCerts; i++) {
        const WOLFSSL_BUFFER_INFO *from = &store->certs[i];
        if (from->length == 0) {
            wr_tls_verdict_fail(verdict, WEIR_ETLSBADCERT,
                                "Certificate %d of the peer is empty", i);
            return false;
        }
        if (wr_tls_verdict_keep(verdict, (uint32_t)i, from->buffer,
                                from->length) < 0) {
            wr_tls_verdict_fail(verdict, -ENOMEM,
                                "No memory for a certificate");
            return false;
        }
    }
    return true;
}

/* True if wolfSSL's error for the leaf is one that the path search has checked
 * again. Other errors are final, for example an unusable key. */
static bool context_verify_is_usable(struct wr_tls_verdict *verdict, int error)
{
    static const int others[] = {
        0,
        ASN_NO_SIGNER_E,
        ASN_SELF_SIGNED_E,
        ASN_PATHLEN_SIZE_E,
    };

    wr_assert(error <= 0);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        if (others[i] == error) {
            return true;
        }
    }
    const int err = wr_tls_error_code_of(error);
    wr_tls_verdict_fail(
        verdict, err == WEIR_ETLSPROTOCOL ? WEIR_ETLSBADCERT : err,
        "The peer's certificate cannot be used: %s",
        wolfSSL_ERR_reason_error_string((unsigned long)-(long)error));
    return false;
}

static struct wr_x509_reason context_verify_link(void *user,
                                                 const struct wr_x509 *child,
                                                 const struct wr_x509 *issuer)
{
    const weir_tls_context *context = user;
    const int err = wr_tls_signature_verify(&child->sign, issuer->key_info);

    wr_assert(context->verifies);
    return err == 0 ? (struct wr_x509_reason){.err = 0}
           : err == -ENOMEM
               ? (struct wr_x509_reason){err, "could not be verified: "
                                              "no memory"}
           : err == -EOPNOTSUPP
               ? (struct wr_x509_reason){WEIR_ETLSWEAK,
                                         "is signed by an "
                                         "algorithm that is weak "
                                         "or not known"}
               : (struct wr_x509_reason){WEIR_ETLSBADCERT,
                                         "was not signed by its issuer's key"};
}

static struct wr_x509_reason
context_verify_revoked(void *user, const struct wr_x509 *child,
                       const struct wr_x509 *issuer)
{
    weir_tls_context *context = user;

    wr_assert(context->revocation.count > 0);
    return wr_tls_revocation_ask(&context->revocation, child, issuer,
                                 (int64_t)time(NULL));
}

/* The alert that tells the peer why its certificates are refused. */
static uint8_t context_verify_alert(int err)
{
    wr_assert(err < 0);
    switch (err) {
    case WEIR_ETLSEXPIRED:
    case WEIR_ETLSNOTYET:
        return certificate_expired;
    case WEIR_ETLSISSUER:
    case WEIR_ETLSSELFSIGNED:
    case WEIR_ETLSPATHLEN:
        return unknown_ca;
    case -ENOMEM:
        return internal_error;
    default:
        return bad_certificate;
    }
}

/* Decides about the peer once; the cause of a refusal is noted in the
 * verdict. */
static bool context_verify_judge(struct wr_tls_verdict *verdict,
                                 const WOLFSSL_X509_STORE_CTX *store)
{
    weir_tls_context *context = verdict->context;
    const struct wr_tls_policy policy = {
        .rules = {.peer_is_client = verdict->peer_is_client,
                  .now = (int64_t)time(NULL)},
        .hostname = verdict->hostname,
        .trust = &context->trust,
        .link = context_verify_link,
        .revoked =
            context->revocation.count > 0 ? context_verify_revoked : NULL,
        .user = context,
    };

    wr_assert(!verdict->is_judged && !verdict->is_accepted);
    verdict->is_judged = true;
    verdict->is_accepted = context_verify_begin(verdict, store) &&
                           wr_tls_verify_search(&policy, verdict);
    return verdict->is_accepted;
}

/* True if wolfSSL speaks of the leaf that was accepted. */
static bool context_verify_is_judged(const struct wr_tls_verdict *verdict,
                                     const WOLFSSL_X509_STORE_CTX *store)
{
    const struct wr_tls_certificate *leaf = verdict->chain;

    return verdict->is_accepted && leaf->size == store->certs->length &&
           memcmp(leaf->der, store->certs->buffer, leaf->size) == 0;
}

/* The peer has sent no certificate. */
static bool context_verify_none(struct wr_tls_verdict *verdict, bool is_good)
{
    wr_assert(!verdict->is_accepted);
    if (is_good && !verdict->peer_is_client) {
        wr_tls_verdict_fail(verdict, WEIR_ETLSBADCERT,
                            "The server sent no certificate");
        return false;
    }
    verdict->has_none = is_good && !(verdict->context->verify_mode &
                                     WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT);
    return is_good; /* with TLS 1.2 wolfSSL refuses a missing one later */
}

/* wolfSSL's @error is 0 where it finds the certificate good. */
static bool context_verify_certificate(struct wr_tls_verdict *verdict,
                                       const WOLFSSL_X509_STORE_CTX *store,
                                       int error)
{
    const weir_tls_context *context = verdict->context;

    wr_assert(error <= 0 && store->totalCerts > 0);
    if (!verdict->is_judged && !context_verify_judge(verdict, store)) {
        return false;
    }
    if (!context_verify_is_judged(verdict, store)) {
        wr_tls_verdict_fail(verdict, WEIR_ETLSBADCERT,
                            "The peer sent certificates twice");
        return false;
    }
    wr_assert(store->error_depth >= 0);
    const bool is_last = store->error_depth == 0;
    wolfSSL_set_verify(verdict->ssl,
                       is_last ? context->verify_mode : WOLFSSL_VERIFY_NONE,
                       wr_tls_context_verify);
    return !is_last || context_verify_is_usable(verdict, error);
}

int wr_tls_context_verify(int is_good, WOLFSSL_X509_STORE_CTX *store)
{
    struct wr_tls_verdict *verdict = store->userCtx;

    wr_assert(is_good || store->error != 0);
    if (store->totalCerts == 0) {
        return context_verify_none(verdict, is_good);
    }
    if (context_verify_certificate(verdict, store,
                                   is_good ? 0 : store->error)) {
        return true;
    }
    verdict->alert = context_verify_alert(verdict->err);
    return false;
}
