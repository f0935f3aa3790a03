/*
 * Authorities of a context, by which its peers are verified, from a text, a
 * folder or the system, and lists of revocations, which they have signed and
 * which are read after them.
 */
#include "context_impl.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>

static const char context_trust_begin[] = "-----BEGIN X509 CRL-----";

/* Reads the first list of a text: wolfSSL passes over those that follow. */
static int context_trust_use_list(weir_tls_context *context,
                                  const uint8_t *data, long size)
{
    wr_assert(size > 0);
    if (wolfSSL_CTX_LoadCRLBuffer(context->ctx, data, size,
                                  WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS) {
        return WEIR_ETLSFILE;
    }
    return wr_tls_context_judge_by(context, data, size);
}

static int context_trust_use_lists(weir_tls_context *context,
                                   const uint8_t *data, long size)
{
    const size_t begin_size = sizeof(context_trust_begin) - 1;
    const uint8_t *end = data + size;
    const uint8_t *next = data;

    wr_assert(context->verifies && size > 0);
    int err = wr_tls_context_bind_tickets(context, data, (size_t)size);
    if (err < 0) {
        return err;
    }
    if (wolfSSL_CTX_EnableCRL(context->ctx, WOLFSSL_CRL_CHECKALL) !=
        WOLFSSL_SUCCESS) {
        return WEIR_ETLSENGINE;
    }
    err = WEIR_ETLSFILE; /* where there is none */
    while ((next = memmem(next, (size_t)(end - next), context_trust_begin,
                          begin_size))) {
        const uint8_t *after = memmem(next + 1, (size_t)(end - next) - 1,
                                      context_trust_begin, begin_size);
        const long list_size = (long)((after ? after : end) - next);
        err = context_trust_use_list(context, next, list_size);
        if (err < 0) {
            return err;
        }
        next += list_size;
    }
    return err;
}

static int context_trust_load(weir_tls_context *context,
                              const struct weir_tls_options *options,
                              struct wr_tls_context_text *text)
{
    const bool has_folder = options->authority_folder != NULL;

    wr_assert(context->verifies);
    if (wr_tls_context_has(&options->authorities)) {
        return wr_tls_context_load_one(context, &options->authorities,
                                       "authorities",
                                       wr_tls_context_use_authorities, text);
    }
    if (has_folder || (!context->is_server && options->no_system_authorities)) {
        return 0;
    }
    if (context->is_server) {
        wr_tls_context_say(text, "authorities", "none are given", -EINVAL);
        return -EINVAL;
    }
    return wr_tls_context_load_system(context, text);
}

int wr_tls_context_load_trust(weir_tls_context *context,
                              const struct weir_tls_options *options,
                              struct wr_tls_context_text *text)
{
    wr_assert(context->verifies);
    int err = context_trust_load(context, options, text);
    if (err == 0 && options->authority_folder) {
        err = wr_tls_context_load_folder(context, options->authority_folder,
                                         text);
    }
    if (err == 0) {
        err = wr_tls_context_make_judge(context);
    }
    if (err == 0 && wr_tls_context_has(&options->revocations)) {
        err = wr_tls_context_load_one(context, &options->revocations,
                                      "revocations", context_trust_use_lists,
                                      text);
    }
    return err;
}
