/*
 * The backend of programs that link weir's own part of TLS and no library.
 *
 * This file stands for lib/tls/backend/by_wolfssl.c and by_openssl.c: a program
 * that links it first takes neither of them, and so nothing of a library.
 */
#include "tests/fake/tls_null.h"

const struct wr_tls_backend *wr_tls_backend_get(void)
{
    return &wr_tls_null;
}
