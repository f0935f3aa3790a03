/*
 * The cipher suites and the groups that weir lets a connection use, and no
 * others: authenticated encryption under ephemeral keys.
 *
 * wolfSSL may have been built with more, among them suites that do not encrypt
 * at all. So its own lists are never asked.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_SUITES_H
#define WEIR_LIB_TLS_CONTEXT_SUITES_H

#include <weir/tls.h>

struct WOLFSSL_CTX;

/* IANA's names of all suites, separated by colons: the default list. */
const char *wr_tls_suites_get_all(void);

/* 0, or WEIR_ETLSCIPHERS where @list, names separated by colons, has one that
 * is none of these; the first such name is at *ret_unknown, *ret_len bytes. */
WEIR_MUST_USE int wr_tls_suites_check(const char *list,
                                      const char **ret_unknown, int *ret_len);

/* Whether a suite of a list that was checked is for @version. */
bool wr_tls_suites_has(const char *list, enum weir_tls_version version);

/* Sets a list that was checked, or the default one for NULL. 0, or
 * WEIR_ETLSCIPHERS where wolfSSL has none of them. */
WEIR_MUST_USE int wr_tls_suites_use(struct WOLFSSL_CTX *ctx, const char *list);

/* Writes to @ret, of @size bytes, the names of @list (NULL: the default one)
 * that a key of the one kind can be used with. 0; WEIR_ETLSCIPHERS where there
 * are none; -E2BIG. */
WEIR_MUST_USE int wr_tls_suites_select(const char *list, bool is_rsa, char *ret,
                                       size_t size);

/* Bytes of the default list, and a NUL. */
#define WR_TLS_SUITES_SIZE 384u

/* Sets the groups of the key exchange: 0 or WEIR_ETLSENGINE. */
WEIR_MUST_USE int wr_tls_suites_use_groups(struct WOLFSSL_CTX *ctx);

/* Sets the least sizes of keys, own ones and peers': 0 or WEIR_ETLSENGINE. */
WEIR_MUST_USE int wr_tls_suites_set_strength(struct WOLFSSL_CTX *ctx);

#endif
