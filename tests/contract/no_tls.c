/*
 * TLS in a library that was built without it.
 *
 * No context is made, and so nothing else that would need one: a connection and
 * a server with TLS have a context in their settings.
 */
#include "tests/contract/maker.h"

#include <weir/error.h>
#include <weir/tls.h>
#include <weir/tls_connection.h>

UNIT(no_tls, a_context_cannot_be_made_and_the_text_says_why)
{
    const struct weir_tls_options options = {.size = sizeof(options)};
    weir_tls_context *context = NULL;
    char text[128] = "";

    expect_eq(weir_tls_context_new(&options, &context, text, sizeof(text)),
              WEIR_ENOTLS);
    cr_assert_null(context);
    cr_assert_str_eq(text, weir_strerror(WEIR_ENOTLS));
    weir_tls_context_unref(NULL);
    weir_tls_session_unref(NULL);
}
