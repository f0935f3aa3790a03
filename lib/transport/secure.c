/*
 * Calls TLS through the table of functions at the start of a context
 * (secure.h). This file reads only the context from the program's settings; the
 * table's functions read the other settings.
 */
#include "secure.h"

#include "lib/base/options.h"

static const struct wr_secure_ops *
secure_ops_of(const weir_tls_context *context)
{
    const struct wr_secure_context *known =
        (const struct wr_secure_context *)(const void *)context;

    wr_assert(known->ops);
    return known->ops;
}

static int secure_read(struct weir_tls_settings *ret,
                       const struct weir_tls_settings *settings)
{
    const int err = wr_options_read(ret, sizeof(*ret), settings);

    wr_require(err >= 0, err);
    wr_require(ret->context, -EINVAL);
    return 0;
}

int wr_secure_settings_read(struct wr_secure_settings *ret,
                            const struct weir_tls_settings *settings,
                            enum wr_secure_side side, const char *host)
{
    struct weir_tls_settings known;

    *ret = (struct wr_secure_settings){.context = NULL};
    if (!settings) {
        return 0;
    }
    int err = secure_read(&known, settings);
    wr_require(err >= 0, err);
    err = secure_ops_of(known.context)->read(ret, &known, side, host);
    wr_assert((err == 0) == wr_secure_settings_are_set(ret));
    return err;
}

void wr_secure_settings_drop(struct wr_secure_settings *settings)
{
    if (wr_secure_settings_are_set(settings)) {
        secure_ops_of(settings->context)->drop(settings);
        wr_assert(!wr_secure_settings_are_set(settings));
    }
}

int wr_secure_open(weir_loop *loop, int fd,
                   const struct wr_sock_options *options,
                   const struct wr_secure_settings *settings,
                   const struct wr_secure_opener *opener, weir_transport **ret)
{
    wr_assert(wr_secure_settings_are_set(settings));
    return secure_ops_of(settings->context)
        ->open(loop, fd, options, settings, opener, ret);
}

int weir_transport_start_tls(weir_transport *t,
                             const struct weir_tls_settings *tls,
                             const struct weir_start_tls_options *options,
                             weir_start_tls_done_fn *done, void *done_arg,
                             weir_transport **ret)
{
    const struct wr_secure_opener opener = {.opened = done, .arg = done_arg};
    struct weir_tls_settings known;

    int err = wr_transport_enter(t);
    wr_require(err >= 0, err);
    wr_require(tls, -EINVAL);
    err = secure_read(&known, tls);
    wr_require(err >= 0, err);
    return secure_ops_of(known.context)
        ->start(t, &known, options, &opener, ret);
}
