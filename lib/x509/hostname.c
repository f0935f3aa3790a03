/*
 * Host names of certificates. A name with characters other than letters,
 * digits, '-', '_' and single dots matches nothing: a NUL or a blank in a name
 * is an attempt to deceive.
 *
 * Bytes are compared before the syntax is checked, because a peer chooses the
 * number of names.
 */
#include "hostname.h"

#include "uring/check.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

#define HOSTNAME_LABELS_LEAST 2u

static char hostname_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool hostname_is_letter(char c)
{
    c = hostname_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* Returns 0 if the name is invalid, for example because it has a wildcard. */
static size_t hostname_count_labels(const char *name, size_t len)
{
    size_t labels = 0;
    bool in_label = false;

    for (size_t i = 0; i < len; i++) {
        if (name[i] == '.') {
            if (!in_label) {
                return 0;
            }
            in_label = false;
        } else if (!hostname_is_letter(name[i])) {
            return 0;
        } else if (!in_label) {
            labels++;
            in_label = true;
        }
    }
    return in_label ? labels : 0;
}

bool wr_x509_hostname_is_same(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (hostname_lower(a[i]) != hostname_lower(b[i])) {
            return false;
        }
    }
    return true;
}

bool wr_x509_hostname_matches(const char *host, const char *name, size_t len)
{
    const char *compared = host;
    size_t host_len = strlen(host);
    uint8_t ip[WR_X509_IP_SIZE];

    wr_assert(name || len == 0);
    if (host_len > 0 && host[host_len - 1] == '.') {
        host_len--;
    }
    const size_t whole = host_len;
    const bool is_wildcard = len > 2 && name[0] == '*' && name[1] == '.';
    if (is_wildcard) {
        compared = memchr(host, '.', host_len);
        if (!compared) {
            return false;
        }
        host_len -= (size_t)(compared - host);
        name += 1; /* the dot after the asterisk */
        len -= 1;
    }
    if (len == 0 || host_len != len ||
        !wr_x509_hostname_is_same(compared, name, len)) {
        return false;
    }
    const size_t labels =
        hostname_count_labels(name + is_wildcard, len - is_wildcard);
    return labels >= (is_wildcard ? HOSTNAME_LABELS_LEAST : 1) &&
           hostname_count_labels(host, whole) > 0 &&
           wr_x509_hostname_read_ip(host, ip) == 0;
}

bool wr_x509_hostname_is_base(const char *base, size_t len)
{
    const bool is_below = len > 0 && base[0] == '.';

    return len == 0 ||
           hostname_count_labels(base + is_below, len - is_below) > 0;
}

size_t wr_x509_hostname_read_ip(const char *host, uint8_t ret[WR_X509_IP_SIZE])
{
    char text[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];

    _Static_assert(sizeof(struct in6_addr) <= WR_X509_IP_SIZE, "has room");
    wr_assert(host != NULL);
    if (inet_pton(AF_INET, host, ret) == 1) {
        return sizeof(struct in_addr);
    }
    const size_t len = strcspn(host, "%");
    if (len >= sizeof(text)) {
        return 0;
    }
    memcpy(text, host, len);
    text[len] = '\0';
    return inet_pton(AF_INET6, text, ret) == 1 ? sizeof(struct in6_addr) : 0;
}
