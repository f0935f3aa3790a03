/*
 * The backend of a libweir-tls by OpenSSL (-Dtls_engine=openssl).
 *
 * See by_wolfssl.c, in whose place it stands. A program that changes its
 * library from one to the other need not be linked anew.
 */
#include "backend.h"

#include "uring/check.h"

const struct wr_tls_backend *wr_tls_backend_get(void)
{
    wr_assert(wr_tls_openssl.account_size >= sizeof(struct wr_tls_account));
    return &wr_tls_openssl;
}
