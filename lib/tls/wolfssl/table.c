/*
 * wolfSSL as a backend: the table of its functions.
 *
 * The contract of each is in lib/tls/backend/backend.h. No other folder has a
 * name of wolfSSL's, except those that still wait to be moved here.
 */
#include "primitive.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

const struct wr_tls_backend wr_tls_wolfssl = {
    .name = "wolfSSL",
    .version = wolfSSL_lib_version,
    .hash = wr_wolfssl_hash,
    .verify = wr_wolfssl_verify,
    .seal = wr_wolfssl_seal,
    .open_sealed = wr_wolfssl_open_sealed,
    .expand = wr_wolfssl_expand,
};
