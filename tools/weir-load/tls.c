/*
 * A flag that is wrong by itself is refused when it is read, and one that does
 * not fit the others after all were read. Whether files hold what they should
 * is found out by the library, whose words are passed on.
 *
 * A certificate is never made up: a server without --cert is refused.
 */
#include "tls.h"

#include "tools/common/console.h"

#include "weir/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The codes of TLS among those of error.h. */
#define TLS_CODE_FIRST WEIR_ETLSFILE
#define TLS_CODE_COUNT 100

static const char *const flag_names[] = {
    [TLS_FLAG_CERT - TLS_FLAG_FIRST] = "--cert",
    [TLS_FLAG_KEY - TLS_FLAG_FIRST] = "--key",
    [TLS_FLAG_CA - TLS_FLAG_FIRST] = "--ca",
    [TLS_FLAG_CRL - TLS_FLAG_FIRST] = "--crl",
    [TLS_FLAG_ALPN - TLS_FLAG_FIRST] = "--alpn",
    [TLS_FLAG_CIPHERS - TLS_FLAG_FIRST] = "--ciphers",
    [TLS_FLAG_MIN - TLS_FLAG_FIRST] = "--tls-min",
    [TLS_FLAG_MAX - TLS_FLAG_FIRST] = "--tls-max",
    [TLS_FLAG_INSECURE - TLS_FLAG_FIRST] = "--insecure",
    [TLS_FLAG_SNI - TLS_FLAG_FIRST] = "--sni",
    [TLS_FLAG_CLIENT_AUTH - TLS_FLAG_FIRST] = "--client-auth",
    [TLS_FLAG_TICKETS - TLS_FLAG_FIRST] = "--tickets",
    [TLS_FLAG_RESUME - TLS_FLAG_FIRST] = "--resume",
    [TLS_FLAG_GROUPS - TLS_FLAG_FIRST] = "--groups",
};

/* ---- one flag ---- */

static bool read_version(const char *flag, const char *value,
                         enum weir_tls_version *ret)
{
    if (strcmp(value, "1.2") == 0) {
        *ret = WEIR_TLS_1_2;
    } else if (strcmp(value, "1.3") == 0) {
        *ret = WEIR_TLS_1_3;
    } else {
        say("%s: '%s' is not 1.2 or 1.3", flag, value);
        return false;
    }
    return true;
}

/* Sets ret to whether value is the second of two words. */
static bool read_choice(const char *flag, const char *value,
                        const char *const words[2], bool *ret)
{
    for (int i = 0; i < 2; i++) {
        if (strcmp(value, words[i]) == 0) {
            *ret = i == 1;
            return true;
        }
    }
    say("%s: '%s' is not %s or %s", flag, value, words[0], words[1]);
    return false;
}

static bool add_certificate(struct tls_flags *flags, const char *file)
{
    if (flags->identity_count == TLS_IDENTITIES_MAX) {
        say("--cert: more than %d certificates", TLS_IDENTITIES_MAX);
        return false;
    }
    flags->identities[flags->identity_count++] = (struct weir_tls_identity){
        .size = sizeof(struct weir_tls_identity), .certificate.file = file};
    return true;
}

/* A key belongs to the certificate before it. */
static bool add_key(struct tls_flags *flags, const char *file)
{
    struct weir_tls_identity *last =
        flags->identity_count > 0
            ? &flags->identities[flags->identity_count - 1]
            : NULL;

    if (!last || last->key.file) {
        say("--key: '%s' follows no --cert of its own", file);
        return false;
    }
    last->key.file = file;
    return true;
}

static bool read_client_auth(struct tls_flags *flags, const char *value)
{
    static const char *const words[] = {"optional", "required"};
    bool is_required = false;

    if (!read_choice("--client-auth", value, words, &is_required)) {
        return false;
    }
    flags->has_client_auth = true;
    flags->options.client_auth = is_required ? WEIR_TLS_CLIENT_AUTH_REQUIRED
                                             : WEIR_TLS_CLIENT_AUTH_OPTIONAL;
    return true;
}

static bool read_resume(struct tls_flags *flags, const char *value)
{
    char *end = NULL;
    double share = strtod(value, &end);

    if (strcmp(value, "off") == 0) {
        share = 0;
    } else if (strcmp(value, "ticket") == 0) {
        share = 1;
    } else if (end == value || *end || !(share >= 0 && share <= 1)) {
        say("--resume: '%s' is not off, ticket or a share such as 0.9", value);
        return false;
    }
    flags->resume_share = (uint32_t)(share * TLS_RESUME_ALL + 0.5);
    return true;
}

static bool read_rule(struct tls_flags *flags, int flag, const char *value)
{
    static const char *const on_or_off[] = {"on", "off"};
    struct weir_tls_options *options = &flags->options;

    switch (flag) {
    case TLS_FLAG_MIN:
        return read_version("--tls-min", value, &options->min_version);
    case TLS_FLAG_MAX:
        return read_version("--tls-max", value, &options->max_version);
    case TLS_FLAG_CLIENT_AUTH:
        return read_client_auth(flags, value);
    case TLS_FLAG_TICKETS:
        return read_choice("--tickets", value, on_or_off, &options->no_tickets);
    case TLS_FLAG_RESUME:
        return read_resume(flags, value);
    default:
        options->no_verify = true; /* --insecure */
        return true;
    }
}

