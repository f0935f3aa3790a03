/*
 * The trusted authorities, in an array that is searched by name. The array
 * comes from malloc(), because it belongs to no loop. The bytes of the
 * certificates are freed with it.
 */
#include "trust.h"

#include "uring/check.h"

#include <errno.h>
#include <stdlib.h>

#define TRUST_FIRST_CAPACITY 4u

bool wr_x509_trust_has(const struct wr_x509_trust *trust,
                       const struct wr_x509 *x509)
{
    const struct wr_x509 *anchor = NULL;

    wr_assert(x509->subject.data != NULL);
    while ((anchor = wr_x509_trust_find(trust, &x509->subject, anchor))) {
        if (wr_der_is_equal(&anchor->der, &x509->der)) {
            return true;
        }
    }
    return false;
}

static bool trust_make_room(struct wr_x509_trust *trust)
{
    wr_assert(trust->count <= trust->capacity);
    if (trust->count < trust->capacity) {
        return true;
    }
    const size_t capacity =
        trust->capacity > 0 ? 2 * trust->capacity : TRUST_FIRST_CAPACITY;
    struct wr_x509 *anchors =
        realloc(trust->anchors, capacity * sizeof(*anchors));
    if (!anchors) {
        return false;
    }
    trust->anchors = anchors;
    trust->capacity = capacity;
    return true;
}

int wr_x509_trust_add(struct wr_x509_trust *trust, struct wr_bytes der)
{
    struct wr_x509 x509;

    wr_assert(der.data != NULL);
    const bool is_read = wr_x509_read(&x509, der.data, der.size) == 0;
    const bool is_new = is_read && !wr_x509_trust_has(trust, &x509);
    if (!is_new || !trust_make_room(trust)) {
        free((void *)(uintptr_t)der.data);
        return is_new ? -ENOMEM : is_read;
    }
    trust->anchors[trust->count++] = x509;
    return 1;
}

const struct wr_x509 *wr_x509_trust_find(const struct wr_x509_trust *trust,
                                         const struct wr_bytes *name,
                                         const struct wr_x509 *after)
{
    wr_assert(!after || after < trust->anchors + trust->count);
    for (size_t i = after ? (size_t)(after - trust->anchors) + 1 : 0;
         i < trust->count; i++) {
        if (wr_der_is_equal(&trust->anchors[i].subject, name)) {
            return &trust->anchors[i];
        }
    }
    return NULL;
}

void wr_x509_trust_fini(struct wr_x509_trust *trust)
{
    wr_assert(trust->count <= trust->capacity);
    for (size_t i = 0; i < trust->count; i++) {
        free((void *)(uintptr_t)trust->anchors[i].der.data);
    }
    free(trust->anchors);
    *trust = (struct wr_x509_trust){.anchors = NULL};
}
