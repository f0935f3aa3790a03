/*
 * The authorities of a context come from a text, a folder or the system.
 * Revocation lists are read after them: a list with the name of an authority
 * must be signed by it.
 */
#include "context_impl.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <time.h>

static int context_trust_use_lists(weir_tls_context *context,
                                   const uint8_t *data, long size)
{
    const struct wr_bytes list = {.data = data, .size = (size_t)size};

    wr_assert(context->verifies && size > 0);
    return wr_tls_revocation_add(&context->revocation, list, &context->trust,
                                 (int64_t)time(NULL), &context->why);
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
    if (err == 0 && wr_tls_context_has(&options->revocations)) {
        err = wr_tls_context_load_one(context, &options->revocations,
                                      "revocations", context_trust_use_lists,
                                      text);
    }
    return err;
}
