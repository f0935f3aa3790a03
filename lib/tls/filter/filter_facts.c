/*
 * TLS filters: facts of a connection that weir_transport_get_extra_info()
 * cannot tell, because they are made for the program that asks, which may be
 * refused, or there are several.
 */
#include "filter_impl.h"
#include "lib/tls/engine/session.h"

#include <string.h>

/* The hash of a suite gives 255 blocks of keys at most (RFC 5869). */
#define EXPORT_MAX (255u * 32u)

int weir_tls_get_session(weir_transport *t, weir_tls_session **ret)
{
    wr_require(t && ret, -EINVAL);
    const int err = wr_loop_check(t->loop);

    wr_require(err >= 0, err);
    wr_require(t->ops == &wr_filter_ops, -EOPNOTSUPP);
    struct wr_filter *f = wr_filter_of(t);
    wr_assert(f->below);
    return f->has_engine ? wr_tls_session_get(&f->engine, ret) : -EAGAIN;
}

int weir_tls_export_keying_material(weir_transport *t, const char *label,
                                    const void *context, size_t context_size,
                                    void *ret, size_t size)
{
    const int err = wr_loop_check(t->loop);

    wr_require(err >= 0, err);
    wr_require(t->ops == &wr_filter_ops, -EOPNOTSUPP);
    wr_require(label && ret && size > 0 && size <= EXPORT_MAX, -EINVAL);
    wr_require(context || context_size == 0, -EINVAL);
    struct wr_filter *f = wr_filter_of(t);
    wr_require(f->has_engine, -ENOTCONN);
    return wr_tls_engine_export(&f->engine, label, context, context_size, ret,
                                size);
}

const void *weir_tls_get_peer_certificate(const weir_transport *t,
                                          uint32_t index, size_t *ret_size)
{
    if (t->ops != &wr_filter_ops || !wr_filter_of(t)->has_engine) {
        return NULL;
    }
    return wr_tls_engine_get_peer_certificate(&wr_filter_of(t)->engine, index,
                                              ret_size);
}
