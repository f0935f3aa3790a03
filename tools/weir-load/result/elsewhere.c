/*
 * Suggests another command line if a server redirects or uses another protocol.
 * A redirect's location is resolved as in RFC 3986, section 5.2, but dots in
 * paths are sent unchanged. Another protocol is expected on the same port.
 */
#include "result.h"

#include "tools/common/http_head.h"

#include "weir/error.h"

#include <stdio.h>
#include <string.h>

#ifdef WR_WITHOUT_HTTP2
#define HAS_HTTP2 false
#else
#define HAS_HTTP2 true
#endif

static bool has_error(const struct result *result, enum error_phase phase,
                      int code)
{
    for (size_t i = 0; i < result->errors.kind_count; i++) {
        const struct error_kind *kind = &result->errors.kinds[i];
        if (kind->phase == phase && kind->code == code) {
            return true;
        }
    }
    return false;
}

static const char *find_authority(const char *url, size_t *ret_len)
{
    const char *scheme_end = strstr(url, "://");
    const char *authority = scheme_end ? scheme_end + 3 : url;

    *ret_len = strcspn(authority, "/?#");
    return authority;
}

/* Writes the target's URL with another scheme and the same port. */
static bool change_scheme(const struct target *target, const char *scheme,
                          char ret[ELSEWHERE_SIZE])
{
    size_t len = 0;
    const char *authority = find_authority(target->text, &len);
    const char *host_end = memchr(authority, ']', len);
    const char *rest = host_end ? host_end : authority;
    const bool has_port = memchr(rest, ':', len - (size_t)(rest - authority));
    char port[8] = "";

    if (!has_port) {
        snprintf(port, sizeof(port), ":%u", target->port);
    }
    return snprintf(ret, ELSEWHERE_SIZE, "%s%.*s%s%s", scheme, (int)len,
                    authority, port, authority + len) < ELSEWHERE_SIZE;
}

static bool resolve(const char *base, const char *location,
                    char ret[ELSEWHERE_SIZE])
{
    const size_t location_len = strcspn(location, "#");
    size_t len = 0;
    const char *authority = find_authority(base, &len);
    size_t keep = (size_t)(authority - base) + len;
    const char *slash = "";

    if (strstr(location, "://")) {
        keep = 0;
    } else if (strncmp(location, "//", 2) == 0) {
        keep = (size_t)(authority - base) - 2;
    } else if (location[0] != '/') {
        const size_t path_len = strcspn(base + keep, "?#");
        const char *last = memrchr(base + keep, '/', path_len);
        keep = last ? (size_t)(last - base) + 1 : keep;
        slash = last ? "" : "/";
    }
    return snprintf(ret, ELSEWHERE_SIZE, "%.*s%s%.*s", (int)keep, base, slash,
                    (int)location_len, location) < ELSEWHERE_SIZE;
}

/* Returns true for a certificate that is not trusted, such as a test server's.
 * Many other tools do not verify certificates. */
static bool is_untrusted(const struct result *result)
{
    return has_error(result, PHASE_TLS, WEIR_ETLSSELFSIGNED) ||
           has_error(result, PHASE_TLS, WEIR_ETLSISSUER);
}

/* Returns true if HTTP/2 was requested, but the server has only HTTP/1.1. */
static bool is_http1_only(const struct result *result)
{
    return options_may_speak_http2(result->options) &&
           (has_error(result, PHASE_VALIDATE, ERROR_NOT_HTTP2) ||
            has_error(result, PHASE_TLS, ERROR_NOT_HTTP2) ||
            has_error(result, PHASE_TLS, WEIR_ETLSALPN));
}

const char *elsewhere_reason(const struct result *result)
{
    const bool is_redirect = result->location[0] != '\0';

    return is_redirect            ? "write:"
           : is_untrusted(result) ? "to trust it all the same, write:"
           : has_error(result, PHASE_TLS, WEIR_ETLSPROTOCOL)
               ? "if the server has no TLS, write:"
               : "write:";
}

bool elsewhere_find(const struct result *result, char ret[ELSEWHERE_SIZE])
{
    const struct run_options *options = result->options;
    const struct target *target = &options->targets[0];

    if (options->target_count != 1 || !target->is_http) {
        return false;
    }
    if (result->location[0] != '\0') {
        return resolve(target->text, result->location, ret);
    }
    if (has_error(result, PHASE_VALIDATE, HTTP_E_TLS) ||
        has_error(result, PHASE_VALIDATE, ERROR_WANTS_TLS)) {
        return change_scheme(target, "https://", ret);
    }
    if ((HAS_HTTP2 && has_error(result, PHASE_VALIDATE, HTTP_E_HTTP2)) ||
        is_http1_only(result) || is_untrusted(result)) {
        return snprintf(ret, ELSEWHERE_SIZE, "%s", target->text) <
               ELSEWHERE_SIZE;
    }
    return has_error(result, PHASE_TLS, WEIR_ETLSPROTOCOL) &&
           change_scheme(target, "http://", ret);
}

/* Returns how many arguments, from argv[place] on, must be left out for
 * HTTP/1.1: an option that requests HTTP/2 or applies only to it, and its
 * value. */
static int count_of_http2(const struct run_options *options, int place)
{
    static const char *const with_value[] = {
        "http", "alpn", "window", "conn-window", "max-frame", "header-table"};
    const char *word = options->argv[place];

    if (strncmp(word, "--", 2) != 0) {
        return 0;
    }
    const size_t len = strcspn(word + 2, "=");
    if (strcmp(word, "--http2") == 0) {
        return 1;
    }
    for (size_t i = 0; i < sizeof(with_value) / sizeof(with_value[0]); i++) {
        if (strlen(with_value[i]) == len &&
            strncmp(with_value[i], word + 2, len) == 0) {
            return word[2 + len] == '=' ? 1 : 2;
        }
    }
    return 0;
}

bool elsewhere_write(const struct result *result, const char *url,
                     struct shell_line *ret)
{
    const bool is_http1 = result->location[0] == '\0' && is_http1_only(result);
    const struct run_options *options = result->options;
    const char *text = options->targets[0].text;
    size_t len = 0;
    const char *authority = find_authority(text, &len);

    shell_line_begin(ret, "weir-load");
    for (int i = 1; i < options->argc; i++) {
        const char *word = options->argv[i];
        const int left_out = is_http1 ? count_of_http2(options, i) : 0;
        if (left_out > 0) {
            i += left_out - 1;
            continue;
        }
        shell_line_add(ret,
                       strcmp(word, text) == 0 || strcmp(word, authority) == 0
                           ? url
                           : word);
    }
    if (has_error(result, PHASE_VALIDATE, HTTP_E_HTTP2)) {
        shell_line_add(ret, "--http2");
    }
    if (is_untrusted(result) && result->location[0] == '\0') {
        shell_line_add(ret, "-k");
    }
    return !ret->is_lost;
}
