/*
 * Names in a client's certificate: compares them with the configured names, and
 * reads the subject's common name.
 *
 * The handshake has verified the certificate; this module only reads it.
 */
#ifndef WEIR_PROXY_CERTIFICATE_H
#define WEIR_PROXY_CERTIFICATE_H

#include "config.h"

#include "weir/transport.h"

/* Buffer size for a common name with its NUL: 64 characters have at most 256
 * bytes. A longer name is ignored. */
#define CERTIFICATE_CN_SIZE 257

/* Returns true for a text such as "dns:a.example". */
bool certificate_is_name(const char *text);

bool certificate_has_name(const struct config_texts *names,
                          const weir_transport *t);

/* Copies the subject's common name to @ret, of CERTIFICATE_CN_SIZE. Returns
 * @ret, or NULL if there is none. */
const char *certificate_get_cn(const weir_transport *t, char *ret);

#endif
