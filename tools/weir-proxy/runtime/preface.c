/*
 * Keeps and parses the first bytes of a connection.
 *
 * The bytes are freed after they were passed on to TLS or the target. A relayed
 * session keeps only what was parsed.
 */
#include "preface.h"

#include "tools/weir-proxy/config/certificate.h"
#include "tools/weir-proxy/config/matching.h"

#include "weir/client_hello.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* PREFACE_MAX is a PROXY header and a ClientHello of one TLS record. */
#define HEADER_MAX  4096u
#define PREFACE_MAX (HEADER_MAX + 16389u)

struct ends {
    struct weir_address client;
    struct weir_address destination;
};

struct preface {
    uint8_t *data;
    size_t len;
    size_t room;
    bool has_header;
    struct ends *ends; /* NULL without a header or addresses */
    uint8_t *tlvs;     /* the header's TLVs, of types that are used */
    size_t tlvs_len;
    char *authority;    /* server name from the TLVs, or NULL */
    char *server_name;  /* server name from the hello; NULL without a hello */
    char *absolute;     /* server name with a dot at its end, or NULL */
    char *odd_name;     /* a server name that is not a host name, or NULL */
    uint8_t *protocols; /* application protocols from the hello */
    size_t protocols_len;
};

struct preface *preface_new(void)
{
    return calloc(1, sizeof(struct preface));
}

void preface_free(struct preface *preface)
{
    if (preface) {
        free(preface->data);
        free(preface->ends);
        free(preface->tlvs);
        free(preface->authority);
        free(preface->server_name);
        free(preface->absolute);
        free(preface->odd_name);
        free(preface->protocols);
        free(preface);
    }
}

int preface_feed(struct preface *preface, const void *data, size_t len)
{
    const size_t need = preface->len + len;

    if (need > preface->room) {
        const size_t room = need < 1024 ? 1024 : 2 * need;
        uint8_t *larger = realloc(preface->data, room);
        if (!larger) {
            return -ENOMEM;
        }
        preface->data = larger;
        preface->room = room;
    }
    memcpy(preface->data + preface->len, data, len);
    preface->len = need;
    return 0;
}

bool preface_is_too_long(const struct preface *preface)
{
    return preface->len > PREFACE_MAX;
}

/* Keeps the server's name from the TLVs, unless it has an invalid length or a
 * NUL. Returns 0 or -ENOMEM. */
static int keep_authority(struct preface *preface)
{
    struct weir_proxy_tlv name;

    if (!preface_find_tlv(preface, WEIR_PROXY_AUTHORITY, &name) ||
        name.len == 0 || name.len >= WEIR_SERVER_NAME_SIZE ||
        memchr(name.value, '\0', name.len)) {
        return 0;
    }
    preface->authority = strndup(name.value, name.len);
    return preface->authority ? 0 : -ENOMEM;
}

static int keep_tlvs(struct preface *preface,
                     const struct weir_proxy_header *header)
{
    static const unsigned types[] = {WEIR_PROXY_ALPN, WEIR_PROXY_AUTHORITY,
                                     WEIR_PROXY_SSL};
    struct weir_proxy_tlv found[3];
    size_t count = 0;

    for (size_t i = 0; i < 3 && !header->is_local; i++) {
        count += weir_proxy_tlv_find(&header->tlvs, types[i], &found[count]);
    }
    if (count == 0) {
        return 0;
    }
    preface->tlvs = malloc(header->tlvs.len);
    if (!preface->tlvs) {
        return -ENOMEM;
    }
    const int len =
        weir_proxy_tlvs_write(found, count, preface->tlvs, header->tlvs.len);
    if (len < 0) {
        return len;
    }
    preface->tlvs_len = (size_t)len;
    return keep_authority(preface);
}

/* Offset in a version 2 header of the byte with the address family and, in its
 * lower half, the transport protocol. */
#define V2_TRANSPORT 13
#define V2_DATAGRAM  2

/* A header about datagrams does not describe this connection. */
static bool is_of_datagrams(const struct preface *preface,
                            const struct weir_proxy_header *header)
{
    return header->version == WEIR_PROXY_V2 && !header->is_local &&
           (preface->data[V2_TRANSPORT] & 0xf) == V2_DATAGRAM;
}

int preface_read_header(struct preface *preface, unsigned versions)
{
    const struct weir_proxy_options options = {.size = sizeof(options),
                                               .versions = versions,
                                               .header_limit_bytes =
                                                   HEADER_MAX};
    struct weir_proxy_header header = {.size = sizeof(header)};

    if (preface->has_header) {
        return 0;
    }
    const int len =
        weir_proxy_header_parse(preface->data, preface->len, &options, &header);
    if (len < 0) {
        return len;
    }
    if (is_of_datagrams(preface, &header)) {
        return -EPROTO;
    }
    if (header.source.len > 0) {
        preface->ends = malloc(sizeof(*preface->ends));
        if (!preface->ends) {
            return -ENOMEM;
        }
        preface->ends->client = header.source;
        preface->ends->destination = header.destination;
    }
    const int err = keep_tlvs(preface, &header);
    if (err < 0) {
        return err;
    }
    preface->has_header = true;
    preface->len -= (size_t)len;
    memmove(preface->data, preface->data + len, preface->len);
    return 0;
}

