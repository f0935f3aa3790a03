/*
 * The table of wolfSSL's backend functions.
 *
 * lib/tls/backend/backend.h has the contract of each function. No file of
 * another folder uses a name of wolfSSL's.
 */
#include "wolfssl.h"

#ifdef HAVE_SECRET_CALLBACK
#define TABLE_SECRETS WR_TLS_DOES_SECRETS
#else
#define TABLE_SECRETS 0
#endif

#if defined(HAVE_ECC521) || defined(HAVE_ALL_CURVES)
#define TABLE_P521 WR_TLS_DOES_P521
#else
#define TABLE_P521 0
#endif

/* Without AES instructions wolfSSL uses tables, which are slow and leak the key
 * by timing. */
#if defined(WOLFSSL_AESNI) || defined(WOLFSSL_ARMASM)
#define TABLE_FAST_AES WR_TLS_DOES_FAST_AES
#else
#define TABLE_FAST_AES 0
#endif

/* Known only if the library was built in .deps/. */
#ifndef WR_TLS_SOURCE
#define WR_TLS_SOURCE NULL
#endif

const struct wr_tls_backend wr_tls_wolfssl = {
    .name = "wolfSSL",
    .does = TABLE_SECRETS | TABLE_P521 | TABLE_FAST_AES,
    .account_size = sizeof(struct wr_tls_memory),
    .start = wr_tls_memory_start_library,
    .version = wolfSSL_lib_version,
    .source = WR_TLS_SOURCE,
    .account_init = wr_tls_memory_init,
    .account_fini = wr_tls_memory_fini,
    .account_check = wr_tls_memory_check_invariants,
    .claim = wr_tls_memory_claim,
    .take_claimed = wr_tls_memory_take_claimed,
    WR_TLS_BACKEND_ENTRIES(WR_TLS_BACKEND_NAME, wolfssl).hear_secrets =
        wr_wolfssl_hear_secrets,
};
