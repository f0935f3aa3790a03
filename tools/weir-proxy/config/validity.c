/*
 * Only certificates that the proxy presents are checked, with the chains in
 * their files. The library refuses expired authorities. Files that cannot be
 * read or contain no certificate were refused before.
 */
#include "validity.h"

#include "identities.h"
#include "tools/common/clock.h"
#include "tools/common/console.h"

#include "weir/tls_certificate.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FILE_MAX ((size_t)1 << 20)

/* Certificates are reported if they expire within 14 days and less than a
 * quarter of their lifetime is left. Automatic renewal usually happens earlier:
 * a month before expiry, or when a third of the lifetime is left. */
#define SOON_S INT64_C(1209600)

/* Returns a file's text, or NULL if it cannot be read. Returns "" for a file
 * larger than FILE_MAX. The caller frees the result. */
static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = file ? malloc(FILE_MAX + 1) : NULL;
    size_t len = 0;

    if (text) {
        len = fread(text, 1, FILE_MAX + 1, file);
        text[len <= FILE_MAX ? len : 0] = '\0';
    }
    if (file) {
        fclose(file);
    }
    return text;
}

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c ? strchr(digits, c) : NULL;

    return found ? (int)(found - digits) : -1;
}

static size_t decode(char *text, const char *end)
{
    uint8_t *ret = (uint8_t *)text;
    uint32_t bits = 0;
    unsigned count = 0;
    size_t len = 0;

    for (const char *at = text; at < end; at++) {
        const int digit = digit_of(*at);
        if (digit < 0) {
            continue;
        }
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            ret[len++] = (uint8_t)(bits >> count);
        }
    }
    return len;
}

static void warn(const char *service, const char *path, const char *what,
                 int64_t time_s)
{
    const time_t when = (time_t)time_s;
    struct tm tm;
    char text[32] = "";

    if (gmtime_r(&when, &tm)) {
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    }
    say("%s: warning: a certificate in '%s' %s %s UTC", service, path, what,
        text);
}

/* Checks the dates of a certificate. Returns true if it is not self-issued, so
 * that peers also need its issuer's certificate. */
static bool look_at(const char *service, const char *path, const void *der,
                    size_t size)
{
    struct weir_tls_certificate certificate = {.size = sizeof(certificate)};
    const int64_t now = (int64_t)(clock_wall_ns() / UINT64_C(1000000000));

    if (weir_tls_certificate_read(der, size, &certificate) < 0) {
        return false;
    }
    if (now > certificate.not_after_s) {
        warn(service, path, "expired at", certificate.not_after_s);
    } else if (now < certificate.not_before_s) {
        warn(service, path, "is not valid before", certificate.not_before_s);
    } else if (certificate.not_after_s - now < SOON_S &&
               certificate.not_after_s - now <
                   (certificate.not_after_s - certificate.not_before_s) / 4) {
        warn(service, path, "expires soon, at", certificate.not_after_s);
    }
    return certificate.issuer.size != certificate.subject.size ||
           memcmp(certificate.issuer.data, certificate.subject.data,
                  certificate.issuer.size) != 0;
}

/* The library accepts only these PEM labels for a certificate. */
static bool is_certificate(const char *name)
{
    static const char *const names[] = {"CERTIFICATE-----",
                                        "X509 CERTIFICATE-----"};

    return strncmp(name, names[0], strlen(names[0])) == 0 ||
           strncmp(name, names[1], strlen(names[1])) == 0;
}

static void look_into(const char *service, const char *path)
{
    static const char begin[] = "-----BEGIN ";
    static const char end[] = "-----END";
    char *text = path ? read_file(path) : NULL;
    char *at = text;
    size_t count = 0;
    bool needs_more = false;

    while (at && (at = strstr(at, begin))) {
        const char *name = at + sizeof(begin) - 1;
        char *behind = strstr(name, end);
        at += strcspn(at, "\n");
        if (behind && is_certificate(name)) {
            needs_more = look_at(service, path, at, decode(at, behind));
            count++;
        }
        at = behind;
    }
    if (count == 1 && needs_more) {
        say("%s: warning: '%s' does not contain the issuer's certificate, so "
            "peers must already have it",
            service, path);
    }
    free(text);
}

void validity_warn(const struct config *config)
{
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        struct identities found;
        char why[OPTION_WHY_SIZE];
        (void)!identities_find(service, &found, why);
        for (size_t j = 0; j < found.certs.count; j++) {
            look_into(service->name, found.certs.texts[j]);
        }
        arena_free(&found.arena);
        /* Several routes may have the same certificate for their targets. */
        size_t *firsts =
            hashes_find_firsts(&service->routes[0].to_cert,
                               sizeof(*service->routes), service->route_count);
        for (size_t j = 0; firsts && j < service->route_count; j++) {
            if (firsts[j] == j) {
                look_into(service->name, service->routes[j].to_cert);
            }
        }
        free(firsts);
    }
}
