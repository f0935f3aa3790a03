/*
 * Checks that each directive that was given has what it needs.
 *
 * A directive of [defaults] applies to all services, of which only some may
 * have what it needs: it is refused if none has. So is a directive before the
 * first route, which all routes inherit.
 */
#include "needs.h"

#include "check_plan.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

/* Where to look. The service, the route and the target are set as far as the
 * scope of a need goes. */
struct needs_at {
    const struct config *config;
    const struct config_service *service;
    const struct config_route *route;
    const struct config_target *target;
};

/* ---- what may be needed ---- */

static bool has_log(const struct needs_at *at)
{
    return at->config->log_path != NULL;
}

static bool has_syslog(const struct needs_at *at)
{
    return has_log(at) && strncmp(at->config->log_path, "syslog", 6) == 0;
}

static bool has_client_limit(const struct needs_at *at)
{
    return at->service->client_conns > 0 || at->service->client_rate > 0;
}

static bool has_cert(const struct needs_at *at)
{
    return at->service->certs.count > 0;
}

static bool has_client_ca(const struct needs_at *at)
{
    return at->service->client_ca != NULL;
}

static bool has_client_cert(const struct needs_at *at)
{
    return at->service->needs_client_cert;
}

static bool has_header(const struct needs_at *at)
{
    return at->service->accept_header != HEADER_NONE;
}

static bool has_silent(const struct needs_at *at)
{
    return at->route->as == AS_SILENT;
}

static bool is_first(const struct needs_at *at)
{
    return at->route->balance == BALANCE_FIRST;
}

static bool is_ejecting(const struct needs_at *at)
{
    return config_count_failures(at->route) < UINT32_MAX;
}

static bool is_check_text(const struct needs_at *at)
{
    return at->route->check == WEIR_CHECK_TEXT;
}

static bool is_check_http(const struct needs_at *at)
{
    return at->route->check == WEIR_CHECK_HTTP;
}

static bool has_to_cert(const struct needs_at *at)
{
    return at->route->to_cert != NULL;
}

static bool has_name(const struct needs_at *at)
{
    return at->target->at.address.len == 0;
}

static bool is_backup(const struct needs_at *at)
{
    return at->target->is_backup;
}

static bool has_limit(const struct needs_at *at)
{
    return at->target->limit > 0;
}

static bool sends_header_2(const struct needs_at *at)
{
    return config_header_of(at->route, at->target) == HEADER_V2;
}

static bool is_checked(const struct needs_at *at)
{
    return check_plan_is_checked(at->route, at->target);
}

static bool comes_back(const struct needs_at *at)
{
    return is_checked(at) || is_ejecting(at);
}

static bool is_check_dialogue(const struct needs_at *at)
{
    return is_checked(at) && (is_check_text(at) || is_check_http(at));
}

static bool is_check_over_tls(const struct needs_at *at)
{
    return check_plan_has_tls(at->route, at->target);
}

static bool is_tls_target(const struct needs_at *at)
{
    return at->target->at.is_tls || is_check_over_tls(at);
}

static bool has_tls(const struct needs_at *at)
{
    return at->target->at.is_tls || config_has_tls(at->service);
}

/* ---- the table ---- */

static const struct {
    bool (*is_there)(const struct needs_at *at);
    enum word_scope scope; /* of what the function reads */
    const char *text;      /* "DIRECTIVE needs ..." */
} needs[NEED_COUNT] = {
    [NEED_LOG] = {has_log, SCOPE_PROGRAM, "log = FILE"},
    [NEED_SYSLOG] = {has_syslog, SCOPE_PROGRAM, "log = syslog"},
    [NEED_CLIENT_LIMIT] = {has_client_limit, SCOPE_SERVICE,
                           "client-conns or client-rate"},
    [NEED_CERT] = {has_cert, SCOPE_SERVICE, "a certificate: cert = FILE"},
    [NEED_CLIENT_CA] = {has_client_ca, SCOPE_SERVICE, "client-ca = FILE"},
    [NEED_CLIENT_CERT] = {has_client_cert, SCOPE_SERVICE,
                          "require-client-cert = on"},
    [NEED_HEADER] = {has_header, SCOPE_SERVICE, "accept-proxy = v1, v2 or any"},
    [NEED_SILENT] = {has_silent, SCOPE_ROUTE, "a route with route-as = silent"},
    [NEED_FIRST] = {is_first, SCOPE_ROUTE, "balance = first"},
    [NEED_EJECT] = {is_ejecting, SCOPE_ROUTE, "eject = N"},
    [NEED_CHECK_TEXT] = {is_check_text, SCOPE_ROUTE, "check = text"},
    [NEED_CHECK_HTTP] = {is_check_http, SCOPE_ROUTE, "check = http"},
    [NEED_TO_CERT] = {has_to_cert, SCOPE_ROUTE, "to-cert = FILE"},
    [NEED_NAME] = {has_name, SCOPE_TARGET,
                   "a target with a name, as to = tcp://HOST:PORT"},
    [NEED_TLS] = {has_tls, SCOPE_TARGET, "a 'listen' or 'to' with tls://"},
    [NEED_BACKUP] = {is_backup, SCOPE_TARGET, "a target with backup = on"},
    [NEED_HEADER_2] = {sends_header_2, SCOPE_TARGET, "send-proxy = v2"},
    [NEED_LIMIT] = {has_limit, SCOPE_TARGET, "a target with limit = N"},
    [NEED_RETURN] = {comes_back, SCOPE_TARGET, "a check, or eject = N"},
    [NEED_CHECK] = {is_checked, SCOPE_TARGET,
                    "a check: check = tcp, or another kind"},
    [NEED_CHECK_DIALOGUE] = {is_check_dialogue, SCOPE_TARGET,
                             "a check with text: check = text or http"},
    [NEED_CHECK_TLS] = {is_check_over_tls, SCOPE_TARGET,
                        "checks with TLS: check-tls = on, or check = tls"},
    [NEED_TLS_TARGET] = {is_tls_target, SCOPE_TARGET, "a target with tls://"},
};

