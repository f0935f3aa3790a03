/*
 * weir-load without libweir-tls. The TLS options are parsed and checked,
 * but targets that use TLS are refused, so there are no contexts or
 * sessions.
 */
#include "target.h"

#include "tools/common/console.h"

#include <errno.h>

int tls_make_context(const struct tls_flags *flags, bool is_server,
                     const struct target *targets, size_t count,
                     weir_tls_context **ret)
{
    *ret = NULL;
    if (!tls_is_meant(targets, count)) {
        return 0;
    }
    say("TLS: this weir-load was built without libweir-tls");
    return -EOPNOTSUPP;
}

void tls_drop_context(weir_tls_context *context)
{
}

weir_tls_session *tls_take_session(weir_transport *t)
{
    return NULL;
}

void tls_drop_session(weir_tls_session *session)
{
}
