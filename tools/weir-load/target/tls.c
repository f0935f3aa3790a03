/*
 * Parses the TLS options. An option that is invalid by itself is refused when
 * it is parsed; conflicts are found after all options are parsed. The library
 * checks the contents of files.
 */
#include "target.h"

#include "tools/common/console.h"

#include "weir/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TLS_CODE_FIRST WEIR_ETLSFILE
#define TLS_CODE_COUNT 100

static struct tls_flags *flags_of(void *options, const struct option *option)
{
    return (struct tls_flags *)((char *)options + option->offset);
}

bool tls_read_version(void *options, const struct option *option,
                      const char *value, char *why)
{
    enum weir_tls_version *field =
        (enum weir_tls_version *)((char *)options + option->offset);

    if (strcmp(value, "1.2") != 0 && strcmp(value, "1.3") != 0) {
        return option_refuse(why, "'%.200s' is not 1.2 or 1.3", value);
    }
    *field = value[2] == '2' ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
    return true;
}

bool tls_read_cert(void *options, const struct option *option,
                   const char *value, char *why)
{
    struct tls_flags *flags = flags_of(options, option);

    if (!*value) {
        return option_refuse(why, "it is empty");
    }
    if (flags->identity_count == TLS_IDENTITIES_MAX) {
        return option_refuse(why, "more than %d certificates",
                             TLS_IDENTITIES_MAX);
    }
    flags->identities[flags->identity_count++] = (struct weir_tls_identity){
        .size = sizeof(struct weir_tls_identity), .certificate.file = value};
    return true;
}

/* Parses a key, which belongs to the preceding --cert. */
bool tls_read_key(void *options, const struct option *option, const char *value,
                  char *why)
{
    struct tls_flags *flags = flags_of(options, option);
    struct weir_tls_identity *last =
        flags->identity_count > 0
            ? &flags->identities[flags->identity_count - 1]
            : NULL;

    if (!*value) {
        return option_refuse(why, "it is empty");
    }
    if (!last || last->key.file) {
        return option_refuse(
            why, "'%.200s' needs a --cert of its own before it", value);
    }
    last->key.file = value;
    return true;
}

bool tls_read_client_auth(void *options, const struct option *option,
                          const char *value, char *why)
{
    struct tls_flags *flags = flags_of(options, option);
    const bool is_required = strcmp(value, "required") == 0;

    if (!is_required && strcmp(value, "optional") != 0) {
        return option_refuse(why, "'%.200s' is not optional or required",
                             value);
    }
    flags->has_client_auth = true;
    flags->options.client_auth = is_required ? WEIR_TLS_CLIENT_AUTH_REQUIRED
                                             : WEIR_TLS_CLIENT_AUTH_OPTIONAL;
    return true;
}

bool tls_read_resume(void *options, const struct option *option,
                     const char *value, char *why)
{
    char *end = NULL;
    double share = strtod(value, &end);

    if (strcmp(value, "off") == 0) {
        share = 0;
    } else if (strcmp(value, "ticket") == 0) {
        share = 1;
    } else if (end == value || *end || !(share >= 0 && share <= 1)) {
        return option_refuse(
            why, "'%.200s' is not off, ticket or a share such as 0.9", value);
    }
    flags_of(options, option)->resume_share =
        (uint32_t)(share * TLS_RESUME_ALL + 0.5);
    return true;
}

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

    if (!tls_is_meant(targets, count)) {
        const bool is_http = targets[0].is_http;
        const char *way = is_http ? "https://" : "tls:// or tls+unix:";
        if (flags->given) {
            return option_say(flags->given, "no target has TLS; write %s", way);
        }
        /* -k is often used for plain HTTP, too */
        if (options->no_verify && !is_http) {
            return say("--insecure: no target has TLS; write %s", way);
        }
    }
    if (options->passphrase.file && flags->identity_count == 0) {
        return say("--key-passphrase-file needs --cert");
    }
    if (options->max_version != WEIR_TLS_VERSION_DEFAULT &&
        options->min_version > options->max_version) {
        return say("--tls-min is above --tls-max");
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
        return say("--cert: a client has only one certificate");
    }
    if (flags->resume_share > 0 && flags->options.max_version == WEIR_TLS_1_2) {
        return say(
            "--resume: sessions of TLS 1.2 are not resumed, --tls-max is 1.2");
    }
    if (flags->options.no_verify &&
        (flags->options.authorities.file || flags->options.revocations.file)) {
        return say("--insecure: nothing is verified, so %s has no effect",
                   flags->options.authorities.file ? "--ca" : "--crl");
    }
    for (size_t i = 0; i < count; i++) {
        if (targets[i].is_tls && !targets[i].host[0] && !flags->sni &&
            !flags->options.no_verify) {
            return say(
                "%s: there is no host name to verify; add --sni or --insecure",
                targets[i].text);
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
        return say("a server with TLS needs a certificate: --cert and --key");
    }
    if (flags->has_client_auth && !flags->options.authorities.file) {
        return say("--client-auth: --ca is required");
    }
    if (flags->options.revocations.file && !flags->options.authorities.file) {
        return say("--crl: --ca is required");
    }
    /* Without client_auth, --ca would look like protection but have no
     * effect. */
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
        note_text(t, "tls_group", facts->group, sizeof(facts->group));
        note_text(t, "alpn", facts->alpn, sizeof(facts->alpn));
    }
    return weir_transport_get_extra_info(t, "tls_handshake", &info) >= 0
               ? info.time_ns
               : 0;
}

/* Returns true for TLS errors and for a reset. If a TCP connect fails, the
 * error is another one, such as a refusal. */
bool tls_is_handshake_error(int err)
{
    return (err <= TLS_CODE_FIRST && err > TLS_CODE_FIRST - TLS_CODE_COUNT) ||
           err == -ECONNRESET || err == -EPIPE;
}
