/*
 * TLS filters: making a filter on a transport of the program (start_tls).
 *
 * The protocol moves from the transport below to the filter: from now on it is
 * called with the filter, and its connection_lost follows even if the handshake
 * fails. Bytes that the program has not used become the engine's input, before
 * the bytes that the transport below still has: no byte can be delivered as
 * plaintext any more.
 */
#include "filter_impl.h"
#include "lib/base/options.h"

/* Returns 0 if a filter can be made on @t now, else the error. */
static int filter_start_check(weir_transport *t, struct wr_handover *ret)
{
    wr_require(t->ops->get_handover && !t->is_part, -EOPNOTSUPP);
    wr_assert(t->ops->set_protocol && wr_transport_is_connection(t));
    const int err =
        t->ops->write(t, NULL, 0); /* checks its state, writes nothing */
    wr_require(err >= 0, err);
    t->ops->get_handover(t, ret);
    wr_require(!ret->has_ended, WEIR_EPEERCLOSED);
    wr_require(!ret->is_new, -EBUSY);
    return 0;
}

/* Makes a new lease for bytes of the program; NULL without memory. */
static weir_lease *filter_start_lease(struct wr_filter *f,
                                      const struct weir_buf *buf)
{
    wr_assert(buf->data && buf->len > 0);
    return buf->lease
               ? wr_lease_keep_apart(buf)
               : wr_lease_copy(&f->c.t.loop->pool, &f->c.t.demand.account,
                               buf->data, buf->len);
}

static int filter_start_keep(struct wr_filter *f, const struct weir_buf *bufs,
                             size_t count)
{
    wr_assert(!f->input_head);
    for (size_t i = 0; i < count; i++) {
        if (bufs[i].len == 0) {
            continue; /* no bytes */
        }
        weir_lease *lease = filter_start_lease(f, &bufs[i]);
        if (!lease) {
            wr_filter_drop_input(f);
            return -ENOMEM;
        }
        wr_filter_keep_input(f, lease);
    }
    return 0;
}

/* Puts @f between @below and its protocol; -ESHUTDOWN if @below is closing. */
static int filter_start_bind(struct wr_filter *f, weir_transport *below)
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

/* Takes the place of @below, which receives for the handshake from now on. */
static void filter_start_replace(struct wr_filter *f, weir_transport *below,
                                 bool is_paused)
{
    wr_assert(f->c.t.binding.protocol);
    f->c.is_made = true; /* below has called its connection_made */
    wr_filter_begin(f, below);
    if (is_paused) {
        wr_delivery_pause(&f->c.delivery);
        below->ops->resume_reading(below);
    }
    wr_connection_debug_check(&f->c);
}

static int filter_start_make(weir_transport *t,
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
    int err = filter_start_keep(f, options->initial, options->initial_count);
    if (err == 0) {
        err = filter_start_bind(f, t);
    }
    if (err < 0) {
        wr_filter_drop_input(f);
        wr_connection_discard(&f->c);
        return err;
    }
    *ret = f;
    return 0;
}

int wr_filter_start(weir_transport *t, const struct weir_tls_settings *tls,
                    const struct weir_start_tls_options *options,
                    const struct wr_secure_opener *opener, weir_transport **ret)
{
    struct weir_start_tls_options known;
    struct wr_secure_settings settings = {.context = NULL};
    struct wr_handover handover;
    struct wr_filter *f;

    int err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    wr_require(opener->opened, -EINVAL);
    wr_require(!wr_loop_is_closing(t->loop), -ESHUTDOWN);
    err = filter_start_check(t, &handover);
    wr_require(err >= 0, err);
    err = wr_filter_settings_read(&settings, tls, WR_SECURE_EITHER, NULL);
    wr_require(err >= 0, err);
    err =
        filter_start_make(t, &settings, &known, opener, &handover.timeouts, &f);
    wr_filter_settings_drop(&settings);
    wr_require(err >= 0, err);
    filter_start_replace(f, t, handover.is_paused);
    if (ret) {
        *ret = &f->c.t;
    }
    return 0;
}
