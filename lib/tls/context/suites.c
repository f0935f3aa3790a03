/*
 * The lists of suites and groups. A name is compared as a whole and with its
 * case, so that no library ever interprets a part of a name, an alias or a
 * keyword like ALL.
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

/* AES with tables is slow and leaks its key by timing. */
#define SUITES_ALL      SUITES_AES ":" SUITES_CHACHA
#define SUITES_ALL_SLOW SUITES_CHACHA ":" SUITES_AES

/* The prefix of the names of TLS 1.2 suites, and of no others. */
#define SUITES_OLD "TLS_ECDHE_"

struct suites_group {
    const char *name;
    uint16_t number; /* IANA's */
};

/* All groups, the preferred first. Who records a handshake by the first one
 * cannot open it later, when X25519 can be computed backwards. */
static const struct suites_group suites_groups[] = {
    {"X25519MLKEM768", WR_TLS_GROUP_HYBRID}, {"X25519", 29},
    {"P-256", WR_X509_CURVE_P256},           {"P-384", WR_X509_CURVE_P384},
    {"P-521", WR_X509_CURVE_P521},
};

_Static_assert(sizeof(suites_groups) / sizeof(*suites_groups) ==
                   WR_TLS_GROUPS_MAX,
               "each group has its place in a list of numbers");

/* The backend has the group; it is started. */
static bool suites_has_group(const struct suites_group *group)
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

static bool suites_knows(const char *name, size_t len)
{
    const char *at = SUITES_ALL;

    wr_assert(name != NULL);
    for (;;) {
        const size_t known = strcspn(at, ":");
        if (known == len && memcmp(at, name, len) == 0) {
            return true;
        }
        if (at[known] == '\0') {
            return false;
        }
        at += known + 1;
    }
}

const char *wr_tls_suites_get_all(void)
{
    const bool is_fast = wr_tls_backend_get()->does & WR_TLS_DOES_FAST_AES;

    return is_fast ? SUITES_ALL : SUITES_ALL_SLOW;
}

int wr_tls_suites_check(const char *list, const char **ret_unknown,
                        int *ret_len)
{
    const char *at = list;

    wr_assert(list && ret_unknown && ret_len);
    for (;;) {
        const size_t len = strcspn(at, ":");
        if (!suites_knows(at, len)) {
            *ret_unknown = at;
            *ret_len = (int)wr_min_u64(len, 64);
            return WEIR_ETLSCIPHERS;
        }
        if (at[len] == '\0') {
            return 0;
        }
        at += len + 1;
    }
}

bool wr_tls_suites_has(const char *list, enum weir_tls_version version)
{
    const char *at = list;

    wr_assert(version != WEIR_TLS_VERSION_DEFAULT);
    for (;;) {
        const bool is_old =
            strncmp(at, SUITES_OLD, sizeof(SUITES_OLD) - 1) == 0;
        if (is_old == (version == WEIR_TLS_1_2)) {
            return true;
        }
        at += strcspn(at, ":");
        if (*at++ == '\0') {
            return false;
        }
    }
}

/* The name of a TLS 1.2 suite contains the kind of its key. */
static bool suites_fit(const char *name, bool is_rsa)
{
    static const char rsa[] = SUITES_OLD "RSA_";
    static const char ecdsa[] = SUITES_OLD "ECDSA_";
    return is_rsa ? strncmp(name, ecdsa, sizeof(ecdsa) - 1) != 0
                  : strncmp(name, rsa, sizeof(rsa) - 1) != 0;
}

int wr_tls_suites_select(const char *list, bool is_rsa, char *ret, size_t size)
{
    const char *at = list ? list : wr_tls_suites_get_all();
    size_t used = 0;

    _Static_assert(sizeof(SUITES_ALL) <= WR_TLS_SUITES_SIZE, "it has room");
    wr_assert(ret != NULL);
    for (;;) {
        const size_t len = strcspn(at, ":");
        if (suites_fit(at, is_rsa)) {
            if (used + (used > 0) + len >= size) {
                return -E2BIG;
            }
            if (used > 0) {
                ret[used++] = ':';
            }
            memcpy(ret + used, at, len);
            used += len;
            ret[used] = '\0';
        }
        if (at[len] == '\0') {
            return used > 0 ? 0 : WEIR_ETLSCIPHERS;
        }
        at += len + 1;
    }
}

