/*
 * Facts about the TLS library that libweir-tls uses.
 *
 * Programs, operators and package scanners use them to determine whether a fix
 * is installed. The version is that of the running library, queried from the
 * library itself. The source is known if tools/deps built the library from a
 * source package: the build passes the package's version with the
 * distribution's revision, which identifies fixes that upstream's version does
 * not show.
 */
#include "lib/base/options.h"
#include "lib/tls/backend/backend.h"

#include "uring/check.h"

#include <weir/tls.h>

#include <stddef.h>

int weir_tls_get_library(struct weir_tls_library *ret)
{
    const struct wr_tls_backend *backend = wr_tls_backend_get();
    const int err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    const bool asks = ret->size > offsetof(struct weir_tls_library, fips);
    const struct weir_tls_library known = {
        .size = ret->size,
        .name = backend->name,
        .version = backend->version(),
        .source = backend->source,
        .fips = asks && backend->is_fips && backend->start() == 0 &&
                backend->is_fips(),
    };
    wr_assert(known.version);
    wr_answer_write(ret, &known, sizeof(known));
    return 0;
}
