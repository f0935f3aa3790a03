/*
 * A configured name has a prefix for its kind, and is compared only with names
 * of that kind. Authorities verify alternative names, whereas anyone who
 * requests a certificate chooses its subject.
 *
 * Host names are compared without regard to case, other names byte by byte. A
 * wildcard in the certificate is compared literally, because a wildcard does
 * not name a client.
 */
#include "certificate.h"

#include "weir/tls_certificate.h"

#include <string.h>
#include <strings.h>

static const struct kind {
    const char *prefix;
    enum weir_tls_name_kind kind;
} kinds[] = {
    {"dns:", WEIR_TLS_NAME_DNS},
    {"uri:", WEIR_TLS_NAME_URI},
    {"cn:", 0},
};

#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

static const struct kind *kind_of(const char *text)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        const size_t len = strlen(kinds[i].prefix);
        if (strncmp(text, kinds[i].prefix, len) == 0 && text[len] != '\0') {
            return &kinds[i];
        }
    }
    return NULL;
}

bool certificate_is_name(const char *text)
{
    return kind_of(text) != NULL;
}

static bool read_certificate(const weir_transport *t,
                             struct weir_tls_certificate *ret)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    *ret = (struct weir_tls_certificate){.size = sizeof(*ret)};
    return weir_transport_get_extra_info(t, "peercert", &info) == 0 &&
           weir_tls_certificate_read(info.data, info.len, ret) == 0;
}

static bool is_equal(const struct weir_tls_part *part, const char *name,
                     bool ignores_case)
{
    const size_t len = strlen(name);

    return part->size == len &&
           (ignores_case ? strncasecmp((const char *)part->data, name, len)
                         : memcmp(part->data, name, len)) == 0;
}

/* Returns the last common name of the subject, which is the most specific one.
 * Returns size 0 if there is none. */
static struct weir_tls_part find_cn(const struct weir_tls_certificate *from)
{
    struct weir_tls_part rest = from->subject;
    struct weir_tls_part found = {.size = 0};
    struct weir_tls_attribute attribute;

    while (weir_tls_certificate_next_attribute(&rest, &attribute) == 0) {
        if (attribute.name && attribute.is_text &&
            strcmp(attribute.name, "commonName") == 0) {
            found = attribute.value;
        }
    }
    return found;
}

static bool has_one(const struct weir_tls_certificate *certificate,
                    const struct kind *kind, const char *name)
{
    struct weir_tls_part rest = certificate->names;
    struct weir_tls_name found;

    if (!kind->kind) {
        const struct weir_tls_part cn = find_cn(certificate);
        return is_equal(&cn, name, false);
    }
    while (weir_tls_certificate_next_name(&rest, &found) == 0) {
        if (found.kind == kind->kind &&
            is_equal(&found.value, name, kind->kind == WEIR_TLS_NAME_DNS)) {
            return true;
        }
    }
    return false;
}

bool certificate_has_name(const struct config_texts *names,
                          const weir_transport *t)
{
    struct weir_tls_certificate certificate;

    if (!read_certificate(t, &certificate)) {
        return false;
    }
    for (size_t i = 0; i < names->count; i++) {
        const struct kind *kind = kind_of(names->texts[i]);
        if (has_one(&certificate, kind,
                    names->texts[i] + strlen(kind->prefix))) {
            return true;
        }
    }
    return false;
}

const char *certificate_get_cn(const weir_transport *t, char *ret)
{
    struct weir_tls_certificate certificate;

    if (!read_certificate(t, &certificate)) {
        return NULL;
    }
    const struct weir_tls_part cn = find_cn(&certificate);
    if (cn.size == 0 || cn.size >= CERTIFICATE_CN_SIZE ||
        memchr(cn.data, '\0', cn.size)) {
        return NULL;
    }
    memcpy(ret, cn.data, cn.size);
    ret[cn.size] = '\0';
    return ret;
}
