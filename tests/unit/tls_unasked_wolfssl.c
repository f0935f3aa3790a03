/*
 * wolfSSL calls weir's callback with no error, or does not; see tls_unasked.h.
 *
 * It also calls for a client without a certificate, which a test does by hand
 * here.
 */
#include "tests/unit/tls_unasked.h"

#include "lib/tls/context/context_impl.h"
#include "lib/tls/engine/engine_impl.h"
#include "lib/tls/wolfssl/wolfssl.h"
#include "tests/unit.h"

#include <weir/error.h>

static VerifyCallback unasked_callback;
bool tls_is_unasked;
const bool tls_asks_about_none = true;

void __real_wolfSSL_CTX_set_verify(WOLFSSL_CTX *ctx, int mode,
                                   VerifyCallback callback);
void __wrap_wolfSSL_CTX_set_verify(WOLFSSL_CTX *ctx, int mode,
                                   VerifyCallback callback);
void __real_wolfSSL_set_verify(WOLFSSL *ssl, int mode, VerifyCallback callback);
void __wrap_wolfSSL_set_verify(WOLFSSL *ssl, int mode, VerifyCallback callback);

static int unasked_find_good(int is_good, WOLFSSL_X509_STORE_CTX *store)
{
    store->error = 0;
    return tls_is_unasked || unasked_callback(1, store);
}

void __wrap_wolfSSL_CTX_set_verify(WOLFSSL_CTX *ctx, int mode,
                                   VerifyCallback callback)
{
    if (callback) {
        unasked_callback = callback;
    }
    __real_wolfSSL_CTX_set_verify(ctx, mode,
                                  callback ? unasked_find_good : NULL);
}

void __wrap_wolfSSL_set_verify(WOLFSSL *ssl, int mode, VerifyCallback callback)
{
    cr_assert(callback == unasked_callback);
    __real_wolfSSL_set_verify(ssl, mode, unasked_find_good);
}

/* wolfSSL also calls for a peer without a certificate. */
static void unasked_show_none(bool is_client, bool is_needed, bool is_good)
{
    struct weir_tls_context context = {.verifies = true, .demands = is_needed};
    struct wr_tls_engine engine = {.conn.events = &wr_tls_engine_events};
    struct wr_tls_verdict *verdict = &engine.verdict;
    WOLFSSL_X509_STORE_CTX store = {.userCtx = &engine.conn,
                                    .error = is_good - 1};
    wr_tls_verdict_init(verdict, wr_default_allocator());
    verdict->peer_is_client = is_client;
    verdict->context = &context;
    expect_eq(wr_wolfssl_on_certificate(is_good, &store), is_client && is_good);
    expect_eq(verdict->has_none, is_client && is_good && !is_needed);
    expect_eq(verdict->err, is_good && !is_client ? WEIR_ETLSBADCERT : 0);
    cr_assert_not(verdict->is_accepted);
    wr_tls_verdict_fini(verdict);
}

UNIT(tls_unasked, only_a_client_may_have_no_certificate)
{
    for (unsigned i = 0; i < 8; i++) {
        unasked_show_none(i & 1, i & 2, i & 4);
    }
}
