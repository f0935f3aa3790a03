/*
 * If the proxy terminates TLS, the TLVs have the TLS version, the cipher suite
 * by its IANA name, and the common name of the client's verified certificate.
 * Otherwise the TLS information of an accepted PROXY header is passed on.
 */
#include "tlvs.h"

#include "preface.h"

#include "weir/proxy_protocol.h"

#include <string.h>

/* Version, cipher suite and common name, with their headers. */
#define SSL_MAX 512

struct list_of_tlvs {
    struct weir_proxy_tlv all[3];
    size_t count;
};

static void add(struct list_of_tlvs *list, unsigned type, const void *value,
                size_t len)
{
    if (len > 0) {
        list->all[list->count++] = (struct weir_proxy_tlv){type, len, value};
    }
}

static void add_text(struct list_of_tlvs *list, unsigned type, const char *text)
{
    add(list, type, text, text ? strlen(text) : 0);
}

/* The property's text is not NUL-terminated. */
static void add_known(struct list_of_tlvs *list, unsigned type,
                      const struct session *session, const char *name)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    if (weir_transport_get_extra_info(session->client, name, &info) == 0) {
        add(list, type, info.text, info.len);
    }
}

/* For TLS that the proxy terminates. Returns a size or negative error. */
static int write_ssl(const struct session *session, uint8_t *buf)
{
    struct list_of_tlvs list = {.count = 0};
    struct weir_extra_info info = {.size = sizeof(info)};
    uint8_t inner[SSL_MAX - 8];
    const bool has_certificate =
        weir_transport_get_extra_info(session->client, "peercert", &info) == 0;
    struct weir_proxy_ssl ssl = {
        .size = sizeof(ssl),
        .client = WEIR_PROXY_CLIENT_SSL |
                  (has_certificate ? WEIR_PROXY_CLIENT_CERT_CONN |
                                         WEIR_PROXY_CLIENT_CERT_SESS
                                   : 0u),
        .verify = !has_certificate,
    };

    add_known(&list, WEIR_PROXY_SSL_VERSION, session, "tls_version");
    add_known(&list, WEIR_PROXY_SSL_CIPHER, session, "cipher");
    add_text(&list, WEIR_PROXY_SSL_CN, session->client_cn);
    const int len =
        weir_proxy_tlvs_write(list.all, list.count, inner, sizeof(inner));
    if (len < 0) {
        return len;
    }
    ssl.tlvs = (struct weir_proxy_tlvs){inner, (size_t)len};
    return weir_proxy_ssl_write(&ssl, buf, SSL_MAX);
}

static void add_told(struct list_of_tlvs *list, const struct session *session,
                     unsigned type)
{
    struct weir_proxy_tlv tlv;

    if (preface_find_tlv(session->preface, type, &tlv)) {
        add(list, type, tlv.value, tlv.len);
    }
}

int tlvs_write(const struct session *session, const char *name, void *buf,
               size_t size)
{
    const unsigned wanted = session->route->config->send_tlvs;
    struct list_of_tlvs list = {.count = 0};
    uint8_t ssl[SSL_MAX];

    if (wanted & CONFIG_TLV_ALPN) {
        if (session->is_opened) {
            add_known(&list, WEIR_PROXY_ALPN, session, "alpn");
        } else {
            add_told(&list, session, WEIR_PROXY_ALPN);
        }
    }
    if (wanted & CONFIG_TLV_AUTHORITY) {
        add_text(&list, WEIR_PROXY_AUTHORITY, name);
    }
    if ((wanted & CONFIG_TLV_SSL) && session->is_opened) {
        const int len = write_ssl(session, ssl);
        if (len < 0) {
            return len;
        }
        add(&list, WEIR_PROXY_SSL, ssl, (size_t)len);
    } else if (wanted & CONFIG_TLV_SSL) {
        add_told(&list, session, WEIR_PROXY_SSL);
    }
    return weir_proxy_tlvs_write(list.all, list.count, buf, size);
}
