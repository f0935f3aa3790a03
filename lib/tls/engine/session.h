/*
 * Sessions that a client can resume, as the program holds them.
 *
 * A session stands for a server that was verified when it began. So it is good
 * only for connections of the same context, whose rules do not change, that
 * would verify the same name.
 */
#ifndef WEIR_LIB_TLS_ENGINE_SESSION_H
#define WEIR_LIB_TLS_ENGINE_SESSION_H

#include "engine.h"
#include "weir/tls_connection.h"

/* The newest session of the engine of a client; see weir_tls_get_session(). */
WEIR_MUST_USE int wr_tls_session_get(struct wr_tls_engine *engine,
                                     weir_tls_session **ret);

/* wolfSSL's session, borrowed, where a connection of @context that verifies
 * @hostname (NULL: any) may resume it; else, and of NULL, NULL. */
struct WOLFSSL_SESSION *wr_tls_session_use(const weir_tls_session *session,
                                           const weir_tls_context *context,
                                           const char *hostname);

#endif
