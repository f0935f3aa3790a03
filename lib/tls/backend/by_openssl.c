/*
 * The backend of a libweir-tls with OpenSSL (-Dtls_engine=openssl).
 *
 * A program can switch between libweir-tls with wolfSSL and with OpenSSL
 * without being linked again.
 */
#include "backend.h"

#include "uring/check.h"

const struct wr_tls_backend *wr_tls_backend_get(void)
{
    wr_assert(wr_tls_openssl.account_size >= sizeof(struct wr_tls_account));
    return &wr_tls_openssl;
}
