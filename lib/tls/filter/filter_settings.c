/*
 * Checks and copies the program's settings of a TLS connection.
 *
 * Sets defaults, makes a client's host the verified name, and takes a reference
 * to the context.
 */
#include "filter_impl.h"
#include "lib/tls/context/context.h"

#include <string.h>

#define HANDSHAKE_DEFAULT_NS UINT64_C(10000000000)

/* The name defaults to @host. A client that has neither must set
 * no_hostname_check. */
static int filter_settings_read_name(struct wr_secure_settings *ret,
                                     const struct weir_tls_settings *settings,
                                     const char *host)
{
    const char *name = settings->server_hostname;

    wr_assert(!ret->context && !ret->server_hostname[0]);
    if (!name) {
        name = host;
    }
    if (name && *name) {
        const size_t len = strlen(name);
        wr_require(len < sizeof(ret->server_hostname), -EINVAL);
        memcpy(ret->server_hostname, name, len + 1);
        return 0;
    }
    wr_require(settings->no_hostname_check, -EINVAL);
    return 0;
}

int wr_filter_settings_read(struct wr_secure_settings *ret,
                            const struct weir_tls_settings *settings,
                            enum wr_secure_side side, const char *host)
{
    const bool is_server = wr_tls_context_is_server(settings->context);

    wr_assert(!ret->context);
    wr_require(side == WR_SECURE_EITHER ||
                   is_server == (side == WR_SECURE_SERVER),
               -EINVAL);
    ret->handshake_timeout_ns = settings->handshake_timeout_ns
                                    ? settings->handshake_timeout_ns
                                    : HANDSHAKE_DEFAULT_NS;
    ret->shutdown_timeout_ns = settings->shutdown_timeout_ns;
    ret->no_hostname_check = settings->no_hostname_check;
    ret->can_export = settings->can_export;
    ret->ignore_unexpected_eof = settings->ignore_unexpected_eof;
    if (!is_server) { /* a server ignores the name */
        const int err = filter_settings_read_name(ret, settings, host);
        wr_require(err >= 0, err);
    }
    if (settings->session && !is_server) {
        ret->session = weir_tls_session_ref(settings->session);
    }
    ret->context = weir_tls_context_ref(settings->context);
    return 0;
}

void wr_filter_settings_copy(struct wr_secure_settings *ret,
                             const struct wr_secure_settings *settings)
{
    wr_assert(settings->context);
    *ret = *settings;
    weir_tls_context_ref(ret->context);
    if (ret->session) {
        weir_tls_session_ref(ret->session);
    }
}

void wr_filter_settings_drop(struct wr_secure_settings *settings)
{
    wr_assert(settings->context);
    weir_tls_context_unref(settings->context);
    weir_tls_session_unref(settings->session);
    settings->context = NULL;
    settings->session = NULL;
}
