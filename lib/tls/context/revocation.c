/*
 * Checks certificates with revocation lists, which are found by their issuer's
 * name. A list is valid if it is current and the issuer's key has signed it. A
 * certificate is revoked if any valid list of its issuer contains it.
 */
#include "verify.h"

#include "lib/tls/backend/backend.h"
#include "pem.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)WR_TLS_KEY_HASH_SIZE <= (int)WR_TLS_HASH_MAX,
               "keys are known by their SHA-256");

#define REVOCATION_FIRST_CAPACITY 4u

static bool revocation_may_sign(const struct wr_x509 *issuer)
{
    return !issuer->has_usage || (issuer->usage & WR_X509_USE_LIST_SIGN);
}

static bool revocation_is_current(const struct wr_tls_revocation_list *list,
                                  int64_t now)
{
    wr_assert(now > 0);
    return list->crl.this_update <= now && now <= list->crl.next_update;
}

/* Returns 0, or an error of wr_tls_signature_verify(). Stores the hash of the
 * issuer's key, so that the next call need not verify the signature. */
static int revocation_verify(struct wr_tls_revocation *revocation,
                             struct wr_tls_revocation_list *list,
                             const struct wr_x509 *issuer)
{
    uint8_t hash[WR_TLS_HASH_MAX];

    wr_assert(issuer->key_info.data != NULL);
    if (wr_tls_backend_get()->hash(WR_X509_HASH_SHA256, issuer->key_info,
                                   hash) < 0) {
        return -ENOMEM;
    }
    pthread_mutex_lock(&revocation->mutex);
    const bool is_known = list->has_signer &&
                          memcmp(list->signer, hash, sizeof(list->signer)) == 0;
    pthread_mutex_unlock(&revocation->mutex);
    if (is_known) {
        return 0;
    }
    struct wr_x509_signed sign = list->crl.sign;
    sign.hash = list->has_hash ? list->hash : NULL;
    const int err = wr_tls_signature_verify(&sign, issuer->key_info);
    if (err == 0) {
        pthread_mutex_lock(&revocation->mutex);
        memcpy(list->signer, hash, sizeof(list->signer));
        list->has_signer = true;
        pthread_mutex_unlock(&revocation->mutex);
    }
    return err;
}

static struct wr_x509_reason
revocation_check(struct wr_tls_revocation *revocation,
                 struct wr_tls_revocation_list *list,
                 const struct wr_x509 *issuer, int64_t now)
{
    const char *text = NULL;
    int err = WEIR_ETLSNOCRL;

    wr_assert(list->memory != NULL);
    if (!revocation_is_current(list, now)) {
        text = now < list->crl.this_update
                   ? "has an issuer whose list of revocations is not valid yet"
                   : "has an issuer whose list of revocations has expired";
    } else if (!revocation_may_sign(issuer)) {
        text = "has an issuer that may sign no lists of revocations (keyUsage)";
    } else {
        const int answer = revocation_verify(revocation, list, issuer);
        text = answer == -EOPNOTSUPP
                   ? "has an issuer whose list of revocations is signed by an "
                     "algorithm that is weak or not known"
               : answer < 0 ? "has an issuer whose list of revocations was "
                              "signed by another key"
                            : NULL;
        err = answer == -ENOMEM ? -ENOMEM : WEIR_ETLSNOCRL;
    }
    return (struct wr_x509_reason){text ? err : 0, text};
}

struct wr_x509_reason
wr_tls_revocation_ask(struct wr_tls_revocation *revocation,
                      const struct wr_x509 *child, const struct wr_x509 *issuer,
                      int64_t now)
{
    struct wr_x509_reason missing = {
        WEIR_ETLSNOCRL, "cannot be checked for revocation: its issuer has no "
                        "list"};
    bool is_listed = false;

    wr_assert(wr_der_is_equal(&child->issuer, &issuer->subject));
    for (size_t i = 0; i < revocation->count; i++) {
        struct wr_tls_revocation_list *list = &revocation->lists[i];
        if (!wr_der_is_equal(&list->crl.issuer, &child->issuer)) {
            continue;
        }
        const struct wr_x509_reason reason =
            revocation_check(revocation, list, issuer, now);
        if (reason.err == -ENOMEM) {
            return reason;
        }
        if (reason.err == 0 && wr_x509_crl_has(&list->crl, child->serial)) {
            return (struct wr_x509_reason){WEIR_ETLSREVOKED, "was revoked"};
        }
        is_listed |= reason.err == 0;
        missing = reason.err < 0 ? reason : missing;
    }
    return is_listed ? (struct wr_x509_reason){.err = 0} : missing;
}

static bool revocation_make_room(struct wr_tls_revocation *revocation)
{
    wr_assert(revocation->count <= revocation->capacity);
    if (revocation->count < revocation->capacity) {
        return true;
    }
    const size_t capacity = revocation->capacity > 0
                                ? 2 * revocation->capacity
                                : REVOCATION_FIRST_CAPACITY;
    struct wr_tls_revocation_list *lists =
        realloc(revocation->lists, capacity * sizeof(*lists));
    if (!lists) {
        return false;
    }
    revocation->lists = lists;
    revocation->capacity = capacity;
    return true;
}

