/*
 * References, destruction and getters of a TLS context.
 *
 * Connections of several threads share a context, so its mutex guards the
 * reference count. The last unref frees the context, on any thread: all its
 * memory is malloc()'s.
 */
#include "context_impl.h"
#include "uring/check.h"

#include <stdlib.h>
#include <string.h>

static void context_life_free_identities(weir_tls_context *context)
{
    wr_assert(context->identities || context->identity_count == 0);
    for (size_t i = 0; i < context->identity_count; i++) {
        struct wr_tls_identity *identity = &context->identities[i];
        context->backend->credential_free(identity->credential);
        free(identity->outside);
        free((void *)(uintptr_t)identity->leaf.der.data);
    }
    free(context->identities);
    wr_tls_name_index_fini(&context->index);
    free(context->suites_of_others);
}

void wr_tls_context_free(weir_tls_context *context)
{
    wr_assert(context->references == 0);
    context->backend->shared_free(context->shared);
    wr_tls_ticket_keys_fini(&context->ticket_keys);
    wr_tls_clients_fini(&context->clients);
    wr_x509_trust_fini(&context->trust);
    wr_tls_revocation_fini(&context->revocation);
    wr_ignore(pthread_mutex_destroy(&context->mutex) != 0);
    context_life_free_identities(context);
    free(context->alpn);
    free(context);
}

bool wr_tls_context_is_server(const weir_tls_context *context)
{
    wr_debug_assert(context->references > 0);
    return context->is_server;
}

bool wr_tls_context_verifies(const weir_tls_context *context)
{
    wr_debug_assert(context->references > 0);
    return context->verifies;
}

bool wr_tls_context_has_signers(const weir_tls_context *context)
{
    wr_debug_assert(context->references > 0);
    return context->has_signers;
}

uint32_t wr_tls_context_get_key_records(const weir_tls_context *context)
{
    wr_assert(context->key_records > 0);
    return context->key_records;
}

const uint16_t *wr_tls_context_get_groups(const weir_tls_context *context,
                                          size_t *ret_count)
{
    wr_assert(context->group_count > 0);
    *ret_count = context->group_count;
    return context->groups;
}

weir_tls_context *weir_tls_context_ref(weir_tls_context *context)
{
    pthread_mutex_lock(&context->mutex);
    wr_assert(context->references > 0);
    context->references++;
    pthread_mutex_unlock(&context->mutex);
    return context;
}

void weir_tls_context_unref(weir_tls_context *context)
{
    if (!context) {
        return;
    }
    pthread_mutex_lock(&context->mutex);
    wr_assert(context->references > 0);
    const uint32_t left = --context->references;
    pthread_mutex_unlock(&context->mutex);
    if (left == 0) {
        wr_tls_context_free(context);
    }
}
