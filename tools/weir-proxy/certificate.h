/*
 * Names in the certificate that a client has shown: whether one of those is
 * there that may come, and what the subject is called.
 *
 * The handshake has verified the certificate; here it is only read.
 */
#ifndef WEIR_PROXY_CERTIFICATE_H
#define WEIR_PROXY_CERTIFICATE_H

#include "config.h"

#include "weir/transport.h"

/* Room for a common name with its NUL, whose 64 characters have 256 bytes at
 * most; a longer one is none. */
#define CERTIFICATE_CN_SIZE 257

/* Is it a kind of name and a name, such as "dns:a.example"? */
bool certificate_is_name(const char *text);

/* Has the certificate of the connection's peer one of the names? */
bool certificate_has_name(const struct config_texts *names,
                          const weir_transport *t);

/* Writes the common name of its subject, and returns @ret; NULL: there is none.
 */
const char *certificate_get_cn(const weir_transport *t, char *ret);

#endif
