/*
 * The side of wolfSSL that no other library has.
 *
 * These are the codes of weir that its errors become, its call for a ticket,
 * which may have no byte, and the account of its memory.
 */
#include "lib/tls/wolfssl/wolfssl.h"
#include "tests/death.h"
#include "tests/tls/rig.h"

#include <errno.h>
#include <weir/error.h>

UNIT(tls_wolfssl, errors_of_wolfssl_become_ours)
{
    expect_eq(wr_wolfssl_code_of(MEMORY_E), -ENOMEM);
    expect_eq(wr_wolfssl_code_of(ASN_AFTER_DATE_E), WEIR_ETLSEXPIRED);
    expect_eq(wr_wolfssl_code_of(ASN_BEFORE_DATE_E), WEIR_ETLSNOTYET);
    expect_eq(wr_wolfssl_code_of(ASN_NO_SIGNER_E), WEIR_ETLSISSUER);
    expect_eq(wr_wolfssl_code_of(ASN_SELF_SIGNED_E), WEIR_ETLSSELFSIGNED);
    expect_eq(wr_wolfssl_code_of(DOMAIN_NAME_MISMATCH), WEIR_ETLSHOSTNAME);
    expect_eq(wr_wolfssl_code_of(EXTKEYUSE_AUTH_E), WEIR_ETLSPURPOSE);
    expect_eq(wr_wolfssl_code_of(ASN_NAME_INVALID_E), WEIR_ETLSCONSTRAINT);
    expect_eq(wr_wolfssl_code_of(ASN_PATHLEN_INV_E), WEIR_ETLSPATHLEN);
    expect_eq(wr_wolfssl_code_of(ASN_CRIT_EXT_E), WEIR_ETLSCRITICAL);
    expect_eq(wr_wolfssl_code_of(RSA_KEY_SIZE_E), WEIR_ETLSWEAK);
    expect_eq(wr_wolfssl_code_of(BAD_HELLO), WEIR_ETLSPROTOCOL);
    expect_eq(wr_wolfssl_code_of(-9999), WEIR_ETLSPROTOCOL);
}

UNIT(tls_wolfssl, a_ticket_without_a_byte_is_not_opened)
{
    static struct tls_pair pair;
    uint8_t name[WOLFSSL_TICKET_NAME_SZ] = {0};
    uint8_t iv[WOLFSSL_TICKET_IV_SZ] = {0};
    uint8_t mac[WOLFSSL_TICKET_MAC_SZ] = {0};
    uint8_t data[1] = {0};
    int size = -1;
    tls_pair_join(&pair, NULL, NULL, NULL);

    expect_eq(wr_wolfssl_on_ticket(pair.server.engine.conn.ssl, name, iv, mac,
                                   0, data, 0, &size, NULL),
              WOLFSSL_TICKET_RET_REJECT);
    expect_eq(size, 0);
    tls_pair_disconnect(&pair);
}

UNIT_ABORTS(tls_wolfssl, an_account_does_not_end_before_what_it_holds,
            "memory->count == 0")
{
    static struct tls_pair pair;
    tls_pair_join(&pair, NULL, NULL, NULL);

    wr_tls_backend_get()->account_fini(pair.account.known);
}
