/*
 * TLS filters: creates a filter with a socket transport from a descriptor, or
 * on a transport of the program (start_tls), and has the table of these
 * functions.
 *
 * The engine is created later on the loop's stack, from a copy of the settings.
 * Connect and server code finds the table in the context, so this file creates
 * contexts.
 */
#include "filter_impl.h"

#include "lib/base/options.h"
#include "lib/tls/context/context.h"
#include "lib/transport/socket.h"

/* Factory of the transport below, whose protocol is the filter from the
 * start. */
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
    f->c.t.is_busy = true; /* until the handshake is done */
    *ret = &f->c.t;
    return 0;
}

/* ---- on a transport of the program (start_tls) ----
 *
 * The protocol moves from the transport below to the filter. It gets
 * connection_lost even if the handshake fails. Bytes that the program has not
 * used become the engine's input, before the bytes that the transport below
 * still has, so that no byte is delivered as plaintext. */

static int filter_open_keep(struct wr_filter *f, const struct weir_buf *bufs,
                            size_t count)
{
    wr_assert(!f->input_head);
    for (size_t i = 0; i < count; i++) {
        if (bufs[i].len == 0) {
            continue;
        }
        weir_lease *lease = wr_lease_keep_any(&f->c.t.loop->pool,
                                              &f->c.t.demand.account, &bufs[i]);
        if (!lease) {
            wr_filter_drop_input(f);
            return -ENOMEM;
        }
        wr_filter_keep_input(f, lease);
    }
    return 0;
}

static int filter_open_take_protocol(struct wr_filter *f, weir_transport *below)
{
    const struct weir_protocol_binding binding = below->binding;
    const struct weir_protocol_binding own = {.protocol = &wr_filter_protocol,
                                              .user = f};
    const int err = below->ops->set_protocol(below, &own, NULL, 0);

    wr_require(err >= 0, err);
    wr_assert(wr_protocol_fits(&f->c.t, &binding));
    f->c.t.binding = binding;
    wr_protocol_bound(&f->c.t);
    return 0;
}

static int filter_open_make(weir_transport *t,
                            const struct wr_secure_settings *settings,
                            const struct weir_start_tls_options *options,
                            const struct wr_secure_opener *opener,
                            const struct weir_timeouts *timeouts,
                            struct wr_filter **ret)
{
    const struct weir_connection_options connection = {
        .read_limit_bytes = t->demand.account.limit_bytes,
        .write_hard_limit_bytes = t->hard_limit_bytes,
        .timeouts = *timeouts,
    };
    struct wr_filter *f =
        wr_filter_make(t->loop, &connection, settings, opener);

    wr_require(f, -ENOMEM);
    int err = filter_open_keep(f, options->initial, options->initial_count);
    if (err == 0) {
        err = filter_open_take_protocol(f, t);
    }
    if (err < 0) {
        wr_filter_drop_input(f);
        wr_connection_discard(&f->c);
        return err;
    }
    *ret = f;
    return 0;
}

/* See weir_transport_start_tls(). */
static int filter_open_on(weir_transport *t,
                          const struct weir_tls_settings *tls,
                          const struct weir_start_tls_options *options,
                          const struct wr_secure_opener *opener,
                          weir_transport **ret)
{
    struct weir_start_tls_options known;
    struct wr_secure_settings settings = {.context = NULL};
    struct wr_handover handover;
    struct wr_filter *f;

    int err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    wr_require(opener->opened, -EINVAL);
    wr_require(!wr_loop_is_closing(t->loop), -ESHUTDOWN);
    wr_require(t->ops->get_handover && !t->is_part, -EOPNOTSUPP);
    wr_assert(t->ops->set_protocol && wr_transport_is_connection(t));
    err = t->ops->write(t, NULL, 0); /* an error if it is closing or broken */
    wr_require(err >= 0, err);
    t->ops->get_handover(t, &handover);
    wr_require(!handover.has_ended, WEIR_EPEERCLOSED);
    wr_require(!handover.is_new, -EBUSY);
    err = wr_filter_settings_read(&settings, tls, WR_SECURE_EITHER, NULL);
    wr_require(err >= 0, err);
    err =
        filter_open_make(t, &settings, &known, opener, &handover.timeouts, &f);
    wr_filter_settings_drop(&settings);
    wr_require(err >= 0, err);
    f->c.t.is_made = true; /* connection_made was called for @t */
    wr_filter_begin(f, t);
    if (handover.is_paused) {
        /* The handshake needs the bytes of @t, so the filter is paused
         * instead. */
        wr_delivery_pause(&f->c.delivery);
        t->ops->resume_reading(t);
    }
    wr_connection_debug_check(&f->c);
    if (ret) {
        *ret = &f->c.t;
    }
    return 0;
}

static const struct wr_secure_ops filter_open_ops = {
    .read = wr_filter_settings_read,
    .drop = wr_filter_settings_drop,
    .open = filter_open_socket,
    .start = filter_open_on,
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
