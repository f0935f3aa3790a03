/*
 * The lists of suites and groups.
 *
 * A name is compared as a whole and with its case, so that no library ever
 * interprets a part of a name, an alias or a keyword like ALL.
 */
#include "suites.h"

#include "lib/tls/backend/backend.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SUITES_AES                                                             \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"                           \
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:"                                 \
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:"                                   \
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:"                                 \
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"

#define SUITES_CHACHA                                                          \
    "TLS_CHACHA20_POLY1305_SHA256:"                                            \
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:"                           \
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"

/* Without AES instructions of the CPU, ChaCha20 is first, because AES with
 * tables is slow and leaks the key through timing. */
#define SUITES_ALL      SUITES_AES ":" SUITES_CHACHA
#define SUITES_ALL_SLOW SUITES_CHACHA ":" SUITES_AES

/* Prefix of all TLS 1.2 suites, and of no others. */
#define SUITES_OLD   "TLS_ECDHE_"
#define SUITES_SHOWN 64u

struct suites_row {
    const char *name;
    uint16_t number;
};

/* TLS 1.2 suites; the bits of a mask are indexes of this array. */
static const struct suites_row suites_old[] = {
    {SUITES_OLD "ECDSA_WITH_AES_128_GCM_SHA256", 0xc02b},
    {SUITES_OLD "ECDSA_WITH_AES_256_GCM_SHA384", 0xc02c},
    {SUITES_OLD "ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca9},
    {SUITES_OLD "RSA_WITH_AES_128_GCM_SHA256", 0xc02f},
    {SUITES_OLD "RSA_WITH_AES_256_GCM_SHA384", 0xc030},
    {SUITES_OLD "RSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca8},
};

static const struct suites_row suites_new[] = {
    {"TLS_AES_128_GCM_SHA256", 0x1301},
    {"TLS_AES_256_GCM_SHA384", 0x1302},
    {"TLS_CHACHA20_POLY1305_SHA256", 0x1303},
};

#define SUITES_OLD_COUNT (sizeof(suites_old) / sizeof(*suites_old))
#define SUITES_NEW_COUNT (sizeof(suites_new) / sizeof(*suites_new))

_Static_assert(SUITES_OLD_COUNT < 32, "a mask is a uint32_t");

/* All groups, the preferred first. An attacker that records a handshake made
 * with X25519MLKEM768 cannot decrypt it later, even if X25519 is broken. */
static const struct suites_row suites_groups[] = {
    {"X25519MLKEM768", WR_TLS_GROUP_HYBRID}, {"X25519", 29},
    {"P-256", WR_X509_CURVE_P256},           {"P-384", WR_X509_CURVE_P384},
    {"P-521", WR_X509_CURVE_P521},
};

_Static_assert(sizeof(suites_groups) / sizeof(*suites_groups) ==
                   WR_TLS_GROUPS_MAX,
               "each group has its place in a list of numbers");

/* *list becomes NULL after its last name. */
static bool suites_take(const char **list, const char **ret, size_t *ret_len)
{
    wr_assert(list && ret && ret_len);
    if (!*list) {
        return false;
    }
    const size_t len = strcspn(*list, ":");
    *ret = *list;
    *ret_len = len;
    *list = (*list)[len] == ':' ? *list + len + 1 : NULL;
    return true;
}

static const struct suites_row *suites_find(const struct suites_row *rows,
                                            size_t count, const char *name,
                                            size_t len)
{
    wr_assert(name != NULL);
    for (size_t i = 0; i < count; i++) {
        if (strlen(rows[i].name) == len &&
            memcmp(rows[i].name, name, len) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static const char *suites_name_of(const struct suites_row *rows, size_t count,
                                  uint16_t number)
{
    wr_assert(count > 0);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].number == number) {
            return rows[i].name;
        }
    }
    return NULL;
}

static int suites_check(const char *list,
                        bool (*knows)(const char *name, size_t len), int err,
                        const char **ret_unknown, int *ret_len)
{
    const char *name;
    size_t len;

    wr_assert(list && err < 0);
    while (suites_take(&list, &name, &len)) {
        if (!knows(name, len)) {
            *ret_unknown = name;
            *ret_len = (int)wr_min_u64(len, SUITES_SHOWN);
            return err;
        }
    }
    return 0;
}

static bool suites_knows(const char *name, size_t len)
{
    return suites_find(suites_old, SUITES_OLD_COUNT, name, len) ||
           suites_find(suites_new, SUITES_NEW_COUNT, name, len);
}

const char *wr_tls_suites_get_all(void)
{
    const bool is_fast = wr_tls_backend_get()->does & WR_TLS_DOES_FAST_AES;

    return is_fast ? SUITES_ALL : SUITES_ALL_SLOW;
}

int wr_tls_suites_check(const char *list, const char **ret_unknown,
                        int *ret_len)
{
    return suites_check(list, suites_knows, WEIR_ETLSCIPHERS, ret_unknown,
                        ret_len);
}

bool wr_tls_suites_has(const char *list, enum weir_tls_version version)
{
    const char *name;
    size_t len;

    wr_assert(version != WEIR_TLS_VERSION_DEFAULT);
    while (suites_take(&list, &name, &len)) {
        const bool is_old =
            strncmp(name, SUITES_OLD, sizeof(SUITES_OLD) - 1) == 0;
        if (is_old == (version == WEIR_TLS_1_2)) {
            return true;
        }
    }
    return false;
}

/* The name of a TLS 1.2 suite has the kind of key. TLS 1.3 suites fit both
 * kinds. */
static bool suites_fit(const char *name, bool is_rsa)
{
    static const char rsa[] = SUITES_OLD "RSA_";
    static const char ecdsa[] = SUITES_OLD "ECDSA_";

    wr_assert(name != NULL);
    return is_rsa ? strncmp(name, ecdsa, sizeof(ecdsa) - 1) != 0
                  : strncmp(name, rsa, sizeof(rsa) - 1) != 0;
}

int wr_tls_suites_select(const char *list, bool is_rsa, char *ret, size_t size)
{
    const char *rest = list ? list : wr_tls_suites_get_all();
    const char *name;
    size_t len;
    size_t used = 0;

    _Static_assert(sizeof(SUITES_ALL) <= WR_TLS_SUITES_SIZE, "it has room");
    wr_assert(ret != NULL);
    while (suites_take(&rest, &name, &len)) {
        if (!suites_fit(name, is_rsa)) {
            continue;
        }
        wr_require(used + (used > 0) + len < size, -E2BIG);
        if (used > 0) {
            ret[used++] = ':';
        }
        memcpy(ret + used, name, len);
        used += len;
        ret[used] = '\0';
    }
    return used > 0 ? 0 : WEIR_ETLSCIPHERS;
}

uint32_t wr_tls_suites_mask(const char *list)
{
    const char *rest = list ? list : wr_tls_suites_get_all();
    const char *name;
    size_t len;
    uint32_t mask = 0;

    wr_assert(rest[0] != '\0');
    while (suites_take(&rest, &name, &len)) {
        const struct suites_row *row =
            suites_find(suites_old, SUITES_OLD_COUNT, name, len);
        mask |= row ? 1u << (row - suites_old) : 0;
    }
    return mask;
}

uint32_t wr_tls_suites_mask_of(const uint8_t *numbers, size_t size)
{
    uint32_t mask = 0;

    wr_assert(size % 2 == 0);
    for (size_t at = 0; at < size; at += 2) {
        for (size_t i = 0; i < SUITES_OLD_COUNT; i++) {
            if (suites_old[i].number == (numbers[at] << 8 | numbers[at + 1])) {
                mask |= 1u << i;
            }
        }
    }
    return mask;
}

bool wr_tls_suites_has_kind(uint32_t mask, bool is_rsa)
{
    wr_assert(mask >> SUITES_OLD_COUNT == 0);
    for (size_t i = 0; i < SUITES_OLD_COUNT; i++) {
        if ((mask >> i & 1u) && suites_fit(suites_old[i].name, is_rsa)) {
            return true;
        }
    }
    return false;
}

const char *wr_tls_suites_name_of(uint16_t number)
{
    const char *old = suites_name_of(suites_old, SUITES_OLD_COUNT, number);

    return old ? old : suites_name_of(suites_new, SUITES_NEW_COUNT, number);
}

/* The backend must be started. */
static bool suites_has_group(const struct suites_row *group)
{
    const struct wr_tls_backend *backend = wr_tls_backend_get();

    wr_assert(group->number > 0);
    switch (group->number) {
    case WR_TLS_GROUP_HYBRID:
        return backend->has_hybrid && backend->has_hybrid();
    case WR_X509_CURVE_P521:
        return backend->does & WR_TLS_DOES_P521;
    default:
        return true;
    }
}

static bool suites_knows_group(const char *name, size_t len)
{
    const struct suites_row *group =
        suites_find(suites_groups, WR_TLS_GROUPS_MAX, name, len);

    return group && suites_has_group(group);
}

const char *wr_tls_suites_name_of_group(uint16_t number)
{
    return suites_name_of(suites_groups, WR_TLS_GROUPS_MAX, number);
}

void wr_tls_suites_name_groups(char *ret, size_t size)
{
    size_t used = 0;

    wr_assert(ret && size > 0);
    for (size_t i = 0; i < WR_TLS_GROUPS_MAX && used < size; i++) {
        if (suites_has_group(&suites_groups[i])) {
            used +=
                (size_t)snprintf(ret + used, size - used, "%s%s",
                                 used == 0 ? "" : ":", suites_groups[i].name);
        }
    }
}

int wr_tls_suites_check_groups(const char *list, const char **ret_unknown,
                               int *ret_len)
{
    return suites_check(list, suites_knows_group, WEIR_ETLSGROUPS, ret_unknown,
                        ret_len);
}

size_t wr_tls_suites_number_groups(const char *list,
                                   uint16_t ret[WR_TLS_GROUPS_MAX])
{
    char all[WR_TLS_GROUPS_SIZE];
    const char *rest = list ? list : all;
    const char *name;
    size_t len;
    unsigned seen = 0;
    size_t count = 0;

    wr_tls_suites_name_groups(all, sizeof(all));
    while (suites_take(&rest, &name, &len)) {
        const struct suites_row *group =
            suites_find(suites_groups, WR_TLS_GROUPS_MAX, name, len);
        wr_assert(group != NULL);
        const unsigned bit = 1u << (group - suites_groups);
        if (!(seen & bit)) {
            ret[count++] = group->number;
        }
        seen |= bit;
    }
    wr_assert(count <= WR_TLS_GROUPS_MAX);
    return count;
}

/* ---- the keys that a client can use ----
 *
 * With TLS 1.3 an ECDSA scheme names its curve (RFC 8446, 4.2.3). With TLS 1.2
 * it names only the hash, and the client's groups list its curves (RFC 8422,
 * 4). */

enum {
    SUITES_OFFER_CURVES =
        WR_TLS_OFFER_P256 | WR_TLS_OFFER_P384 | WR_TLS_OFFER_P521,
    SUITES_OFFER_ALL =
        WR_TLS_OFFER_RSA | SUITES_OFFER_CURVES | WR_TLS_OFFER_EDWARDS,
    SUITES_OFFER_NEWEST = 0x0304,
};

struct suites_offer_row {
    uint16_t number;
    uint8_t kinds;
};

static const struct suites_offer_row suites_offer_schemes[] = {
    {0x0804, WR_TLS_OFFER_RSA},     {0x0805, WR_TLS_OFFER_RSA},
    {0x0806, WR_TLS_OFFER_RSA},     {0x0403, WR_TLS_OFFER_P256},
    {0x0503, WR_TLS_OFFER_P384},    {0x0603, WR_TLS_OFFER_P521},
    {0x0807, WR_TLS_OFFER_EDWARDS}, {0, 0},
};

static const struct suites_offer_row suites_offer_old_schemes[] = {
    {0x0401, WR_TLS_OFFER_RSA},
    {0x0501, WR_TLS_OFFER_RSA},
    {0x0601, WR_TLS_OFFER_RSA},
    {0x0804, WR_TLS_OFFER_RSA},
    {0x0805, WR_TLS_OFFER_RSA},
    {0x0806, WR_TLS_OFFER_RSA},
    {0x0403, SUITES_OFFER_CURVES},
    {0x0503, SUITES_OFFER_CURVES},
    {0x0603, SUITES_OFFER_CURVES},
    {0x0807, WR_TLS_OFFER_EDWARDS},
    {0, 0},
};

static const struct suites_offer_row suites_offer_groups[] = {
    {WR_X509_CURVE_P256, WR_TLS_OFFER_P256},
    {WR_X509_CURVE_P384, WR_TLS_OFFER_P384},
    {WR_X509_CURVE_P521, WR_TLS_OFFER_P521},
    {0, 0},
};

static bool suites_offer_take_list(struct wr_bytes body, size_t length_size,
                                   struct wr_bytes *ret)
{
    wr_assert(length_size == 1 || length_size == 2);
    return wr_bytes_take_vector(&body, length_size, ret) && body.size == 0 &&
           ret->size > 0 && ret->size % 2 == 0;
}

/* Returns the kinds of keys that an extension's list allows, or all kinds if
 * the extension is missing or malformed. */
static uint8_t suites_offer_kinds_of(struct wr_bytes body,
                                     const struct suites_offer_row *rows)
{
    struct wr_bytes list;
    uint16_t number;
    uint8_t kinds = 0;

    wr_assert(rows->number > 0);
    if (!body.data || !suites_offer_take_list(body, 2, &list)) {
        return SUITES_OFFER_ALL;
    }
    while (wr_bytes_take_u16(&list, &number)) {
        const struct suites_offer_row *row =
            rows; /* the last row has no kinds */
        while (row->number != number && row->number > 0) {
            row++;
        }
        kinds |= row->kinds;
    }
    return kinds;
}

static bool suites_offer_has_newest(struct wr_bytes versions)
{
    struct wr_bytes list;
    uint16_t version;

    wr_assert(versions.data || versions.size == 0);
    if (!versions.data || !suites_offer_take_list(versions, 1, &list)) {
        return false;
    }
    while (wr_bytes_take_u16(&list, &version)) {
        if (version == SUITES_OFFER_NEWEST) {
            return true;
        }
    }
    return false;
}

uint8_t wr_tls_offer_kind_of(const struct wr_x509_key_strength *key)
{
    wr_assert(key->kind <= WR_X509_KEY_OTHER);
    wr_assert(key->kind == WR_X509_KEY_CURVE || key->curve == 0);
    switch (key->kind) {
    case WR_X509_KEY_RSA:
        return WR_TLS_OFFER_RSA;
    case WR_X509_KEY_CURVE:
        return key->curve == WR_X509_CURVE_P384   ? WR_TLS_OFFER_P384
               : key->curve == WR_X509_CURVE_P521 ? WR_TLS_OFFER_P521
                                                  : WR_TLS_OFFER_P256;
    case WR_X509_KEY_EDWARDS:
        return WR_TLS_OFFER_EDWARDS;
    default:
        return 0;
    }
}

uint8_t wr_tls_offer_lacks(const struct wr_tls_offer *offer, bool has_newest,
                           uint32_t suites)
{
    wr_assert(offer->suites.size % 2 == 0);
    if (!offer->suites.data) {
        return 0;
    }
    if (has_newest && suites_offer_has_newest(offer->versions)) {
        return SUITES_OFFER_ALL &
               ~suites_offer_kinds_of(offer->schemes, suites_offer_schemes);
    }
    const uint32_t common =
        suites & wr_tls_suites_mask_of(offer->suites.data, offer->suites.size);
    const uint8_t curves =
        suites_offer_kinds_of(offer->groups, suites_offer_groups) &
        SUITES_OFFER_CURVES;
    uint8_t kinds = 0;
    if (wr_tls_suites_has_kind(common, true)) {
        kinds |= WR_TLS_OFFER_RSA;
    }
    if (wr_tls_suites_has_kind(common, false)) {
        kinds |= curves | WR_TLS_OFFER_EDWARDS;
    }
    kinds &= suites_offer_kinds_of(offer->schemes, suites_offer_old_schemes);
    wr_assert((kinds & ~SUITES_OFFER_ALL) == 0);
    return SUITES_OFFER_ALL & ~kinds;
}
