/*
 * Direct access to OpenSSL; see tls_inner.h.
 *
 * Each function calls the connection's own object, and changes no other
 * connection. Names are the same for every library.
 */
#include "tests/unit/tls_inner.h"

#include "tests/unit.h"

#include <openssl/ssl.h>

void tls_inner_drop_extended_secret(struct wr_tls_conn *client)
{
    cr_assert_not_null(client->ssl);
    SSL_set_options(client->ssl, SSL_OP_NO_EXTENDED_MASTER_SECRET);
}

bool tls_inner_drop_new_secret(struct wr_tls_conn *client)
{
    cr_assert_not_null(client->ssl);
    return false;
}

const void *tls_inner_session_of(struct wr_tls_conn *client)
{
    cr_assert_not_null(client->ssl);
    return SSL_get0_session(client->ssl);
}
