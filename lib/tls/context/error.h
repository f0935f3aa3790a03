/*
 * The alerts of a peer, by name. The engine's error texts and facts have them.
 * A backend tells an alert's number, and weir tells it the same way whatever
 * library is behind it.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_ERROR_H
#define WEIR_LIB_TLS_CONTEXT_ERROR_H

/* A text that names the fatal alert @alert, which the peer sent. */
const char *wr_tls_error_alert_text(int alert);

/* Its name alone, static: "unknown_ca". */
const char *wr_tls_error_alert_name(int alert);

#endif
