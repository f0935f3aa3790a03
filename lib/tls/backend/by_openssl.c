/*
 * The backend of a libweir-tls with OpenSSL (-Dtls_engine=openssl).
 *
 * Replaces by_wolfssl.c. A program that switches between libweir-tls with
 * wolfSSL and libweir-tls with OpenSSL need not be linked again.
 */
#include "backend.h"

#include "uring/check.h"

const struct wr_tls_backend *wr_tls_backend_get(void)
{
    wr_assert(wr_tls_openssl.account_size >= sizeof(struct wr_tls_account));
    return &wr_tls_openssl;
}
