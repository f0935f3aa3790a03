/*
 * The meaning of wolfSSL's errors: one of our codes for each of its numbers,
 * and the names of a peer's alerts. The verification of certificates and the
 * engine use them.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_ERROR_H
#define WEIR_LIB_TLS_CONTEXT_ERROR_H

/* The code of wolfSSL's error number @number. */
int wr_tls_error_code_of(int number);

/* A text that names the fatal alert @alert, which the peer sent. */
const char *wr_tls_error_alert_text(int alert);

/* Its name alone, static: "unknown_ca". */
const char *wr_tls_error_alert_name(int alert);

#endif
