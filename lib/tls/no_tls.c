/*
 * TLS in a build without wolfSSL: there is none.
 *
 * No context can be made, so that nothing else of TLS can be reached: whatever
 * takes a context is given none.
 */
#include "uring/check.h"

#include <weir/error.h>
#include <weir/tls.h>

#include <stdio.h>

int weir_tls_context_new(const struct weir_tls_options *options,
                         weir_tls_context **ret, char *error_text,
                         size_t error_size)
{
    (void)options;
    (void)ret;
    if (error_text && error_size > 0) {
        wr_ignore(snprintf(error_text, error_size, "%s",
                           weir_strerror(WEIR_ENOTLS)) < 0);
    }
    return WEIR_ENOTLS;
}

weir_tls_context *weir_tls_context_ref(weir_tls_context *context)
{
    wr_assert(!context); /* there is none */
    return context;
}

void weir_tls_context_unref(weir_tls_context *context)
{
    wr_assert(!context);
}
