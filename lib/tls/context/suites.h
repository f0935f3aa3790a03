/*
 * The cipher suites and the groups that weir lets a connection use, and no
 * others: authenticated encryption under ephemeral keys.
 *
 * wolfSSL may have been built with more, among them suites that do not encrypt
 * at all. So its own lists are never asked.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_SUITES_H
#define WEIR_LIB_TLS_CONTEXT_SUITES_H

#include "weir/base.h"

struct WOLFSSL_CTX;

/* Sets @list, names of suites separated by colons, or the default one for NULL.
 * 0, or WEIR_ETLSCIPHERS with the first name that weir does not know, of
 * *ret_len bytes, at *ret_unknown; NULL there: wolfSSL has none of the list. */
WEIR_MUST_USE int wr_tls_suites_use(struct WOLFSSL_CTX *ctx, const char *list,
                                    const char **ret_unknown, int *ret_len);

/* Writes to @ret, of @size bytes, the names of @list (NULL: the default one)
 * that a key of the one kind can be used with. 0; WEIR_ETLSCIPHERS where there
 * are none; -E2BIG. */
WEIR_MUST_USE int wr_tls_suites_select(const char *list, bool is_rsa, char *ret,
                                       size_t size);

/* Bytes of the default list, and a NUL. */
#define WR_TLS_SUITES_SIZE 320u

/* Sets the groups of the key exchange: 0 or WEIR_ETLSENGINE. */
WEIR_MUST_USE int wr_tls_suites_use_groups(struct WOLFSSL_CTX *ctx);

/* Sets the least sizes of keys, own ones and peers': 0 or WEIR_ETLSENGINE. */
WEIR_MUST_USE int wr_tls_suites_set_strength(struct WOLFSSL_CTX *ctx);

#endif
