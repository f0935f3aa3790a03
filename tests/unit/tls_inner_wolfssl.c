/*
 * Direct access to wolfSSL; see tls_inner.h.
 *
 * Each function calls the connection's own object, and changes no other
 * connection. Names are the same for every library.
 */
#include "tests/unit/tls_inner.h"

#include "tests/unit.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

void tls_inner_drop_extended_secret(struct wr_tls_conn *client)
{
    cr_assert_eq(wolfSSL_DisableExtendedMasterSecret(client->ssl),
                 WOLFSSL_SUCCESS);
}

bool tls_inner_drop_new_secret(struct wr_tls_conn *client)
{
    return wolfSSL_no_dhe_psk(client->ssl) == 0;
}

const void *tls_inner_session_of(struct wr_tls_conn *client)
{
    WOLFSSL_SESSION *session = wolfSSL_get1_session(client->ssl);

    wolfSSL_SESSION_free(session); /* the connection has a reference, too */
    return session;
}