/* If trusted authorities have the name of the list's issuer, one of them must
 * have signed the list. */
static int revocation_check_signer(struct wr_tls_revocation *revocation,
                                   struct wr_tls_revocation_list *list,
                                   const struct wr_x509_trust *trust,
                                   const char **ret_why)
{
    const struct wr_x509 *anchor = NULL;
    int err = 0;

    wr_assert(list->memory != NULL);
    while ((anchor = wr_x509_trust_find(trust, &list->crl.issuer, anchor))) {
        err = revocation_may_sign(anchor)
                  ? revocation_verify(revocation, list, anchor)
                  : -EPERM;
        if (err == 0 || err == -ENOMEM) {
            return err;
        }
    }
    if (err < 0) {
        *ret_why = err == -EPERM ? "a list is of an authority that may sign "
                                   "none (keyUsage)"
                   : err == -EOPNOTSUPP
                       ? "a list is signed by an algorithm that is weak or not "
                         "known"
                       : "a list was not signed by the authority of its name";
    }
    return err < 0 ? WEIR_ETLSFILE : 0;
}

static void revocation_drop(struct wr_tls_revocation_list *list)
{
    wr_x509_crl_fini(&list->crl);
    free(list->memory);
}

/* Takes ownership of @der, which is from malloc(). */
static int revocation_add_one(struct wr_tls_revocation *revocation,
                              struct wr_bytes der,
                              const struct wr_x509_trust *trust,
                              const char **ret_why)
{
    struct wr_tls_revocation_list list = {
        .memory = (void *)(uintptr_t)der.data,
    };

    *ret_why = wr_x509_crl_read(&list.crl, der);
    int err = *ret_why ? WEIR_ETLSFILE : wr_x509_crl_sort(&list.crl);
    if (err == 0) {
        list.has_hash = wr_tls_signature_hash(&list.crl.sign, list.hash);
        err = revocation_check_signer(revocation, &list, trust, ret_why);
    }
    if (err == 0 && !revocation_make_room(revocation)) {
        err = -ENOMEM;
    }
    if (err < 0) {
        revocation_drop(&list);
        return err;
    }
    revocation->lists[revocation->count++] = list;
    return 0;
}

static bool revocation_is_replaced(const struct wr_tls_revocation *revocation,
                                   const struct wr_tls_revocation_list *old,
                                   int64_t now)
{
    wr_assert(!revocation_is_current(old, now));
    for (size_t i = 0; i < revocation->count; i++) {
        const struct wr_tls_revocation_list *list = &revocation->lists[i];
        if (revocation_is_current(list, now) &&
            wr_der_is_equal(&list->crl.issuer, &old->crl.issuer)) {
            return true;
        }
    }
    return false;
}

static int revocation_check_dates(const struct wr_tls_revocation *revocation,
                                  int64_t now, const char **ret_why)
{
    wr_assert(revocation->count > 0);
    for (size_t i = 0; i < revocation->count; i++) {
        const struct wr_tls_revocation_list *list = &revocation->lists[i];
        if (!revocation_is_current(list, now) &&
            !revocation_is_replaced(revocation, list, now)) {
            const bool is_early = now < list->crl.this_update;
            *ret_why = is_early ? "a list is not valid yet (thisUpdate)"
                                : "a list has expired (nextUpdate)";
            return is_early ? WEIR_ETLSNOTYET : WEIR_ETLSEXPIRED;
        }
    }
    return 0;
}

int wr_tls_revocation_add(struct wr_tls_revocation *revocation,
                          struct wr_bytes text,
                          const struct wr_x509_trust *trust, int64_t now,
                          const char **ret_why)
{
    struct wr_bytes der;
    int ret = 0;

    wr_assert(text.data != NULL);
    *ret_why = NULL;
    while ((ret = wr_tls_pem_next(&text, "X509 CRL", &der)) > 0) {
        const int err = revocation_add_one(revocation, der, trust, ret_why);
        if (err < 0) {
            return err;
        }
    }
    if (ret == 0 && revocation->count == 0) {
        *ret_why = "there is no list";
        return WEIR_ETLSFILE;
    }
    return ret < 0 ? ret : revocation_check_dates(revocation, now, ret_why);
}

void wr_tls_revocation_init(struct wr_tls_revocation *revocation)
{
    *revocation = (struct wr_tls_revocation){.lists = NULL};
    wr_ignore(pthread_mutex_init(&revocation->mutex, NULL) != 0);
}

void wr_tls_revocation_fini(struct wr_tls_revocation *revocation)
{
    wr_assert(revocation->count <= revocation->capacity);
    for (size_t i = 0; i < revocation->count; i++) {
        revocation_drop(&revocation->lists[i]);
    }
    free(revocation->lists);
    wr_ignore(pthread_mutex_destroy(&revocation->mutex) != 0);
}
