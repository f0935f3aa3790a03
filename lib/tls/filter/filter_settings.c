/*
 * The settings of TLS connections: what a program asks for, checked and copied
 * by the call that takes it, with a reference to the context. Defaults are put
 * in here, and a client's host becomes the name that is verified.
 */
#include "filter.h"
#include "lib/base/options.h"
#include "lib/tls/context/context.h"

#include <string.h>

#define HANDSHAKE_DEFAULT_NS UINT64_C(10000000000)

static int filter_settings_copy_name(struct wr_tls_settings *ret,
                                     const char *name)
{
    const size_t len = strlen(name);

    wr_assert(!ret->context);
    wr_require(len > 0 && len < sizeof(ret->server_hostname), -EINVAL);
    memcpy(ret->server_hostname, name, len + 1);
    return 0;
}

/* A client says whom it wants to reach, or that it does not care. */
static int filter_settings_read_name(struct wr_tls_settings *ret,
                                     const struct weir_tls_settings *settings,
                                     const char *host)
{
    const char *name = settings->server_hostname;

    wr_assert(!ret->context && !ret->server_hostname[0]);
    if (!name) {
        name = host;
    }
    if (name && *name) {
        return filter_settings_copy_name(ret, name);
    }
    wr_require(settings->no_hostname_check, -EINVAL);
    return 0;
}

int wr_tls_settings_read(struct wr_tls_settings *ret,
                         const struct weir_tls_settings *settings,
                         enum wr_tls_side side, const char *host)
{
    struct weir_tls_settings known;

    *ret = (struct wr_tls_settings){.context = NULL};
    if (!settings) {
        return 0;
    }
    int err = wr_options_read(&known, sizeof(known), settings);
    wr_require(err >= 0, err);
    wr_require(known.context, -EINVAL);
    const bool is_server = wr_tls_context_is_server(known.context);
    wr_require(side == WR_TLS_EITHER || is_server == (side == WR_TLS_SERVER),
               -EINVAL);
    ret->handshake_timeout_ns = known.handshake_timeout_ns
                                    ? known.handshake_timeout_ns
                                    : HANDSHAKE_DEFAULT_NS;
    ret->shutdown_timeout_ns = known.shutdown_timeout_ns;
    ret->no_hostname_check = known.no_hostname_check;
    ret->can_export = known.can_export;
    ret->ignore_unexpected_eof = known.ignore_unexpected_eof;
    if (!is_server) { /* a server ignores names (R42) */
        err = filter_settings_read_name(ret, &known, host);
        wr_require(err >= 0, err);
    }
    if (known.session && !is_server) {
        ret->session = weir_tls_session_ref(known.session);
    }
    ret->context = weir_tls_context_ref(known.context);
    return 0;
}

void wr_tls_settings_copy(struct wr_tls_settings *ret,
                          const struct wr_tls_settings *settings)
{
    wr_assert(settings->context);
    *ret = *settings;
    weir_tls_context_ref(ret->context);
    if (ret->session) {
        weir_tls_session_ref(ret->session);
    }
}

void wr_tls_settings_drop(struct wr_tls_settings *settings)
{
    wr_assert(settings != NULL);
    if (settings->context) {
        weir_tls_context_unref(settings->context);
        weir_tls_session_unref(settings->session);
        settings->context = NULL;
        settings->session = NULL;
    }
}
