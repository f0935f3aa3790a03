/*
 * The backend that this build of libweir-tls has.
 *
 * This is the one place that chooses a library. Calls from here lead up to the
 * folder of the library; all others go by the table.
 */
#include "backend.h"

const struct wr_tls_backend *wr_tls_backend_get(void)
{
    return &wr_tls_wolfssl;
}
