/*
 * TLS filters: facts of a connection.
 *
 * Sessions, exported keys and the certificates of a chain have functions of
 * their own in addition to weir_transport_get_extra_info(): the result is
 * created for the caller, the call can be refused, or the result has several
 * parts.
 */
#include "filter_impl.h"

#include <string.h>

/* HKDF produces at most 255 blocks of the suite's hash (RFC 5869). */
#define EXPORT_MAX (255u * 32u)

static int filter_facts_get_text(const char *text, int number,
                                 struct weir_extra_info *ret)
{
    wr_require(text, -ENOENT);
    wr_assert(number >= 0);
    ret->text = text;
    ret->len = strlen(text);
    ret->number = number;
    return 0;
}

static int filter_facts_get_cause(const struct wr_filter *f, const char *name,
                                  struct weir_extra_info *ret)
{
    const struct wr_tls_engine *engine = &f->engine;

    wr_assert(f->has_engine);
    if (strcmp(name, "tls_error") == 0 && engine->err < 0) {
        return filter_facts_get_text(wr_tls_engine_get_error_text(engine), 0,
                                     ret);
    }
    if (strcmp(name, "tls_alert") == 0) {
        return filter_facts_get_text(wr_tls_engine_get_alert_name(engine),
                                     wr_tls_engine_get_alert_received(engine),
                                     ret);
    }
    return -ENOENT;
}

static int filter_facts_get_fact(const struct wr_filter *f, const char *name,
                                 struct weir_extra_info *ret)
{
    const struct wr_tls_engine *engine = &f->engine;

    wr_assert(f->has_engine);
    if (strcmp(name, "tls_version") == 0) {
        return filter_facts_get_text(wr_tls_engine_get_version(engine), 0, ret);
    }
    if (strcmp(name, "cipher") == 0) {
        return filter_facts_get_text(wr_tls_engine_get_cipher(engine),
                                     wr_tls_engine_get_cipher_bits(engine),
                                     ret);
    }
    if (strcmp(name, "tls_group") == 0) {
        return filter_facts_get_text(wr_tls_engine_get_group(engine), 0, ret);
    }
    if (strcmp(name, "alpn") == 0) {
        ret->text = wr_tls_engine_get_alpn(engine, &ret->len);
        return ret->text ? 0 : -ENOENT;
    }
    if (strcmp(name, "server_name") == 0) {
        return filter_facts_get_text(wr_tls_engine_get_sni(engine), 0, ret);
    }
    if (strcmp(name, "tls_resumed") == 0) {
        ret->number = wr_tls_engine_was_resumed(engine);
        return 0;
    }
    if (strcmp(name, "tls_handshake") == 0) {
        ret->time_ns = f->handshake_took_ns > 0
                           ? f->handshake_took_ns
                           : wr_sys_now() - f->handshake_began_ns + 1;
        return 0;
    }
    if (strcmp(name, "peercert") == 0) {
        ret->data = wr_tls_engine_get_peer_certificate(engine, 0, &ret->len);
        return ret->data ? 0 : -ENOENT;
    }
    return filter_facts_get_cause(f, name, ret);
}

/* If this filter has no such fact, the transport below is not asked. */
static bool filter_facts_is_own(const char *name)
{
    return strncmp(name, "tls_", 4) == 0 || strcmp(name, "cipher") == 0 ||
           strcmp(name, "alpn") == 0 || strcmp(name, "server_name") == 0 ||
           strcmp(name, "peercert") == 0;
}

int wr_filter_get_extra_info(const weir_transport *t, const char *name,
                             struct weir_extra_info *ret)
{
    const struct wr_filter *f = wr_filter_of(t);
    wr_assert(f->below);
    const int err =
        f->has_engine ? filter_facts_get_fact(f, name, ret) : -ENOENT;

    return err == -ENOENT && filter_facts_is_own(name) ? -ENODATA : err;
}

static bool filter_facts_are_of(const weir_transport *t)
{
    return t->ops->get_extra_info == wr_filter_get_extra_info;
}

int weir_tls_get_session(weir_transport *t, weir_tls_session **ret)
{
    wr_require(t && ret, -EINVAL);
    const int err = wr_loop_check(t->loop);

    wr_require(err >= 0, err);
    wr_require(filter_facts_are_of(t), -EOPNOTSUPP);
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
    wr_require(filter_facts_are_of(t), -EOPNOTSUPP);
    wr_require(label && ret && size > 0 && size <= EXPORT_MAX, -EINVAL);
    wr_require(context || context_size == 0, -EINVAL);
    struct wr_filter *f = wr_filter_of(t);
    wr_require(f->has_engine, -ENOTCONN);
    return wr_tls_engine_export(&f->engine, label, context, context_size, ret,
                                size);
}

weir_tls_context *weir_tls_get_context(const weir_transport *t)
{
    if (!filter_facts_are_of(t)) {
        return NULL;
    }
    const struct wr_filter *f = wr_filter_of(t);
    wr_assert(f->has_engine || f->settings);
    return f->has_engine ? wr_tls_engine_get_context(&f->engine)
                         : f->settings->context;
}

const void *weir_tls_get_peer_certificate(const weir_transport *t,
                                          uint32_t index, size_t *ret_size)
{
    if (!filter_facts_are_of(t) || !wr_filter_of(t)->has_engine) {
        return NULL;
    }
    return wr_tls_engine_get_peer_certificate(&wr_filter_of(t)->engine, index,
                                              ret_size);
}
