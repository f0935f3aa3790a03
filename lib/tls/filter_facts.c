/*
 * TLS filters: facts of a connection that weir_transport_get_extra_info()
 * cannot tell, because they are made for the program that asks, which may be
 * refused.
 */
#include "filter_impl.h"
#include "session.h"

int weir_tls_get_session(weir_transport *t, weir_tls_session **ret)
{
    wr_require(t && ret, -EINVAL);
    wr_require(t->ops == &wr_filter_ops, -EOPNOTSUPP);
    struct wr_filter *f = wr_filter_of(t);
    wr_assert(f->below);
    return f->has_engine ? wr_tls_session_get(&f->engine, ret) : -EAGAIN;
}