bool tls_read_flag(struct tls_flags *flags, int flag, const char *value)
{
    const char *name = flag_names[flag - TLS_FLAG_FIRST];

    if (!flags->first || strcmp(flags->first, "--insecure") == 0) {
        flags->first = name;
    }
    if (value && *value == '\0') {
        say("%s: it is empty", name);
        return false;
    }
    switch (flag) {
    case TLS_FLAG_CERT:
        return add_certificate(flags, value);
    case TLS_FLAG_KEY:
        return add_key(flags, value);
    case TLS_FLAG_CA:
        flags->options.authorities.file = value;
        return true;
    case TLS_FLAG_CRL:
        flags->options.revocations.file = value;
        return true;
    case TLS_FLAG_ALPN:
        flags->options.alpn = value;
        return true;
    case TLS_FLAG_CIPHERS:
        flags->options.ciphers = value;
        return true;
    case TLS_FLAG_GROUPS:
        flags->options.groups = value;
        return true;
    case TLS_FLAG_SNI:
        flags->sni = value;
        return true;
    default:
        return read_rule(flags, flag, value);
    }
}

/* ---- all flags ---- */

bool tls_is_meant(const struct target *targets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (targets[i].is_tls) {
            return true;
        }
    }
    return false;
}

static bool check_both(const struct tls_flags *flags,
                       const struct target *targets, size_t count)
{
    const struct weir_tls_options *options = &flags->options;

    /* Of HTTP -k is a habit. */
    const bool is_habit = flags->first && targets[0].is_http &&
                          strcmp(flags->first, "--insecure") == 0;
    if (flags->first && !is_habit && !tls_is_meant(targets, count)) {
        say("%s: no target has TLS; write %s", flags->first,
            targets[0].is_http ? "https://" : "tls:// or tls+unix:");
        return false;
    }
    if (options->max_version != WEIR_TLS_VERSION_DEFAULT &&
        options->min_version > options->max_version) {
        say("--tls-min is above --tls-max");
        return false;
    }
    return true;
}

bool tls_check_run(const struct tls_flags *flags, const struct target *targets,
                   size_t count)
{
    if (!check_both(flags, targets, count)) {
        return false;
    }
    if (flags->identity_count > 1) {
        say("--cert: a client has one certificate");
        return false;
    }
    if (flags->resume_share > 0 && flags->options.max_version == WEIR_TLS_1_2) {
        say("--resume: sessions of TLS 1.2 are not resumed, --tls-max is 1.2");
        return false;
    }
    if (flags->options.no_verify &&
        (flags->options.authorities.file || flags->options.revocations.file)) {
        say("--insecure: nothing is verified, so %s has no meaning",
            flags->options.authorities.file ? "--ca" : "--crl");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (targets[i].is_tls && !targets[i].host[0] && !flags->sni &&
            !flags->options.no_verify) {
            say("%s: there is no host whose name could be verified; give --sni "
                "or --insecure",
                targets[i].text);
            return false;
        }
    }
    return true;
}

bool tls_check_serve(struct tls_flags *flags, const struct target *targets,
                     size_t count)
{
    if (!check_both(flags, targets, count)) {
        return false;
    }
    if (tls_is_meant(targets, count) && flags->identity_count == 0) {
        say("a server with TLS needs a certificate: --cert and --key");
        return false;
    }
    if (flags->has_client_auth && !flags->options.authorities.file) {
        say("--client-auth: --ca must say whose certificates are good");
        return false;
    }
    if (flags->options.revocations.file && !flags->options.authorities.file) {
        say("--crl: --ca must say whose certificates are good");
        return false;
    }
    /* Authorities that are asked for nothing would look like protection. */
    if (flags->options.authorities.file && !flags->has_client_auth) {
        flags->options.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
    }
    return true;
}

const char *tls_version_name(enum weir_tls_version version)
{
    switch (version) {
    case WEIR_TLS_1_2:
        return "1.2";
    case WEIR_TLS_1_3:
        return "1.3";
    default:
        return "default";
    }
}

/* ---- handshakes ---- */

static void note_text(const weir_transport *t, const char *name, char *ret,
                      size_t size)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    if (weir_transport_get_extra_info(t, name, &info) >= 0) {
        snprintf(ret, size, "%.*s", (int)info.len, info.text);
    }
}

uint64_t tls_note_handshake(struct tls_facts *facts, const weir_transport *t)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    bool is_resumed =
        weir_transport_get_extra_info(t, "tls_resumed", &info) >= 0 &&
        info.number > 0;

    facts->resumed += is_resumed;
    facts->full += !is_resumed;
    if (!facts->version[0]) {
        note_text(t, "tls_version", facts->version, sizeof(facts->version));
        note_text(t, "cipher", facts->cipher, sizeof(facts->cipher));
        note_text(t, "alpn", facts->alpn, sizeof(facts->alpn));
    }
    return weir_transport_get_extra_info(t, "tls_handshake", &info) >= 0
               ? info.time_ns
               : 0;
}

/* A reset ends a connection that stands; one that could not be made is refused.
 */
bool tls_is_handshake_error(int err)
{
    return (err <= TLS_CODE_FIRST && err > TLS_CODE_FIRST - TLS_CODE_COUNT) ||
           err == -ECONNRESET || err == -EPIPE;
}
