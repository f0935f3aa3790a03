/*
 * The backend of a libweir-tls by wolfSSL (-Dtls_engine=wolfssl).
 *
 * This file and by_openssl.c, of which a build has one, are the places that
 * choose a library. Calls from here lead up to the folder of the library; all
 * others go by the table.
 */
#include "backend.h"

#include "uring/check.h"

const struct wr_tls_backend *wr_tls_backend_get(void)
{
    wr_assert(wr_tls_wolfssl.account_size >= sizeof(struct wr_tls_account));
    return &wr_tls_wolfssl;
}
