/*
 * First bytes of a client's connection: a PROXY header, a ClientHello, or both.
 * They decide how the connection is handled.
 *
 * Received bytes are kept until the header and the ClientHello are complete. A
 * PROXY header is then removed; a ClientHello stays, because TLS or the target
 * must receive it.
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

struct preface *preface_new(void);
void preface_free(struct preface *preface);

/* The bytes may extend past the preface. Returns 0 or -ENOMEM. */
int preface_feed(struct preface *preface, const void *data, size_t len);

/* Returns true above the limit for a PROXY header and a ClientHello. */
bool preface_is_too_long(const struct preface *preface);

/* Parses and removes a PROXY header of one of the versions (enum
 * weir_proxy_version). Returns 0, -EAGAIN if it is incomplete, -EPROTO if it is
 * for datagrams, or another error. Does nothing after a header was read. */
int preface_read_header(struct preface *preface, unsigned versions);
bool preface_has_header(const struct preface *preface);

/* Parses a ClientHello, and keeps its application protocols if requested.
 * Returns 0, -EAGAIN if it is incomplete, -ENOMEM, or another error of
 * weir_client_hello_parse(). */
int preface_read_hello(struct preface *preface, bool keeps_protocols);
struct weir_alpn_list preface_get_protocols(const struct preface *preface);

/* Returns the bytes that were not removed; len 0 if there are none. */
struct weir_buf preface_rest(const struct preface *preface);
/* Must be called after the rest was passed on. Frees the preface and returns
 * NULL if it has no more information. Otherwise returns the preface. */
struct preface *preface_drop_rest(struct preface *preface);

/* Gets the client's address: the one in the PROXY header, or else the peer of
 * @t. An IPv4-mapped address becomes IPv4. @preface may be NULL. */
void preface_get_client(const struct preface *preface, const weir_transport *t,
                        struct weir_address *ret);
/* Gets the address that the client connected to: the destination in the PROXY
 * header, or else the local address of @t. An IPv4-mapped address becomes IPv4.
 * @preface may be NULL. */
void preface_get_destination(const struct preface *preface,
                             const weir_transport *t, struct weir_address *ret);
/* Finds a TLV of the PROXY header by its type: application protocol, server
 * name or TLS (enum weir_proxy_tlv_type). The result points into the preface.
 * Returns false if the header has no such TLV. */
bool preface_find_tlv(const struct preface *preface, unsigned type,
                      struct weir_proxy_tlv *ret);
/* Returns the common name of the client's certificate from the header, or NULL
 * if there is none or it is invalid. The caller frees it. */
char *preface_copy_cn(const struct preface *preface);
/* Returns the host name in the ClientHello or, if that has none, in the PROXY
 * header. If neither has a name, returns "" after a ClientHello, else NULL. */
const char *preface_server_name(const struct preface *preface);
/* Returns preface_server_name() with a dot at the end, so that the resolver
 * adds no domain. The preface owns the result until preface_drop_rest().
 * Returns NULL if out of memory. */
const char *preface_make_absolute(struct preface *preface);
/* Returns the host name for the log. It may have any bytes except NUL. */
const char *preface_shown_name(const struct preface *preface);

#endif
