/*
 * Parses revocation lists.
 *
 * An incomplete list is refused, because it may omit revoked certificates: a
 * list of changes (deltaCRLIndicator), a list for some certificates
 * (issuingDistributionPoint), and a list with certificates of other issuers
 * (certificateIssuer).
 */
#include "crl.h"

#include "date.h"
#include "directory.h"
#include "extension.h"
#include "uring/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    CRL_NUMBER = 20,
    CRL_REASON = 21,
    CRL_INVALIDITY_DATE = 24,
    CRL_DELTA = 27,
    CRL_DISTRIBUTION_POINT = 28,
    CRL_CERTIFICATE_ISSUER = 29,
    CRL_AUTHORITY_KEY = 35,
};

static const char crl_malformed[] = "a list is malformed";
static const char crl_unknown[] =
    "a list has a critical extension that is not known";
static const char crl_partial[] =
    "a list has a part of the revocations alone, or other issuers'";

/* Returns NULL, or the text of an error. */
static const char *crl_check_extensions(struct wr_bytes tagged)
{
    struct wr_x509_extensions extensions;
    struct wr_x509_extension extension;
    struct wr_bytes list;

    wr_assert(tagged.data != NULL);
    if (!wr_der_take(&tagged, WR_DER_SEQUENCE, &list) || tagged.size > 0) {
        return crl_malformed;
    }
    wr_x509_extensions_open(&extensions, list);
    while (extensions.rest.size > 0) {
        if (!wr_x509_extension_take(&extensions, &extension)) {
            return crl_malformed;
        }
        switch (extension.number) {
        case CRL_DELTA:
        case CRL_DISTRIBUTION_POINT:
        case CRL_CERTIFICATE_ISSUER:
            return crl_partial;
        case CRL_NUMBER:
        case CRL_REASON:
        case CRL_INVALIDITY_DATE:
        case CRL_AUTHORITY_KEY:
            break;
        default:
            if (extension.is_critical) {
                return crl_unknown;
            }
        }
    }
    return NULL;
}

static bool crl_take_entry(struct wr_bytes *entries, struct wr_bytes *ret,
                           struct wr_bytes *ret_rest)
{
    wr_assert(entries->data != NULL);
    return wr_der_take(entries, WR_DER_SEQUENCE, ret_rest) &&
           wr_der_take(ret_rest, WR_DER_INTEGER, ret) && ret->size > 0;
}

static const char *crl_check_entries(struct wr_bytes entries, size_t *ret_count)
{
    struct wr_bytes serial;
    struct wr_bytes rest;
    int64_t date = 0;

    while (entries.size > 0) {
        if (!crl_take_entry(&entries, &serial, &rest) ||
            !wr_x509_date_take(&rest, &date)) {
            return crl_malformed;
        }
        const char *wrong = rest.size > 0 ? crl_check_extensions(rest) : NULL;
        if (wrong) {
            return wrong;
        }
        ++*ret_count;
    }
    return NULL;
}

static const char *crl_read_rest(struct wr_x509_crl *crl, struct wr_bytes body)
{
    struct wr_bytes tagged;

    wr_assert(body.data != NULL);
    crl->entries = (struct wr_bytes){.data = body.data};
    if (wr_der_sees(&body, WR_DER_SEQUENCE) &&
        !wr_der_take(&body, WR_DER_SEQUENCE, &crl->entries)) {
        return crl_malformed;
    }
    const char *wrong = crl_check_entries(crl->entries, &crl->entry_count);
    if (wrong || body.size == 0) {
        return wrong;
    }
    return wr_der_take(&body, WR_DER_EXPLICIT, &tagged) && body.size == 0
               ? crl_check_extensions(tagged)
               : crl_malformed;
}

const char *wr_x509_crl_read(struct wr_x509_crl *ret, struct wr_bytes der)
{
    struct wr_bytes body;
    struct wr_bytes version;
    struct wr_bytes said;

    *ret = (struct wr_x509_crl){.this_update = 0};
    if (!der.data || !wr_x509_signed_read(&ret->sign, der, &body)) {
        return crl_malformed;
    }
    if (wr_der_sees(&body, WR_DER_INTEGER) &&
        (!wr_der_take(&body, WR_DER_INTEGER, &version) || version.size != 1 ||
         version.data[0] != 1)) {
        return "a list is not of version 2";
    }
    if (!wr_der_take(&body, WR_DER_SEQUENCE, &said) ||
        !wr_der_is_equal(&said, &ret->sign.algorithm) ||
        !wr_der_take_whole(&body, WR_DER_SEQUENCE, &ret->issuer) ||
        !wr_x509_directory_is_good(ret->issuer) ||
        !wr_x509_date_take(&body, &ret->this_update)) {
        return crl_malformed;
    }
    if (!wr_x509_date_sees(&body)) {
        return "a list does not say when the next one comes (nextUpdate)";
    }
    return wr_x509_date_take(&body, &ret->next_update)
               ? crl_read_rest(ret, body)
               : crl_malformed;
}

/* Numbers that differ only in leading zeros are equal. They occur only if an
 * issuer violates the rules. */
static struct wr_bytes crl_trim(struct wr_bytes number)
{
    while (number.size > 1 && number.data[0] == 0) {
        number.data++;
        number.size--;
    }
    return number;
}

static int crl_compare(const void *first, const void *second)
{
    const struct wr_bytes *a = first;
    const struct wr_bytes *b = second;

    wr_assert(a->size > 0 && b->size > 0);
    if (a->size != b->size) {
        return a->size < b->size ? -1 : 1;
    }
    return memcmp(a->data, b->data, a->size);
}

int wr_x509_crl_sort(struct wr_x509_crl *crl)
{
    struct wr_bytes entries = crl->entries;
    struct wr_bytes rest;

    wr_assert(!crl->serials);
    if (crl->entry_count == 0) {
        return 0;
    }
    crl->serials = calloc(crl->entry_count, sizeof(*crl->serials));
    wr_require(crl->serials, -ENOMEM);
    for (size_t i = 0; i < crl->entry_count; i++) {
        const bool is_one = crl_take_entry(&entries, &crl->serials[i], &rest);
        wr_assert(is_one);
        crl->serials[i] = crl_trim(crl->serials[i]);
    }
    wr_assert(entries.size == 0);
    qsort(crl->serials, crl->entry_count, sizeof(*crl->serials), crl_compare);
    return 0;
}

void wr_x509_crl_fini(struct wr_x509_crl *crl)
{
    free(crl->serials);
    crl->serials = NULL;
}

bool wr_x509_crl_has(const struct wr_x509_crl *crl, struct wr_bytes serial)
{
    wr_assert(crl->serials || crl->entry_count == 0);
    if (serial.size == 0 || crl->entry_count == 0) {
        return false;
    }
    serial = crl_trim(serial);
    return bsearch(&serial, crl->serials, crl->entry_count,
                   sizeof(*crl->serials), crl_compare) != NULL;
}
