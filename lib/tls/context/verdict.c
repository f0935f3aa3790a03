/*
 * The verdict on a peer, and the peer's certificates; verdict.h says who writes
 * it. Texts and certificates are copied into the loop's memory, because
 * wolfSSL's copies live for one callback.
 */
#include "verdict.h"

#include "uring/check.h"

#include <weir/tls.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The most bytes of a text; a certificate's names may be longer. */
#define VERDICT_TEXT_MAX 256

void wr_tls_verdict_init(struct wr_tls_verdict *verdict,
                         const struct weir_allocator *allocator)
{
    *verdict = (struct wr_tls_verdict){.allocator = allocator,
                                       .key_kind = WR_X509_KEY_OTHER};
}

void wr_tls_verdict_fini(struct wr_tls_verdict *verdict)
{
    const size_t count = WR_X509_CHAIN_MAX;

    wr_assert(verdict->chain_count <= count);
    weir_tls_context_unref(verdict->chosen);
    for (uint32_t i = 0; i < verdict->chain_count; i++) {
        wr_free(verdict->allocator, verdict->chain[i].der,
                verdict->chain[i].size);
    }
    wr_free(verdict->allocator, verdict->chain,
            count * sizeof(*verdict->chain));
    wr_free(verdict->allocator, verdict->text, VERDICT_TEXT_MAX);
    if (verdict->hostname) {
        wr_free(verdict->allocator, verdict->hostname,
                strlen(verdict->hostname) + 1);
    }
    wr_tls_verdict_init(verdict, verdict->allocator);
}

void wr_tls_verdict_fail(struct wr_tls_verdict *verdict, int err,
                         const char *format, ...)
{
    va_list args;

    wr_assert(err < 0);
    if (verdict->err) {
        return;
    }
    verdict->err = err;
    verdict->text = wr_alloc(verdict->allocator, VERDICT_TEXT_MAX);
    if (verdict->text) {
        va_start(args, format);
        wr_ignore(vsnprintf(verdict->text, VERDICT_TEXT_MAX, format, args) < 0);
        va_end(args);
    }
}

int wr_tls_verdict_set_hostname(struct wr_tls_verdict *verdict,
                                const char *hostname)
{
    const size_t size = strlen(hostname) + 1;

    wr_assert(!verdict->hostname);
    verdict->hostname = wr_alloc(verdict->allocator, size);
    if (!verdict->hostname) {
        return -ENOMEM;
    }
    memcpy(verdict->hostname, hostname, size);
    return 0;
}

static int verdict_make_chain(struct wr_tls_verdict *verdict)
{
    const size_t size = WR_X509_CHAIN_MAX * sizeof(*verdict->chain);
    if (!verdict->chain) {
        verdict->chain = wr_alloc(verdict->allocator, size);
        if (!verdict->chain) {
            return -ENOMEM;
        }
        memset(verdict->chain, 0, size);
    }
    return 0;
}

int wr_tls_verdict_keep(struct wr_tls_verdict *verdict, uint32_t index,
                        const uint8_t *der, size_t size)
{
    wr_assert(size > 0);
    if (index >= WR_X509_CHAIN_MAX) {
        return -E2BIG;
    }
    uint8_t *copy = wr_alloc(verdict->allocator, size);
    if (!copy || verdict_make_chain(verdict) < 0) {
        wr_free(verdict->allocator, copy, size);
        return -ENOMEM;
    }
    memcpy(copy, der, size);
    struct wr_tls_certificate *place = &verdict->chain[index];
    wr_free(verdict->allocator, place->der, place->size);
    *place = (struct wr_tls_certificate){.der = copy, .size = size};
    if (verdict->chain_count <= index) {
        verdict->chain_count = index + 1;
    }
    return 0;
}

void wr_tls_verdict_select(struct wr_tls_verdict *verdict,
                           const uint32_t *places, uint32_t count)
{
    struct wr_tls_certificate chain[WR_X509_CHAIN_MAX] = {{.der = NULL}};

    wr_assert(count > 0 && count <= verdict->chain_count);
    wr_assert(verdict->chain_count <= WR_X509_CHAIN_MAX);
    for (uint32_t i = 0; i < count; i++) {
        wr_assert(places[i] < verdict->chain_count);
        chain[i] = verdict->chain[places[i]];
        verdict->chain[places[i]].der = NULL;
    }
    for (uint32_t i = 0; i < verdict->chain_count; i++) {
        if (verdict->chain[i].der) {
            wr_free(verdict->allocator, verdict->chain[i].der,
                    verdict->chain[i].size);
        }
    }
    memcpy(verdict->chain, chain, sizeof(chain));
    verdict->chain_count = count;
}
