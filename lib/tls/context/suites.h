/*
 * The cipher suites and groups that weir permits: authenticated encryption with
 * ephemeral keys.
 *
 * A library may be built with more suites, even with suites that do not
 * encrypt, so weir never uses its default list.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_SUITES_H
#define WEIR_LIB_TLS_CONTEXT_SUITES_H

#include "lib/x509/strength.h"

#include <weir/tls.h>

#include <stdint.h>

/* Returns the default list: IANA's names, separated by colons. */
const char *wr_tls_suites_get_all(void);

/* Checks @list, names separated by colons. Returns 0, or WEIR_ETLSCIPHERS with
 * the first unknown name at *ret_unknown and its size, at most 64, in
 * *ret_len. */
WEIR_MUST_USE int wr_tls_suites_check(const char *list,
                                      const char **ret_unknown, int *ret_len);

bool wr_tls_suites_has(const char *list, enum weir_tls_version version);

/* Writes the suites of @list (NULL means the default) for this kind of key to
 * @ret, of @size bytes. Returns 0, WEIR_ETLSCIPHERS if no suite is left, or
 * -E2BIG. */
WEIR_MUST_USE int wr_tls_suites_select(const char *list, bool is_rsa, char *ret,
                                       size_t size);

/* Return a bit for each TLS 1.2 suite in a checked list (NULL means the
 * default), or in @size bytes of IANA's numbers. */
uint32_t wr_tls_suites_mask(const char *list);
uint32_t wr_tls_suites_mask_of(const uint8_t *numbers, size_t size);
bool wr_tls_suites_has_kind(uint32_t mask, bool is_rsa);

#define WR_TLS_SUITES_SIZE 384u

const char *wr_tls_suites_name_of(uint16_t number);

#define WR_TLS_GROUPS_MAX 5u

/* X25519MLKEM768, which combines X25519 and ML-KEM (FIPS 203). It requires TLS
 * 1.3, and some libraries do not have it. */
enum { WR_TLS_GROUP_HYBRID = 4588 };

#define WR_TLS_GROUPS_SIZE 48u

/* Writes the names of all groups that the library supports, separated by
 * colons. */
void wr_tls_suites_name_groups(char *ret, size_t size);

/* Like wr_tls_suites_check(), for groups: a group that the library does not
 * support is unknown, too. Returns 0 or WEIR_ETLSGROUPS. */
WEIR_MUST_USE int wr_tls_suites_check_groups(const char *list,
                                             const char **ret_unknown,
                                             int *ret_len);

const char *wr_tls_suites_name_of_group(uint16_t number);

/* Writes IANA's numbers of a checked list to @ret, each once, and returns their
 * count. NULL means all groups that the library supports. */
size_t wr_tls_suites_number_groups(const char *list,
                                   uint16_t ret[WR_TLS_GROUPS_MAX]);

/* ---- the keys that a client can use ----
 *
 * A client's signature schemes, and with TLS 1.2 also its suites and curves,
 * show which keys it can use. A server with several certificates for a name
 * presents one that the client can use. The client's schemes for signatures on
 * certificates (signature_algorithms_cert) are ignored. Pure functions. */

enum {
    WR_TLS_OFFER_RSA = 1 << 0,
    WR_TLS_OFFER_P256 = 1 << 1,
    WR_TLS_OFFER_P384 = 1 << 2,
    WR_TLS_OFFER_P521 = 1 << 3,
    WR_TLS_OFFER_EDWARDS = 1 << 4,
};

/* Parts of a hello; data is NULL if the hello has no such part. */
struct wr_tls_offer {
    struct wr_bytes suites; /* two-byte numbers */
    /* Bodies of extensions, which may be malformed. */
    struct wr_bytes schemes;
    struct wr_bytes groups;
    struct wr_bytes versions;
};

uint8_t wr_tls_offer_kind_of(const struct wr_x509_key_strength *key);

/* Returns the kinds that the client cannot use. @has_newest is true if the
 * server supports TLS 1.3, and @suites is the wr_tls_suites_mask() of its list.
 * Malformed schemes or groups exclude nothing, because wolfSSL refuses them. */
uint8_t wr_tls_offer_lacks(const struct wr_tls_offer *offer, bool has_newest,
                           uint32_t suites);

#endif
