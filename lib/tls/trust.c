/*
 * The authorities of a context: a list, in which they are found by name. Its
 * memory is malloc()'s, as all of a context (context.c); a certificate's bytes
 * are freed with it.
 */
#include "trust.h"

#include "uring/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/asn_public.h>

#define TRUST_FIRST_CAPACITY 4u

static const char trust_begin[] = "-----BEGIN CERTIFICATE-----";

bool wr_tls_trust_has(const struct wr_tls_trust *trust,
                      const struct wr_tls_x509 *x509)
{
    const struct wr_tls_x509 *anchor = NULL;

    wr_assert(x509->subject.data != NULL);
    while ((anchor = wr_tls_trust_find(trust, &x509->subject, anchor))) {
        if (wr_tls_der_is_equal(&anchor->der, &x509->der)) {
            return true;
        }
    }
    return false;
}

static bool trust_make_room(struct wr_tls_trust *trust)
{
    wr_assert(trust->count <= trust->capacity);
    if (trust->count < trust->capacity) {
        return true;
    }
    const size_t capacity =
        trust->capacity > 0 ? 2 * trust->capacity : TRUST_FIRST_CAPACITY;
    struct wr_tls_x509 *anchors =
        realloc(trust->anchors, capacity * sizeof(*anchors));
    if (!anchors) {
        return false;
    }
    trust->anchors = anchors;
    trust->capacity = capacity;
    return true;
}

/* Takes @der, which is malloc()'s. */
static int trust_add_one(struct wr_tls_trust *trust, uint8_t *der, size_t size)
{
    struct wr_tls_x509 x509;

    wr_assert(der != NULL);
    if (wr_tls_x509_read(&x509, der, size) < 0 ||
        wr_tls_trust_has(trust, &x509)) {
        free(der);
        return 0;
    }
    if (!trust_make_room(trust)) {
        free(der);
        return -ENOMEM;
    }
    trust->anchors[trust->count++] = x509;
    return 0;
}

int wr_tls_trust_add(struct wr_tls_trust *trust, const uint8_t *text,
                     size_t size)
{
    const uint8_t *end = text + size;
    const uint8_t *next = text;
    int err = 0;

    wr_assert(text != NULL);
    while (err == 0 && next < end &&
           (next = memmem(next, (size_t)(end - next), trust_begin,
                          sizeof(trust_begin) - 1))) {
        const size_t left = (size_t)(end - next);
        const uint8_t *after =
            memmem(next + 1, left - 1, trust_begin, sizeof(trust_begin) - 1);
        const size_t pem_size = after ? (size_t)(after - next) : left;
        uint8_t *der = malloc(pem_size); /* more than it needs */
        if (!der) {
            return -ENOMEM;
        }
        const int der_size =
            wc_CertPemToDer(next, (int)pem_size, der, (int)pem_size, CERT_TYPE);
        if (der_size > 0) {
            err = trust_add_one(trust, der, (size_t)der_size);
        } else {
            free(der);
        }
        next += pem_size;
    }
    return err;
}

const struct wr_tls_x509 *wr_tls_trust_find(const struct wr_tls_trust *trust,
                                            const struct wr_tls_der *name,
                                            const struct wr_tls_x509 *after)
{
    wr_assert(!after || after < trust->anchors + trust->count);
    for (size_t i = after ? (size_t)(after - trust->anchors) + 1 : 0;
         i < trust->count; i++) {
        if (wr_tls_der_is_equal(&trust->anchors[i].subject, name)) {
            return &trust->anchors[i];
        }
    }
    return NULL;
}

void wr_tls_trust_fini(struct wr_tls_trust *trust)
{
    wr_assert(trust->count <= trust->capacity);
    for (size_t i = 0; i < trust->count; i++) {
        free((void *)(uintptr_t)trust->anchors[i].der.data);
    }
    free(trust->anchors);
    *trust = (struct wr_tls_trust){.anchors = NULL};
}
