/*
 * Sessions that a client can resume, as the program holds them.
 *
 * A session proves only that its server was verified when the session was made.
 * Therefore only connections of the same context (whose rules do not change)
 * that verify the same name may use it.
 *
 * Connections of several threads hold references, so a mutex guards the
 * reference count. Nothing else in a session changes.
 */
#include "engine_impl.h"
#include "lib/tls/context/context_impl.h"
#include "lib/x509/hostname.h"
#include "weir/tls_connection.h"

#include <weir/tls.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct weir_tls_session {
    pthread_mutex_t mutex; /* guards references */
    uint32_t references;
    weir_tls_context *context; /* a reference */
    struct wr_tls_known *session;
    char *hostname; /* the verified name, or NULL */
};

static void session_free(weir_tls_session *session)
{
    session->context->backend->session_free(session->session);
    weir_tls_context_unref(session->context);
    const int err = pthread_mutex_destroy(&session->mutex);
    wr_assert(err == 0);
    free(session->hostname);
    free(session);
}

/* Takes ownership of @known on success. */
static int session_make(const struct wr_tls_engine *engine,
                        struct wr_tls_known *known, weir_tls_session **ret)
{
    const char *hostname = engine->verdict.hostname;
    weir_tls_session *session = malloc(sizeof(*session));

    wr_require(session, -ENOMEM);
    *session =
        (weir_tls_session){.hostname = hostname ? strdup(hostname) : NULL};
    if (hostname && !session->hostname) {
        free(session);
        return -ENOMEM;
    }
    session->references = 1;
    const int err = pthread_mutex_init(&session->mutex, NULL);
    wr_assert(err == 0);
    session->context = weir_tls_context_ref(engine->context);
    session->session = known;
    *ret = session;
    return 0;
}

int wr_tls_session_get(struct wr_tls_engine *engine, weir_tls_session **ret)
{
    struct wr_tls_known *known = NULL;
    const char *version = wr_tls_engine_get_version(engine);

    wr_require(!engine->conn.is_server, -EOPNOTSUPP);
    wr_require(!version || strcmp(version, "TLSv1.3") == 0, -EOPNOTSUPP);
    int err = wr_tls_engine_get_session(engine, &known);
    wr_require(err >= 0, err);
    wr_assert(known);
    err = session_make(engine, known, ret);
    if (err < 0) {
        engine->conn.backend->session_free(known);
    }
    return err;
}

const struct wr_tls_known *wr_tls_session_use(const weir_tls_session *session,
                                              const weir_tls_context *context,
                                              const char *hostname)
{
    /* A resumed handshake has no certificate to look up in the revocation
     * lists. */
    if (!session || session->context != context ||
        context->revocation.count > 0) {
        return NULL;
    }
    wr_assert(session->session);
    const char *own = session->hostname;
    const bool is_same =
        hostname && own
            ? strlen(hostname) == strlen(own) &&
                  wr_x509_hostname_is_same(hostname, own, strlen(own))
            : hostname == own;
    return is_same ? session->session : NULL;
}

weir_tls_session *weir_tls_session_ref(weir_tls_session *session)
{
    pthread_mutex_lock(&session->mutex);
    wr_assert(session->references > 0);
    session->references++;
    pthread_mutex_unlock(&session->mutex);
    return session;
}

void weir_tls_session_unref(weir_tls_session *session)
{
    if (!session) {
        return;
    }
    pthread_mutex_lock(&session->mutex);
    wr_assert(session->references > 0);
    const uint32_t left = --session->references;
    pthread_mutex_unlock(&session->mutex);
    if (left == 0) {
        session_free(session);
    }
}
