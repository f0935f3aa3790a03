/*
 * A wolfSSL that cannot begin: no context is made, now or later.
 *
 * The program is linked so that calls of wolfSSL_Init() in the library come
 * here; wolfSSL's own do not.
 */
#include "tests/tls/rig.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

int __wrap_wolfSSL_Init(void);

int __wrap_wolfSSL_Init(void)
{
    return BAD_MUTEX_E;
}

UNIT(tls_library, that_cannot_begin_makes_no_context)
{
    const struct weir_tls_options options = tls_options(false);
    char text[128] = "";
    weir_tls_context *context = NULL;
    for (int i = 0; i < 2; i++) {
        expect_eq(weir_tls_context_new(&options, &context, text, sizeof(text)),
                  WEIR_ETLSENGINE);
        cr_assert_null(context);
        expect_str_eq(text, weir_strerror(WEIR_ETLSENGINE));
    }
}
