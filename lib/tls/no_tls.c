/*
 * TLS in a build without wolfSSL: there is none.
 *
 * No context can be made, so that nothing else of TLS can be reached: whatever
 * takes a context is given none.
 */
#include "lib/transport/transport.h"
#include "uring/check.h"

#include <weir/error.h>
#include <weir/tls.h>
#include <weir/tls_certificate.h>
#include <weir/tls_connection.h>

#include <errno.h>
#include <stdio.h>

int weir_tls_context_new(const struct weir_tls_options *options,
                         weir_tls_context **ret, char *error_text,
                         size_t error_size)
{
    (void)options;
    (void)ret;
    if (error_text && error_size > 0) {
        wr_ignore(snprintf(error_text, error_size, "%s",
                           weir_strerror(WEIR_ENOTLS)) < 0);
    }
    return WEIR_ENOTLS;
}

weir_tls_context *weir_tls_context_ref(weir_tls_context *context)
{
    wr_assert(!context); /* there is none */
    return context;
}

void weir_tls_context_unref(weir_tls_context *context)
{
    wr_assert(!context);
}

int weir_tls_get_session(weir_transport *t, weir_tls_session **ret)
{
    wr_require(t && ret, -EINVAL);
    const int err = wr_loop_check(t->loop);

    wr_require(err >= 0, err);
    return -EOPNOTSUPP;
}

weir_tls_session *weir_tls_session_ref(weir_tls_session *session)
{
    wr_assert(!session); /* there is none */
    return session;
}

void weir_tls_session_unref(weir_tls_session *session)
{
    wr_assert(!session);
}

int weir_tls_export_keying_material(weir_transport *t, const char *label,
                                    const void *context, size_t context_size,
                                    void *ret, size_t size)
{
    (void)label;
    (void)context;
    (void)context_size;
    (void)ret;
    (void)size;
    const int err = wr_loop_check(t->loop);
    return err < 0 ? err : -EOPNOTSUPP;
}

const void *weir_tls_get_peer_certificate(const weir_transport *t,
                                          uint32_t index, size_t *ret_size)
{
    (void)t;
    (void)index;
    (void)ret_size;
    return NULL;
}

int weir_tls_certificate_read(const void *der, size_t size,
                              struct weir_tls_certificate *ret)
{
    (void)der;
    (void)size;
    (void)ret;
    return WEIR_ENOTLS;
}

int weir_tls_next_attribute(struct weir_tls_part *rest,
                            struct weir_tls_attribute *ret)
{
    (void)rest;
    (void)ret;
    return -ENOENT;
}

int weir_tls_next_name(struct weir_tls_part *rest, struct weir_tls_name *ret)
{
    (void)rest;
    (void)ret;
    return -ENOENT;
}
