/*
 * TLVs of a PROXY header of version 2: the server name, the application
 * protocol, and TLS with the common name of the client's certificate.
 *
 * They describe the client's own TLS, or repeat the TLVs of an accepted PROXY
 * header.
 */
#ifndef WEIR_PROXY_TLVS_H
#define WEIR_PROXY_TLVS_H

#include "session.h"

/* Largest size of the TLVs: a server name, an application protocol, and TLS. */
#define TLVS_SIZE_MAX 4608

/* Writes the TLVs that the session's route requests (enum config_tlv), as far
 * as they are known. @name is the server name that the client requested, or
 * NULL. Returns the size of the TLVs or a negative error. */
int tlvs_write(const struct session *session, const char *name, void *buf,
               size_t size);

#endif
