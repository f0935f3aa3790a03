/*
 * The writes of transports without write calls.
 *
 * A kind that sends no bytes, or sends datagrams, has these functions in its
 * table. They save the public functions a test for each message of the other
 * kinds.
 */
#include "transport.h"

int wr_refuse_write(weir_transport *t, const void *data, size_t len)
{
    (void)data;
    (void)len;
    wr_assert(!t->ops->can_write_eof);
    return -EOPNOTSUPP;
}

int wr_refuse_writelines(weir_transport *t, const struct iovec *iov,
                         size_t count, size_t total)
{
    (void)iov;
    (void)count;
    (void)total;
    wr_assert(!t->ops->can_write_eof);
    return -EOPNOTSUPP;
}

int wr_refuse_write_ref(weir_transport *t, const void *data, size_t len,
                        weir_release_fn *release, void *arg)
{
    (void)data;
    (void)len;
    (void)release;
    (void)arg;
    wr_assert(!t->ops->can_write_eof);
    return -EOPNOTSUPP;
}

int wr_refuse_write_lease(weir_transport *t, const struct weir_buf *buf)
{
    (void)buf;
    wr_assert(!t->ops->can_write_eof);
    return -EOPNOTSUPP;
}
