/*
 * Sessions that a client can resume, as the program holds them.
 *
 * The server of a session was verified when the session began. So a session is
 * good only for connections of the same context (whose rules do not change)
 * that verify the same name.
 */
#ifndef WEIR_LIB_TLS_ENGINE_SESSION_H
#define WEIR_LIB_TLS_ENGINE_SESSION_H

#include "engine.h"

/* The newest session of a client's engine; see weir_tls_get_session(). */
WEIR_MUST_USE int wr_tls_session_get(struct wr_tls_engine *engine,
                                     weir_tls_session **ret);

/* The backend's session, borrowed, if a connection of @context that verifies
 * @hostname (NULL: any name) may resume it; else NULL. @session may be NULL. */
const struct wr_tls_known *wr_tls_session_use(const weir_tls_session *session,
                                              const weir_tls_context *context,
                                              const char *hostname);

#endif
