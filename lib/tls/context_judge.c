/*
 * The verification of single links, for paths that wolfSSL does not find by
 * itself.
 *
 * A WOLFSSL_CTX of its own, with which no connection is made, knows one issuer
 * at a time: so it is this issuer that has signed, and none other of its name.
 * wolfSSL looks at signature, dates and revocation; what it thinks of names is
 * passed over, as it is applied to names that are not limited (constraint.h).
 */
#include "context_impl.h"
#include "engine_impl.h"
#include "memory.h"

#include <weir/error.h>

#include <errno.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

struct context_judge_text {
    int err;
    const char *text;
};

static const struct context_judge_text context_judge_texts[] = {
    {WEIR_ETLSEXPIRED, "has expired"},
    {WEIR_ETLSNOTYET, "is not valid yet"},
    {WEIR_ETLSISSUER, "was signed by nobody who is trusted, or an issuer's "
                      "certificate is missing"},
    {WEIR_ETLSSELFSIGNED, "is signed by itself, and not trusted"},
    {WEIR_ETLSREVOKED, "was revoked"},
    {WEIR_ETLSNOCRL, "cannot be checked for revocation"},
    {WEIR_ETLSPURPOSE, "is not for this purpose"},
    {WEIR_ETLSWEAK, "has a key or a signature that is too weak"},
    {WEIR_ETLSCRITICAL, "has a critical extension that is not known"},
};

/* The reason in what wolfSSL found; @number 0 is none. */
static struct wr_tls_reason context_judge_reason(int number)
{
    const size_t count =
        sizeof(context_judge_texts) / sizeof(*context_judge_texts);

    wr_assert(number <= 0);
    if (number == 0) {
        return (struct wr_tls_reason){.err = 0};
    }
    int err = wr_tls_engine_code_of(number);
    err = err == WEIR_ETLSPROTOCOL ? WEIR_ETLSBADCERT : err;
    for (size_t i = 0; i < count; i++) {
        if (context_judge_texts[i].err == err) {
            return (struct wr_tls_reason){err, context_judge_texts[i].text};
        }
    }
    return (struct wr_tls_reason){
        err, wolfSSL_ERR_reason_error_string((unsigned long)-(long)number)};
}

/* wolfSSL's answers are 1 or a negative number, and 0 here and there. */
static int context_judge_number(int answer)
{
    return answer == WOLFSSL_SUCCESS ? 0
           : answer < 0              ? answer
                                     : ASN_SIG_CONFIRM_E;
}

static int context_judge_take(WOLFSSL_CTX *judge, const struct wr_tls_der *der)
{
    wr_assert(judge && der->size > 0);
    return context_judge_number(wolfSSL_CTX_load_verify_buffer(
        judge, der->data, (long)der->size, WOLFSSL_FILETYPE_ASN1));
}

/* wolfSSL does not like the names. It looks at them when it has confirmed the
 * signature, and then they are not its to judge; but it says the same of an
 * extension that it cannot read, long before. So it reads the certificate once
 * more, as far as it can without a signature. It has not come to the lists of
 * revocations either, for which it needs the issuer. */
static int context_judge_pass_names(WOLFSSL_CTX *judge,
                                    const struct wr_tls_x509 *child)
{
    const int number = context_judge_number(
        wolfSSL_CertManagerCheckCRL(wolfSSL_CTX_GetCertManager(judge),
                                    child->der.data, (int)child->der.size));
    const int ok = wolfSSL_CTX_UnloadCAs(judge);

    wr_assert(ok == WOLFSSL_SUCCESS);
    return number != 0 ? number : context_judge_take(judge, &child->der);
}

static struct wr_tls_link context_judge_ask(WOLFSSL_CTX *judge,
                                            const struct wr_tls_x509 *child,
                                            const struct wr_tls_x509 *issuer)
{
    int number = context_judge_take(judge, &issuer->der);

    wr_assert(child->der.size > 0);
    if (number != 0) {
        return (struct wr_tls_link){.reason = context_judge_reason(number),
                                    .is_of_issuer = true};
    }
    number = context_judge_number(wolfSSL_CertManagerVerifyBuffer(
        wolfSSL_CTX_GetCertManager(judge), child->der.data,
        (long)child->der.size, WOLFSSL_FILETYPE_ASN1));
    if (number == ASN_NAME_INVALID_E) {
        number = context_judge_pass_names(judge, child);
    }
    return (struct wr_tls_link){.reason = context_judge_reason(number)};
}

struct wr_tls_link wr_tls_context_verify_link(void *user,
                                              const struct wr_tls_x509 *child,
                                              const struct wr_tls_x509 *issuer)
{
    weir_tls_context *context = user;

    wr_assert(context->judge != NULL);
    pthread_mutex_lock(&context->judge_mutex);
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(NULL, WR_TLS_MEMORY_PLAIN);
    const struct wr_tls_link link =
        context_judge_ask(context->judge, child, issuer);
    const int ok = wolfSSL_CTX_UnloadCAs(context->judge);
    wr_assert(ok == WOLFSSL_SUCCESS);
    wr_tls_memory_leave(before);
    pthread_mutex_unlock(&context->judge_mutex);
    return link;
}

int wr_tls_context_make_judge(weir_tls_context *context)
{
    wr_assert(!context->judge && context->verifies);
    context->judge = wolfSSL_CTX_new(wolfSSLv23_client_method());
    return context->judge ? 0 : -ENOMEM;
}

int wr_tls_context_judge_by(weir_tls_context *context, const uint8_t *data,
                            long size)
{
    WOLFSSL_CTX *judge = context->judge;
    const struct wr_tls_trust *trust = &context->trust;

    wr_assert(judge != NULL);
    for (size_t i = 0; i < trust->count; i++) { /* they sign the lists */
        wr_ignore(context_judge_take(judge, &trust->anchors[i].der) != 0);
    }
    const bool is_read =
        wolfSSL_CTX_EnableCRL(judge, WOLFSSL_CRL_CHECKALL) == WOLFSSL_SUCCESS &&
        wolfSSL_CTX_LoadCRLBuffer(judge, data, size, WOLFSSL_FILETYPE_PEM) ==
            WOLFSSL_SUCCESS;
    const int ok = wolfSSL_CTX_UnloadCAs(judge);
    wr_assert(ok == WOLFSSL_SUCCESS);
    return is_read ? 0 : WEIR_ETLSFILE;
}
