/*
 * OpenSSL 3 behind the seam (lib/tls/backend/backend.h).
 *
 * libssl's memory is malloc()'s and no loop's account counts it: its allocator
 * can be set only for the whole process, before anything else of it is used.
 * It copies each record that it seals; none can be claimed.
 */
#include "openssl.h"

#include "uring/check.h"

static void table_account_init(struct wr_tls_account *account,
                               struct wr_blocks *blocks)
{
    wr_assert(blocks != NULL);
    *account = (struct wr_tls_account){
        .allocator = blocks->allocator,
        .blocks = blocks,
    };
}

static void table_account_fini(struct wr_tls_account *account)
{
    wr_assert(account->blocks);
    *account = (struct wr_tls_account){.blocks = NULL};
}

static void table_account_check(const struct wr_tls_account *account)
{
    wr_assert(account->allocator && account->blocks);
}

const struct wr_tls_backend wr_tls_openssl = {
    .name = "OpenSSL",
    .does = WR_TLS_DOES_SKIP_EARLY | WR_TLS_DOES_ALERT | WR_TLS_DOES_CHANGE |
            WR_TLS_DOES_SECRETS | WR_TLS_DOES_P521 | WR_TLS_DOES_FAST_AES,
    .account_size = sizeof(struct wr_tls_account),
    .start = wr_openssl_start,
    .start_text = wr_openssl_start_text,
    .version = wr_openssl_version,
    .is_fips = wr_openssl_is_fips,
    .has_hybrid = wr_openssl_has_hybrid,
    .account_init = table_account_init,
    .account_fini = table_account_fini,
    .account_check = table_account_check,
    .hash = wr_openssl_hash_data,
    .verify = wr_openssl_verify,
    .seal = wr_openssl_seal,
    .open_sealed = wr_openssl_open_sealed,
    .expand = wr_openssl_expand,
    .derive = wr_openssl_derive,
    .open_cbc = wr_openssl_open_cbc,
    .credential_new = wr_openssl_credential_new,
    .credential_use_chain = wr_openssl_credential_use_chain,
    .credential_use_key = wr_openssl_credential_use_key,
    .credential_use_signer = wr_openssl_credential_use_signer,
    .credential_check = wr_openssl_credential_check,
    .credential_free = wr_openssl_credential_free,
    .shared_new = wr_openssl_shared_new,
    .shared_free = wr_openssl_shared_free,
    .open = wr_openssl_open,
    .close = wr_openssl_close,
    .handshake = wr_openssl_handshake,
    .read = wr_openssl_read,
    .pending = wr_openssl_pending,
    .write = wr_openssl_write,
    .shutdown = wr_openssl_shutdown,
    .update_keys = wr_openssl_update_keys,
    .rest = wr_openssl_rest,
    .show = wr_openssl_show,
    .choose_protocol = wr_openssl_choose_protocol,
    .get_version = wr_openssl_get_version,
    .get_suite = wr_openssl_get_suite,
    .get_group = wr_openssl_get_group,
    .was_resumed = wr_openssl_was_resumed,
    .get_protocol = wr_openssl_get_protocol,
    .get_name = wr_openssl_get_name,
    .get_alerts = wr_openssl_get_alerts,
    .get_client_random = wr_openssl_get_client_random,
    .export_keys = wr_openssl_export_keys,
    .session_take = wr_openssl_session_take,
    .session_free = wr_openssl_session_free,
    .text_of = wr_openssl_text_of,
};
