/*
 * The bytes that a client's connection begins with, where they decide what
 * becomes of it: a PROXY header, a ClientHello, or both.
 *
 * Bytes are kept until they are complete. A header is taken away; a hello
 * stays, because it is the first that the target, or TLS, gets to see.
 */
#ifndef WEIR_PROXY_PREFACE_H
#define WEIR_PROXY_PREFACE_H

#include "weir/address.h"
#include "weir/buffer.h"
#include "weir/client_hello.h"
#include "weir/proxy_protocol.h"
#include "weir/transport.h"

#include <stdbool.h>
#include <stddef.h>

struct preface;

/* NULL without memory. */
struct preface *preface_new(void);
void preface_free(struct preface *preface);

/* Keeps a copy of the bytes, which may go on behind the preface. 0 or -ENOMEM.
 */
int preface_feed(struct preface *preface, const void *data, size_t len);

/* Whether more bytes are kept than any preface may have. */
bool preface_is_too_long(const struct preface *preface);

/* Reads a PROXY header of one of the versions (enum weir_proxy_version) and
 * takes it away. 0, or an error of weir_proxy_header_parse(): -EAGAIN while it
 * is not complete. Once it was read the call does nothing. */
int preface_read_header(struct preface *preface, unsigned versions);
bool preface_has_header(const struct preface *preface);

/* Reads a ClientHello, and keeps its protocols where these are asked for. 0, or
 * an error of weir_client_hello_parse(): -EAGAIN while it is not complete. */
int preface_read_hello(struct preface *preface, bool keeps_protocols);
/* The application protocols that were kept. */
struct weir_alpn_list preface_get_protocols(const struct preface *preface);

/* The bytes that were not taken away; of len 0: none. */
struct weir_buf preface_rest(const struct preface *preface);
/* They were passed on. Returns what the preface told, or NULL: nothing, and it
 * is freed. */
struct preface *preface_drop_rest(struct preface *preface);

/* The client that the header names, or else the peer of @t; IPv4 as such,
 * whatever the socket. There may be no preface. */
void preface_get_client(const struct preface *preface, const weir_transport *t,
                        struct weir_address *ret);
/* The address that this client has connected to, likewise. */
void preface_get_destination(const struct preface *preface,
                             const weir_transport *t, struct weir_address *ret);
/* Finds what the header says besides, of a type that is read here (enum
 * weir_proxy_tlv_type): a protocol, a name, TLS. It is the preface's. */
bool preface_find_tlv(const struct preface *preface, unsigned type,
                      struct weir_proxy_tlv *ret);
/* The common name of the client's certificate by the header, to be freed; NULL:
 * none, or one that no certificate has. */
char *preface_copy_cn(const struct preface *preface);
/* The host name of the hello, or else of the header; NULL: there was no hello,
 * "": it had none. */
const char *preface_server_name(const struct preface *preface);
/* The name for the log, of any bytes but NUL, likewise. */
const char *preface_shown_name(const struct preface *preface);

#endif
