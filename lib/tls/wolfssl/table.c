/*
 * wolfSSL as a backend: the table of its functions.
 *
 * The contract of each is in lib/tls/backend/backend.h. No file of another
 * folder has a name of wolfSSL's.
 */
#include "primitive.h"
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

/* AES with tables is slow and leaks its key by timing. */
#if defined(WOLFSSL_AESNI) || defined(WOLFSSL_ARMASM)
#define TABLE_FAST_AES WR_TLS_DOES_FAST_AES
#else
#define TABLE_FAST_AES 0
#endif

/* The version of the source package, which the build knows of .deps/ alone. */
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
    .hash = wr_wolfssl_hash,
    .verify = wr_wolfssl_verify,
    .seal = wr_wolfssl_seal,
    .open_sealed = wr_wolfssl_open_sealed,
    .expand = wr_wolfssl_expand,
    .derive = wr_wolfssl_derive,
    .open_cbc = wr_wolfssl_open_cbc,
    .credential_new = wr_wolfssl_credential_new,
    .credential_use_chain = wr_wolfssl_credential_use_chain,
    .credential_use_key = wr_wolfssl_credential_use_key,
    .credential_use_signer = wr_wolfssl_credential_use_signer,
    .credential_check = wr_wolfssl_credential_check,
    .credential_free = wr_wolfssl_credential_free,
    .shared_new = wr_wolfssl_shared_new,
    .shared_free = wr_wolfssl_shared_free,
    .open = wr_wolfssl_open,
    .close = wr_wolfssl_close,
    .handshake = wr_wolfssl_handshake,
    .read = wr_wolfssl_read,
    .pending = wr_wolfssl_pending,
    .write = wr_wolfssl_write,
    .shutdown = wr_wolfssl_shutdown,
    .update_keys = wr_wolfssl_update_keys,
    .show = wr_wolfssl_show,
    .choose_protocol = wr_wolfssl_choose_protocol,
    .hear_secrets = wr_wolfssl_hear_secrets,
    .get_version = wr_wolfssl_get_version,
    .get_suite = wr_wolfssl_get_suite,
    .get_group = wr_wolfssl_get_group,
    .was_resumed = wr_wolfssl_was_resumed,
    .get_protocol = wr_wolfssl_get_protocol,
    .get_name = wr_wolfssl_get_name,
    .get_alerts = wr_wolfssl_get_alerts,
    .get_client_random = wr_wolfssl_get_client_random,
    .export_keys = wr_wolfssl_export_keys,
    .session_take = wr_wolfssl_session_take,
    .session_free = wr_wolfssl_session_free,
    .text_of = wr_wolfssl_text_of,
};
