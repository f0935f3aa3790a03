/*
 * What a PROXY header of version 2 says of a client beside its addresses: the
 * server's name, the application protocol, and its TLS with the name in its
 * certificate (TLVs).
 *
 * It is that of the client's own TLS, or what an accepted header has said.
 */
#ifndef WEIR_PROXY_TLVS_H
#define WEIR_PROXY_TLVS_H

#include "session.h"

/* The longest that is written: a name, a protocol, and TLS. */
#define TLVS_SIZE_MAX 4608

/* Writes those that the session's route asks for (enum config_tlv), as far as
 * they are known: bytes written, or a negative error. */
int tlvs_write(const struct session *session, void *buf, size_t size);

#endif
