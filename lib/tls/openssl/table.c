/*
 * The table of OpenSSL 3's backend functions (lib/tls/backend/backend.h).
 *
 * libssl uses malloc(), and no loop's account counts its memory: an allocator
 * can be set only for the whole process, before libssl is used. libssl copies
 * each record that it seals, so no record can be claimed.
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
    WR_TLS_BACKEND_ENTRIES(WR_TLS_BACKEND_NAME, openssl).rest = wr_openssl_rest,
};
