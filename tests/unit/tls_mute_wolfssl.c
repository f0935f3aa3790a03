/*
 * wolfSSL's way to leave an extension out; see the header.
 *
 * It is a call on the client's own connection, before its first step. So it
 * needs no context of its own, and changes no other connection.
 */
#include "tests/unit/tls_mute.h"

#include "tests/unit.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

void tls_mute_extended_secret(struct wr_tls_conn *client)
{
    cr_assert_eq(wolfSSL_DisableExtendedMasterSecret(client->ssl),
                 WOLFSSL_SUCCESS);
}
