/*
 * The verification of a peer's certificates by a context.
 *
 * wolfSSL verifies the certificates as they were sent, from the last one to the
 * leaf, and calls back for each, good or bad. If it finds no fault and they
 * form one path, its signature checks count and weir's rules are added.
 * Otherwise weir searches for a path (verify.h) and verifies each link itself
 * (signature.h), and that result decides. Revocation lists are always checked
 * by weir.
 *
 * wolfSSL adds an issuer's certificate to its context, which threads share,
 * once the callback has accepted it, even if it is not on the path and no
 * authority has signed it. These certificates are unloaded when no thread runs
 * a handshake step. A verification by wolfSSL counts only if no other peer can
 * have added an issuer in the meantime.
 */
#include "context_impl.h"
#include "error.h"
#include "memory.h"
#include "verify.h"

#include <weir/error.h>

#include <errno.h>
#include <time.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#if !defined(WOLFSSL_ALWAYS_VERIFY_CB) || !defined(WOLFSSL_VERIFY_CB_ALL_CERTS)
#error "this wolfSSL does not show good certificates to the verify callback"
#endif
#ifdef WOLFSSL_ALT_CERT_CHAINS
#error "this wolfSSL calls issuers good that it has not verified"
#endif

/* ---- issuers that wolfSSL adds ---- */

void wr_tls_context_begin_step(weir_tls_context *context)
{
    if (!context->verifies) {
        return;
    }
    pthread_mutex_lock(&context->mutex);
    context->steps++;
    pthread_mutex_unlock(&context->mutex);
}

/* wolfSSL keeps pointers to issuers during a step, so none may be freed while
 * any thread runs a step. */
void wr_tls_context_end_step(weir_tls_context *context)
{
    if (!context->verifies) {
        return;
    }
    pthread_mutex_lock(&context->mutex);
    wr_assert(context->steps > 0);
    context->steps--;
    if (context->steps == 0 && context->adder != 0) {
        context->adder = 0;
        context->has_adders = false;
        int ok = wolfSSL_CertManagerUnloadIntermediateCerts(
            wolfSSL_CTX_GetCertManager(context->ctx));
        wr_assert(ok == WOLFSSL_SUCCESS);
    }
    pthread_mutex_unlock(&context->mutex);
}

/* wolfSSL is about to add an issuer, which must not be charged to the
 * connection, as another thread may free it. */
static void context_verify_expect_issuer(struct wr_tls_verdict *verdict)
{
    weir_tls_context *context = verdict->context;

    pthread_mutex_lock(&context->mutex);
    wr_assert(context->steps > 0);
    if (context->adder == 0) {
        context->adder = verdict->verification;
    }
    context->has_adders |= context->adder != verdict->verification;
    pthread_mutex_unlock(&context->mutex);
    wr_tls_memory_leave((struct wr_tls_memory_scope){.memory = NULL});
}

/* True if wolfSSL knew only authorities and issuers of this peer. */
static bool context_verify_is_alone(const struct wr_tls_verdict *verdict)
{
    weir_tls_context *context = verdict->context;

    pthread_mutex_lock(&context->mutex);
    wr_assert(context->steps > 0);
    const bool is_alone =
        !context->has_adders &&
        (context->adder == 0 || context->adder == verdict->verification);
    pthread_mutex_unlock(&context->mutex);
    return is_alone;
}

/* ---- the verification ---- */

/* Keeps all certificates that the peer sent. */
static bool context_verify_begin(struct wr_tls_verdict *verdict,
                                 const WOLFSSL_X509_STORE_CTX *store)
{
    weir_tls_context *context = verdict->context;

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
    pthread_mutex_lock(&context->mutex);
    verdict->verification = ++context->verifications;
    pthread_mutex_unlock(&context->mutex);
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
        ASN_SIG_CONFIRM_E,
        ASN_NAME_INVALID_E,
        ASN_PATHLEN_INV_E,
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

/* The first fault decides at once, so that the peer gets wolfSSL's alert for
 * it; without a fault the leaf, which comes last, decides. */
static bool context_verify_one(struct wr_tls_verdict *verdict, uint32_t depth,
                               int error)
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

    wr_assert(verdict->verification > 0);
    if (error == 0 && depth > 0 &&
        wr_tls_verify_issuer(&policy, verdict, depth)) {
        return true;
    }
    verdict->is_accepted =
        (error == 0 && depth == 0 && context_verify_is_alone(verdict) &&
         wr_tls_verify_plain(&policy, verdict)) ||
        wr_tls_verify_search(&policy, verdict);
    return verdict->is_accepted;
}

int wr_tls_context_verify(int is_good, WOLFSSL_X509_STORE_CTX *store)
{
    struct wr_tls_verdict *verdict = store->userCtx;
    const int depth = store->error_depth;
    const int error = is_good ? 0 : store->error;

    wr_assert(is_good || store->error != 0);
    wr_tls_memory_leave((struct wr_tls_memory_scope){
        .memory = verdict->memory,
        .mode = WR_TLS_MEMORY_PLAIN,
    });
    if (store->totalCerts == 0) {
        return is_good; /* a client without a certificate */
    }
    if (verdict->verification == 0 && !context_verify_begin(verdict, store)) {
        return 0;
    }
    wr_assert(depth >= 0 && depth < store->totalCerts);
    if (!verdict->is_accepted &&
        !context_verify_one(verdict, (uint32_t)depth, error)) {
        return 0;
    }
    if (depth > 0) {
        context_verify_expect_issuer(verdict);
        return 1;
    }
    return context_verify_is_usable(verdict, error);
}
