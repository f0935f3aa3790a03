/*
 * The backend of a libweir-tls with wolfSSL (-Dtls_engine=wolfssl).
 *
 * A build has either this file or by_openssl.c. Only these two files name a
 * library, by its table, which is in a higher layer.
 */
#include "backend.h"

#include "uring/check.h"

const struct wr_tls_backend *wr_tls_backend_get(void)
{
    wr_assert(wr_tls_wolfssl.account_size >= sizeof(struct wr_tls_account));
    return &wr_tls_wolfssl;
}
