/*
 * TLS filters: making a filter together with a socket transport of a
 * descriptor; and the table of functions that make filters.
 *
 * The filter is the socket transport's protocol from the start. The engine is
 * made later on the loop's stack, from a copy of the settings. Makers find the
 * table in the context, so contexts are made here.
 */
#include "filter_impl.h"

#include "lib/tls/context/context.h"
#include "lib/transport/socket.h"

/* The factory of the transport below: its protocol is the filter. */
static int filter_open_bind(void *arg, weir_transport *t,
                            struct weir_protocol_binding *ret)
{
    wr_assert(t && arg);
    *ret = (struct weir_protocol_binding){.protocol = &wr_filter_protocol,
                                          .user = arg};
    return 0;
}

static int filter_open_socket(weir_loop *loop, int fd,
                              const struct wr_sock_options *options,
                              const struct wr_secure_settings *settings,
                              const struct wr_secure_opener *opener,
                              weir_transport **ret)
{
    weir_transport *below = NULL;

    wr_assert(wr_secure_settings_are_set(settings));
    struct wr_filter *f =
        wr_filter_make(loop, options->connection, settings, opener);
    if (!f) {
        wr_sock_refuse(loop, fd, options);
        return -ENOMEM;
    }
    const struct weir_factory bind = {.create = filter_open_bind, .arg = f};
    const int err = wr_sock_open(loop, fd, &bind, options, &below);
    if (err < 0) {
        wr_connection_discard(&f->c);
        return err;
    }
    wr_assert(below && below->ops);
    wr_filter_begin(f, below);
    f->c.t.is_busy = true; /* until its handshake is done */
    *ret = &f->c.t;
    return 0;
}

static const struct wr_secure_ops filter_open_ops = {
    .read = wr_filter_settings_read,
    .drop = wr_filter_settings_drop,
    .open = filter_open_socket,
    .start = wr_filter_start,
};

int weir_tls_context_new(const struct weir_tls_options *options,
                         weir_tls_context **ret, char *error_text,
                         size_t error_size)
{
    wr_require(ret, -EINVAL);
    const int err = wr_tls_context_new(options, &filter_open_ops, ret,
                                       error_text, error_size);
    wr_assert(err < 0 ||
              ((const struct wr_secure_context *)(const void *)*ret)->ops ==
                  &filter_open_ops);
    return err;
}