/* ---- directives that were given ---- */

/* Returns true if a directive with this value changes nothing. */
static bool is_neutral(const struct option *word, const char *value)
{
    const bool is_choice =
        word->kind == OPTION_CHOICE || word->kind == OPTION_EITHER;

    return value &&
           (strcmp(value, "off") == 0 || strcmp(value, "0") == 0 ||
            strcmp(value, "keep") == 0 || strcmp(value, "as-target") == 0 ||
            (is_choice && strcmp(value, word->choices[0]) == 0));
}

/* Forgets the directive of [defaults] that this one replaces, in the service or
 * route that was begun last. */
static void drop_inherited(struct config *config, const struct config_word *own)
{
    const bool is_of_route = own->word->scope >= SCOPE_ROUTE;
    size_t i = config->word_count;

    while (i > 0) {
        struct config_word *said = &config->words[--i];
        if (said->service != own->service ||
            (is_of_route && said->route != own->route)) {
            return; /* those of one service or route follow each other */
        }
        if (said->is_inherited && said->word == own->word &&
            said->target == own->target) {
            *said = config->words[--config->word_count];
        }
    }
}

bool needs_note(struct config *config, const struct option *word,
                const char *value)
{
    const struct config_service *service = config_service(config);
    const struct config_route *route = config_route(config);
    const struct config_word own = {
        .word = word,
        .line = config->line,
        .is_inherited = config->inherits,
        .service = service ? config->service_count - 1 : 0,
        .route = route ? service->route_count - 1 : 0,
        .target =
            route && route->target_count > 0 ? route->target_count - 1 : 0};

    if (word->need == NEED_NOTHING) {
        return true;
    }
    if (!own.is_inherited) {
        drop_inherited(config, &own);
    }
    if (is_neutral(word, value)) {
        return true;
    }
    struct config_word *larger =
        realloc(config->words, (config->word_count + 1) * sizeof(*larger));
    if (!larger) {
        return false;
    }
    config->words = larger;
    larger[config->word_count++] = own;
    return true;
}

/* ---- the check ---- */

static bool is_in_route(enum need need, struct needs_at at, size_t first,
                        size_t end)
{
    if (needs[need].scope < SCOPE_TARGET || at.route->target_count == 0) {
        return at.route->target_count == 0 || needs[need].is_there(&at);
    }
    for (size_t i = first; i < end; i++) {
        at.target = &at.route->targets[i];
        if (needs[need].is_there(&at)) {
            return true;
        }
    }
    return false;
}

/* A route without a target is passed over: it is refused for that, or the
 * routes after it inherit its directives. */
static bool is_in_service(enum need need, struct needs_at at,
                          const struct config_word *said)
{
    const enum word_scope scope = (enum word_scope)said->word->scope;
    const struct config_route *own = &at.service->routes[said->route];
    const bool is_own = scope >= SCOPE_ROUTE && own->target_count > 0;

    if (needs[need].scope == SCOPE_SERVICE) {
        return needs[need].is_there(&at);
    }
    for (size_t i = 0; i < at.service->route_count; i++) {
        at.route = &at.service->routes[i];
        const bool is_whole = scope < SCOPE_TARGET;
        const size_t end = is_whole ? at.route->target_count : said->target + 1;
        if ((!is_own || at.route == own) &&
            (at.route->target_count > 0 || at.service->route_count == 1) &&
            is_in_route(need, at, is_whole ? 0 : said->target, end)) {
            return true;
        }
    }
    return false;
}

static bool is_met(const struct config *config, const struct config_word *said)
{
    const enum need need = (enum need)said->word->need;
    const bool is_own = said->word->scope > SCOPE_PROGRAM;
    struct needs_at at = {.config = config};

    if (needs[need].scope == SCOPE_PROGRAM) {
        return needs[need].is_there(&at);
    }
    for (size_t i = 0; i < config->service_count; i++) {
        at.service = &config->services[i];
        if ((!is_own || i == said->service) && is_in_service(need, at, said)) {
            return true;
        }
    }
    return false;
}

static bool refuse(struct config *config, const struct config_word *said,
                   char *why)
{
    config->line = said->line;
    return option_refuse(why, "%s needs %s", said->word->name,
                         needs[said->word->need].text);
}

bool needs_check(struct config *config, char *why)
{
    /* By line: some service has what a directive of [defaults] needs. */
    bool *met = calloc(config->line_count + 1, sizeof(*met));
    bool is_good = met || option_refuse(why, "no memory");

    for (size_t i = 0; i < config->word_count && is_good; i++) {
        const struct config_word *said = &config->words[i];
        const bool is_there =
            (said->is_inherited && met[said->line]) || is_met(config, said);
        is_good = is_there || said->is_inherited || refuse(config, said, why);
        met[said->line] = met[said->line] || is_there;
    }
    for (size_t i = 0; i < config->word_count && is_good; i++) {
        const struct config_word *said = &config->words[i];
        is_good =
            !said->is_inherited || met[said->line] || refuse(config, said, why);
    }
    free(met);
    return is_good;
}