/* ---- numbers ---- */

struct suites_row {
    const char *name;
    uint16_t number;
};

static const struct suites_row suites_new[] = {
    {"TLS_AES_128_GCM_SHA256", 0x1301},
    {"TLS_AES_256_GCM_SHA384", 0x1302},
    {"TLS_CHACHA20_POLY1305_SHA256", 0x1303},
};

static const struct suites_row suites_old[] = {
    {SUITES_OLD "ECDSA_WITH_AES_128_GCM_SHA256", 0xc02b},
    {SUITES_OLD "ECDSA_WITH_AES_256_GCM_SHA384", 0xc02c},
    {SUITES_OLD "ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca9},
    {SUITES_OLD "RSA_WITH_AES_128_GCM_SHA256", 0xc02f},
    {SUITES_OLD "RSA_WITH_AES_256_GCM_SHA384", 0xc030},
    {SUITES_OLD "RSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca8},
};

#define SUITES_OLD_COUNT (sizeof(suites_old) / sizeof(*suites_old))

uint32_t wr_tls_suites_mask(const char *list)
{
    const char *at = list ? list : wr_tls_suites_get_all();
    uint32_t mask = 0;

    wr_assert(at[0] != '\0');
    for (;;) {
        const size_t len = strcspn(at, ":");
        for (size_t i = 0; i < SUITES_OLD_COUNT; i++) {
            if (strlen(suites_old[i].name) == len &&
                memcmp(suites_old[i].name, at, len) == 0) {
                mask |= 1u << i;
            }
        }
        if (at[len] == '\0') {
            return mask;
        }
        at += len + 1;
    }
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
    for (size_t i = 0; i < sizeof(suites_new) / sizeof(*suites_new); i++) {
        if (suites_new[i].number == number) {
            return suites_new[i].name;
        }
    }
    for (size_t i = 0; i < SUITES_OLD_COUNT; i++) {
        if (suites_old[i].number == number) {
            return suites_old[i].name;
        }
    }
    return NULL;
}

/* ---- groups ---- */

static const struct suites_group *suites_find_group(const char *name,
                                                    size_t len)
{
    wr_assert(name != NULL);
    for (size_t i = 0; i < WR_TLS_GROUPS_MAX; i++) {
        if (strlen(suites_groups[i].name) == len &&
            memcmp(suites_groups[i].name, name, len) == 0) {
            return suites_has_group(&suites_groups[i]) ? &suites_groups[i]
                                                       : NULL;
        }
    }
    return NULL;
}

const char *wr_tls_suites_name_of_group(uint16_t number)
{
    for (size_t i = 0; i < WR_TLS_GROUPS_MAX; i++) {
        if (suites_groups[i].number == number) {
            return suites_groups[i].name;
        }
    }
    return NULL;
}

void wr_tls_suites_name_groups(char *ret, size_t size)
{
    size_t used = 0;

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
    const char *at = list;

    wr_assert(list && ret_unknown && ret_len);
    for (;;) {
        const size_t len = strcspn(at, ":");
        if (!suites_find_group(at, len)) {
            *ret_unknown = at;
            *ret_len = (int)wr_min_u64(len, 64);
            return WEIR_ETLSGROUPS;
        }
        if (at[len] == '\0') {
            return 0;
        }
        at += len + 1;
    }
}

/* A list may name a group again, which changes nothing. */
size_t wr_tls_suites_number_groups(const char *list,
                                   uint16_t ret[WR_TLS_GROUPS_MAX])
{
    char all[WR_TLS_GROUPS_SIZE];
    const char *at = list ? list : all;
    unsigned seen = 0;
    size_t count = 0;

    wr_tls_suites_name_groups(all, sizeof(all));
    for (;;) {
        const size_t len = strcspn(at, ":");
        const struct suites_group *group = suites_find_group(at, len);
        wr_assert(group != NULL);
        const unsigned bit = 1u << (group - suites_groups);
        if (!(seen & bit)) {
            ret[count++] = group->number;
        }
        seen |= bit;
        if (at[len] == '\0') {
            return count;
        }
        at += len + 1;
    }
}