bool preface_has_header(const struct preface *preface)
{
    return preface->has_header;
}

/* Stores a server name that is not a host name, for the log. */
static bool keep_odd_name(struct preface *preface,
                          const struct weir_client_hello *hello)
{
    const char *name = hello->odd_name;
    const size_t len = hello->odd_name_len < WEIR_SERVER_NAME_SIZE
                           ? hello->odd_name_len
                           : WEIR_SERVER_NAME_SIZE - 1;

    preface->odd_name = name ? calloc(1, len + 1) : NULL;
    for (size_t i = 0; preface->odd_name && i < len; i++) {
        preface->odd_name[i] = name[i] ? name[i] : '?';
    }
    return !name || preface->odd_name;
}

static bool keep_protocols(struct preface *preface,
                           const struct weir_alpn_list *protocols)
{
    preface->protocols = malloc(protocols->len + 1);
    if (!preface->protocols) {
        return false;
    }
    if (protocols->len > 0) {
        memcpy(preface->protocols, protocols->data, protocols->len);
    }
    preface->protocols_len = protocols->len;
    return true;
}

int preface_read_hello(struct preface *preface, bool keeps_protocols)
{
    struct weir_client_hello hello = {.size = sizeof(hello)};
    uint8_t scratch[PREFACE_MAX - HEADER_MAX];

    const int len = weir_client_hello_parse(preface->data, preface->len, NULL,
                                            scratch, sizeof(scratch), &hello);
    if (len < 0) {
        return len;
    }
    if (keeps_protocols && !keep_protocols(preface, &hello.protocols)) {
        return -ENOMEM;
    }
    preface->server_name = strdup(hello.server_name);
    return preface->server_name && keep_odd_name(preface, &hello) ? 0 : -ENOMEM;
}

struct weir_alpn_list preface_get_protocols(const struct preface *preface)
{
    return preface ? (struct weir_alpn_list){.data = preface->protocols,
                                             .len = preface->protocols_len}
                   : (struct weir_alpn_list){.len = 0};
}

struct weir_buf preface_rest(const struct preface *preface)
{
    return preface
               ? (struct weir_buf){.data = preface->data, .len = preface->len}
               : (struct weir_buf){.len = 0};
}

struct preface *preface_drop_rest(struct preface *preface)
{
    if (!preface ||
        (!preface->ends && !preface->server_name && !preface->tlvs)) {
        preface_free(preface);
        return NULL;
    }
    free(preface->data);
    free(preface->absolute);
    free(preface->protocols);
    preface->data = NULL;
    preface->absolute = NULL;
    preface->protocols = NULL;
    preface->protocols_len = 0;
    preface->len = 0;
    preface->room = 0;
    return preface;
}

void preface_get_client(const struct preface *preface, const weir_transport *t,
                        struct weir_address *ret)
{
    weir_transport_get_peername(t, ret);
    if (preface && preface->ends) {
        *ret = preface->ends->client;
    }
    weir_address_unmap(ret);
}

void preface_get_destination(const struct preface *preface,
                             const weir_transport *t, struct weir_address *ret)
{
    weir_transport_get_sockname(t, ret);
    if (preface && preface->ends) {
        *ret = preface->ends->destination;
    }
    weir_address_unmap(ret);
}

const char *preface_server_name(const struct preface *preface)
{
    if (!preface) {
        return NULL;
    }
    const bool is_named = preface->server_name && preface->server_name[0];
    return is_named || !preface->authority ? preface->server_name
                                           : preface->authority;
}

const char *preface_make_absolute(struct preface *preface)
{
    const char *name = preface_server_name(preface);

    free(preface->absolute);
    if (asprintf(&preface->absolute, "%.*s.", (int)matching_length_of(name),
                 name) < 0) {
        preface->absolute = NULL;
    }
    return preface->absolute;
}

bool preface_find_tlv(const struct preface *preface, unsigned type,
                      struct weir_proxy_tlv *ret)
{
    const struct weir_proxy_tlvs tlvs = {.data = preface ? preface->tlvs : NULL,
                                         .len =
                                             preface ? preface->tlvs_len : 0};

    return weir_proxy_tlv_find(&tlvs, type, ret);
}

char *preface_copy_cn(const struct preface *preface)
{
    struct weir_proxy_tlv tlv;
    struct weir_proxy_ssl ssl = {.size = sizeof(ssl)};
    const bool is_named =
        preface_find_tlv(preface, WEIR_PROXY_SSL, &tlv) &&
        weir_proxy_ssl_parse(&tlv, &ssl) == 0 && ssl.verify == 0 &&
        weir_proxy_tlv_find(&ssl.tlvs, WEIR_PROXY_SSL_CN, &tlv);

    return is_named && tlv.len < CERTIFICATE_CN_SIZE &&
                   !memchr(tlv.value, '\0', tlv.len)
               ? strndup(tlv.value, tlv.len)
               : NULL;
}

const char *preface_shown_name(const struct preface *preface)
{
    return preface && preface->odd_name ? preface->odd_name
                                        : preface_server_name(preface);
}
