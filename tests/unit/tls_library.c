/*
 * A TLS library that cannot be initialised: no context is created, now or
 * later.
 *
 * The program is linked so that libweir-tls's call of wolfSSL_Init() or
 * OPENSSL_init_ssl() comes here; calls inside wolfSSL and OpenSSL do not.
 */
#include "tests/tls/rig.h"

int __wrap_wolfSSL_Init(void);
int __wrap_OPENSSL_init_ssl(uint64_t options, const void *settings);

int __wrap_wolfSSL_Init(void)
{
    return -1;
}

int __wrap_OPENSSL_init_ssl(uint64_t options, const void *settings)
{
    cr_assert_neq(options, 0);
    cr_assert_null(settings);
    return 0;
}

UNIT(tls_library, that_cannot_begin_makes_no_context)
{
    const struct wr_tls_backend *backend = wr_tls_backend_get();
    const struct weir_tls_options options = tls_options(false);
    char text[128] = "";
    weir_tls_context *context = NULL;
    for (int i = 0; i < 2; i++) {
        expect_eq(weir_tls_context_new(&options, &context, text, sizeof(text)),
                  WEIR_ETLSENGINE);
        cr_assert_null(context);
        cr_assert_eq(strstr(text, weir_strerror(WEIR_ETLSENGINE)), text);
        cr_assert(!backend->start_text || strstr(text, backend->start_text()),
                  "%s", text);
    }
}
