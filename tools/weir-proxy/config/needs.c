/*
 * Facts are bits, each set if it is true for a service, a route or a target.
 * Needs and rules are rows of tables, with conditions on these bits.
 *
 * A directive of [defaults] applies to all services, and is refused only if no
 * service has what the directive needs. In the same way a directive before the
 * first route is refused only if no route has what it needs.
 */
#include "needs.h"

#include "check_plan.h"
#include "words.h"

#include <stdlib.h>
#include <string.h>

/* Additional facts, used only by rules. */
enum {
    FACT_TLS_LISTEN = NEED_COUNT,
    FACT_PLAIN_LISTEN,
    FACT_TLVS, /* a PROXY header may name the server */
    FACT_SAYS_PLAIN,
    FACT_SHORT, /* hello-timeout <= silent-after */
    FACT_AS_TLS,
    FACT_AS_PLAIN,
    FACT_SERVER_NAME,
    FACT_ALPN,
    FACT_HELLO, /* a server name, or alpn */
    FACT_BEGIN,
    FACT_PASSES,
    FACT_SNI,
    FACT_STAYS_AND_CUTS,
    FACT_ANY_CHECK,
    FACT_CHECK_TLS,
    FACT_CHECK_CLEAR,
    FACT_STEPS,
    FACT_TO_TLS,
    FACT_VERIFIED,   /* the certificate's name is known or is not verified */
    FACT_FROM_OTHER, /* local address of another family than the target */
    FACT_FROM_OTHER_CHECK,
    FACT_NO_PORT,      /* a check of a Unix socket at another port */
    FACT_UNCLEAR_PORT, /* the check uses another port, without a check-tls */
    FACT_CLEAR_CHECK_AT,
    FACT_CHECK_VERIFIED,
    FACT_NAMED_BY_SNI,
    FACT_CLIENT_CA, /* client-ca in the service or in [defaults] */
    FACT_COUNT,
};

_Static_assert(FACT_COUNT - NEED_LOG <= 64, "facts are bits");

#define BIT(fact)       (UINT64_C(1) << ((fact)-NEED_LOG))
#define IF(holds, fact) ((holds) ? BIT(fact) : 0)

static uint64_t facts_of_program(const struct config *config)
{
    const char *log = config->log_path;

    return IF(log, NEED_LOG) |
           IF(log && strncmp(log, "syslog", 6) == 0, NEED_SYSLOG);
}

static bool has_ip_listen(const struct config_service *service)
{
    size_t i = 0;

    while (i < service->listen_count &&
           config_is_unix(&service->listens[i].address)) {
        i++;
    }
    return i < service->listen_count;
}

/* Returns true if a service without PROXY headers reads a ClientHello, or a
 * client's first bytes, before it terminates TLS or chooses a route. */
static bool reads_hello(const struct config_service *service)
{
    bool reads =
        config_has_tls(service) &&
        (service->client_conns > 0 || service->client_rate > 0 ||
         service->client_allow.count > 0 || service->client_deny.count > 0);

    for (size_t i = 0; i < service->listen_count; i++) {
        reads |= service->listens[i].is_any;
    }
    for (size_t i = 0; i < service->route_count; i++) {
        const struct config_route *route = &service->routes[i];
        reads |= route->passes_tls || route->begin_count > 0 ||
                 route->as == AS_SILENT;
    }
    return reads;
}

static uint64_t facts_of_service(const struct config_service *service)
{
    const bool opens_tls = config_opens_tls(service);
    const bool has_cert = opens_tls && service->certs.count > 0;

    return IF(service->client_conns > 0 || service->client_rate > 0,
              NEED_CLIENT_LIMIT) |
           IF(service->accept_header != HEADER_NONE || has_ip_listen(service),
              NEED_CLIENT_ADDRESS) |
           IF(opens_tls, NEED_OPENS_TLS) | IF(has_cert, NEED_CERT) |
           IF(has_cert && service->client_ca, NEED_CLIENT_CA) |
           IF(has_cert && service->client_ca && service->needs_client_cert,
              NEED_CLIENT_CERT) |
           IF(service->client_ca, FACT_CLIENT_CA) |
           IF(service->accept_header != HEADER_NONE, NEED_HEADER) |
           IF(service->accept_header != HEADER_NONE || reads_hello(service),
              NEED_HELLO) |
           IF(config_has_tls(service), FACT_TLS_LISTEN) |
           IF(!config_is_tls_alone(service), FACT_PLAIN_LISTEN) |
           IF(config_takes_tlvs(service), FACT_TLVS) |
           IF(config_says_plain(service), FACT_SAYS_PLAIN) |
           IF(service->silent_after_ns >= service->hello_timeout_ns,
              FACT_SHORT);
}

static uint64_t facts_of_route(const struct config_route *route)
{
    const bool has_alpn = route->alpn.count > 0;
    const bool is_ejecting = config_count_failures(route) < UINT32_MAX;

    return IF(route->as == AS_SILENT, NEED_SILENT) |
           IF(route->balance == BALANCE_FIRST, NEED_FIRST) |
           IF(is_ejecting, NEED_EJECT) |
           IF(route->check == WEIR_UPSTREAM_CHECK_TEXT, NEED_CHECK_TEXT) |
           IF(route->check == WEIR_UPSTREAM_CHECK_HTTP, NEED_CHECK_HTTP) |
           IF(route->to_cert, NEED_TO_CERT) |
           IF(route->as == AS_TLS, FACT_AS_TLS) |
           IF(route->as == AS_PLAIN, FACT_AS_PLAIN) |
           IF(route->server_name, FACT_SERVER_NAME) | IF(has_alpn, FACT_ALPN) |
           IF(route->server_name || has_alpn, FACT_HELLO) |
           IF(route->begin_count > 0, FACT_BEGIN) |
           IF(route->passes_tls, FACT_PASSES) |
           IF(route->balance == BALANCE_SNI, FACT_SNI) |
           IF(route->stays && route->when_back.is_cut, FACT_STAYS_AND_CUTS) |
           IF(route->is_checked, FACT_ANY_CHECK) |
           IF(route->check == WEIR_UPSTREAM_CHECK_TLS, FACT_CHECK_TLS) |
           IF(route->check_tls == CHECK_TLS_OFF, FACT_CHECK_CLEAR) |
           IF(route->check_step_count > 0, FACT_STEPS);
}

static bool is_other_family(const struct weir_address *one,
                            const struct weir_address *other)
{
    return one->len > 0 && other->len > 0 &&
           one->storage.any.sa_family != other->storage.any.sa_family;
}

static uint64_t facts_of_name(const struct config_target *target)
{
    const struct config_target_check *check = &target->check;
    const bool is_name = target->at.address.len == 0;
    const bool has_check_name =
        check->has_at && check->at.host[0] && check->at.address.len == 0;

    return IF(is_name && !target->is_sni, NEED_NAME) |
           IF(is_name || has_check_name, NEED_LOOKUP) |
           IF(target->is_sni, FACT_NAMED_BY_SNI);
}

static bool has_tlvs(const struct config_service *service,
                     const struct config_route *route)
{
    const bool is_told =
        (route->send_tlvs & CONFIG_TLV_SSL) != 0 || service->alpn.count > 0;

    return config_takes_tlvs(service) ||
           ((route->send_tlvs & CONFIG_TLV_AUTHORITY) != 0
                ? config_has_tls(service)
                : is_told && config_opens_tls(service));
}

static uint64_t facts_of_target(const struct needs_at *at)
{
    const struct config_route *route = at->route;
    const struct config_target *target = at->target;
    const struct config_target_check *check = &target->check;
    const bool is_checked = check_plan_is_checked(route, target);
    const bool is_over_tls = check_plan_has_tls(route, target);
    const bool is_dialogue = route->check == WEIR_UPSTREAM_CHECK_TEXT ||
                             route->check == WEIR_UPSTREAM_CHECK_HTTP;
    const bool is_unix_target = config_is_unix(&target->at.address);
    const bool is_first = route->balance == BALANCE_FIRST;
    const bool has_tls = target->at.is_tls || is_over_tls;
    const bool uses_authorities = /* of the route */
        !target->tls_ca && !route->to_insecure &&
        (target->at.is_tls ||
         (is_over_tls && !check_plan_has_own_authorities(route)));
    /* Index of the first preferred target that is checked. A backup's
     * connections may be cut when such a target is up again. */
    size_t first = target->is_backup ? 0 : route->target_count;

    while (first < route->target_count &&
           (route->targets[first].is_backup ||
            !check_plan_is_checked(route, &route->targets[first]))) {
        first++;
    }
    return facts_of_name(target) |
           IF(!is_unix_target || has_ip_listen(at->service), NEED_KEEPALIVE) |
           IF(target->from.len > 0, NEED_FROM) | IF(!is_first, NEED_WEIGHTS) |
           IF(target->is_backup, NEED_BACKUP) |
           IF(first < route->target_count, NEED_BACK) |
           IF(target->limit > 0, NEED_LIMIT) |
           IF((at->service->rate_in_bytes == 0 ||
               at->service->rate_out_bytes == 0) &&
                  !target->at.is_tls &&
                  (route->passes_tls || !config_is_tls_alone(at->service)),
              NEED_SPLICE) |
           IF(config_header_of(route, target) == HEADER_V2 &&
                  has_tlvs(at->service, route),
              NEED_HEADER_2) |
           IF(is_checked, NEED_CHECK) | IF(is_checked, FACT_ANY_CHECK) |
           IF(!is_first &&
                  (is_checked || config_count_failures(route) < UINT32_MAX),
              NEED_RETURN) |
           IF(is_checked && !check->has_at, NEED_CHECK_PLACE) |
           IF(is_checked && !check->has_at && is_dialogue,
              NEED_CHECK_DIALOGUE) |
           IF(is_over_tls, NEED_CHECK_TLS) |
           IF(is_over_tls && !route->check_insecure, NEED_CHECK_CA) |
           IF(has_tls, NEED_TLS_TARGET) | IF(uses_authorities, NEED_TO_CA) |
           IF(target->at.is_tls || config_opens_tls(at->service), NEED_TLS) |
           IF(target->at.is_tls, FACT_TO_TLS) |
           IF(config_tls_name_of(route, target) ||
                  config_is_insecure(route, target),
              FACT_VERIFIED) |
           IF(is_other_family(&target->from, &target->at.address),
              FACT_FROM_OTHER) |
           IF(check->has_at && !target->inherits_from &&
                  !config_is_unix(&check->at.address) &&
                  is_other_family(&target->from, &check->at.address),
              FACT_FROM_OTHER_CHECK) |
           IF(is_unix_target && is_checked &&
                  (check->has_at ? check_plan_is_port_alone(&check->at)
                                 : route->check_port > 0),
              FACT_NO_PORT) |
           IF(route->check_port > 0 && is_checked && !check->has_at &&
                  is_dialogue && route->check_tls == CHECK_TLS_UNSAID,
              FACT_UNCLEAR_PORT) |
           IF(check->has_at && !check->at.is_tls, FACT_CLEAR_CHECK_AT) |
           IF(check_plan_is_verifiable(route, target), FACT_CHECK_VERIFIED);
}

static uint64_t facts_of(const struct needs_at *at, enum word_scope scope)
{
    return scope == SCOPE_PROGRAM   ? facts_of_program(at->config)
           : scope == SCOPE_SERVICE ? facts_of_service(at->service)
           : scope == SCOPE_ROUTE   ? facts_of_route(at->route)
                                    : facts_of_target(at);
}

static const struct {
    enum word_scope scope;
    const char *text; /* "DIRECTIVE needs ..." */
} needs[NEED_COUNT] = {
    [NEED_LOG] = {SCOPE_PROGRAM, "log = FILE"},
    [NEED_SYSLOG] = {SCOPE_PROGRAM, "log = syslog"},
    [NEED_CLIENT_ADDRESS] =
        {SCOPE_SERVICE,
         "a 'listen' that is not a Unix socket, or accept-proxy"},
    [NEED_CLIENT_LIMIT] = {SCOPE_SERVICE, "client-conns or client-rate"},
    [NEED_OPENS_TLS] =
        {SCOPE_SERVICE,
         "a route that terminates TLS: a 'listen' with tls:// or any://, and a "
         "route without passthrough that also accepts clients with TLS"},
    [NEED_CERT] =
        {SCOPE_SERVICE,
         "a certificate, cert = FILE, and a route that terminates TLS"},
    [NEED_CLIENT_CA] = {SCOPE_SERVICE, "client-ca = FILE"},
    [NEED_CLIENT_CERT] = {SCOPE_SERVICE,
                          "client-ca = FILE and require-client-cert = on"},
    [NEED_HEADER] = {SCOPE_SERVICE, "accept-proxy = v1, v2 or any"},
    [NEED_HELLO] = {SCOPE_SERVICE,
                    "accept-proxy, a 'listen' with any://, passthrough, "
                    "route-begin, route-as = silent, or a limit of clients "
                    "with TLS; handshake-timeout limits a TLS handshake"},
    [NEED_SILENT] = {SCOPE_ROUTE, "a route with route-as = silent"},
    [NEED_FIRST] = {SCOPE_ROUTE, "balance = first"},
    [NEED_EJECT] = {SCOPE_ROUTE, "eject = N"},
    [NEED_CHECK_TEXT] = {SCOPE_ROUTE, "check = text"},
    [NEED_CHECK_HTTP] = {SCOPE_ROUTE, "check = http"},
    [NEED_TO_CERT] = {SCOPE_ROUTE, "to-cert = FILE"},
    [NEED_NAME] = {SCOPE_TARGET,
                   "a target with a name, as to = tcp://HOST:PORT"},
    [NEED_LOOKUP] = {SCOPE_TARGET,
                     "a target with a name, as to = tcp://HOST:PORT or "
                     "sni:PORT"},
    [NEED_TLS] = {SCOPE_TARGET,
                  "a 'listen' or 'to' with tls://, and not passthrough"},
    [NEED_KEEPALIVE] = {SCOPE_TARGET,
                        "a 'listen' or 'to' that is not a Unix socket"},
    [NEED_FROM] = {SCOPE_TARGET, "a target of its address family"},
    [NEED_WEIGHTS] = {SCOPE_TARGET, "a balance other than first"},
    [NEED_BACKUP] = {SCOPE_TARGET, "a target with backup = on"},
    [NEED_BACK] = {SCOPE_TARGET,
                   "a target with backup = on, and a check of another target"},
    [NEED_HEADER_2] = {SCOPE_TARGET,
                       "send-proxy = v2, and a 'listen' with tls:// or any:// "
                       "or accept-proxy = v2; ssl and alpn need a route that "
                       "terminates TLS, and alpn needs alpn = LIST"},
    [NEED_LIMIT] = {SCOPE_TARGET, "a target with limit = N"},
    [NEED_SPLICE] = {SCOPE_TARGET,
                     "a 'listen' and a 'to' without TLS, and a direction "
                     "without rate-in or rate-out"},
    [NEED_RETURN] = {SCOPE_TARGET,
                     "a check, or eject = N, and a balance other than first"},
    [NEED_CHECK] = {SCOPE_TARGET, "a check of a target: check = tcp, or "
                                  "another kind, and not target-check = off"},
    [NEED_CHECK_PLACE] = {SCOPE_TARGET, "a check of a target without check-at"},
    [NEED_CHECK_DIALOGUE] = {SCOPE_TARGET,
                             "a check with text: check = text or http, of a "
                             "target without check-at"},
    [NEED_CHECK_TLS] = {SCOPE_TARGET,
                        "checks with TLS: check-tls = on, or check = tls"},
    [NEED_CHECK_CA] = {SCOPE_TARGET,
                       "checks with TLS, and not check-insecure = on"},
    [NEED_TLS_TARGET] = {SCOPE_TARGET, "a target with tls://"},
    [NEED_TO_CA] = {SCOPE_TARGET, "a target with tls:// and without "
                                  "target-tls-ca, and not to-insecure = on"},
};

static bool is_there(enum need need, const struct needs_at *at)
{
    return (facts_of(at, needs[need].scope) & BIT(need)) != 0;
}

#define LISTEN_TLS  " needs a 'listen' with tls:// or any://"
#define TLS_OR_TLVS (BIT(FACT_TLS_LISTEN) | BIT(FACT_TLVS))
#define CLIENT_CA                                                              \
    "client-ca needs tls:// at every 'listen', or route-as for each route "    \
    "and a route that terminates TLS"
#define SILENT                                                                 \
    "route-as silent is for clients that send nothing: no name, no alpn and "  \
    "no begin"

/* A configuration is refused if all facts of @all are true and none of @needs
 * is. A message about a target begins with its name. Targets are checked before
 * their route. */
static const struct rule {
    const char *name; /* directive whose line is printed */
    enum word_scope scope;
    uint64_t all;
    uint64_t needs;
    const char *text;
} rules[] = {
    {"client-ca", SCOPE_SERVICE, BIT(FACT_CLIENT_CA), BIT(FACT_SAYS_PLAIN),
     CLIENT_CA},
    {"client-ca", SCOPE_SERVICE, BIT(FACT_CLIENT_CA) | BIT(FACT_PLAIN_LISTEN),
     BIT(NEED_CERT), CLIENT_CA},
    {"route-alpn", SCOPE_ROUTE, BIT(FACT_ALPN), TLS_OR_TLVS,
     "route-alpn" LISTEN_TLS},
    {"route-begin", SCOPE_ROUTE,
     BIT(FACT_AS_TLS) | BIT(FACT_BEGIN) | BIT(FACT_PASSES), 0,
     "route-begin needs decrypted bytes here, and passthrough does not "
     "decrypt"},
    {"route-as", SCOPE_ROUTE, BIT(NEED_SILENT) | BIT(FACT_HELLO), 0, SILENT},
    {"route-as", SCOPE_ROUTE, BIT(NEED_SILENT) | BIT(FACT_BEGIN), 0, SILENT},
    {"route-as", SCOPE_ROUTE, BIT(FACT_AS_TLS), BIT(FACT_TLS_LISTEN),
     "route-as tls" LISTEN_TLS},
    {"route-as", SCOPE_ROUTE, BIT(FACT_AS_PLAIN), BIT(FACT_PLAIN_LISTEN),
     "route-as plain needs a 'listen' other than tls://, such as any://"},
    {"route-as", SCOPE_ROUTE, BIT(FACT_AS_PLAIN) | BIT(FACT_HELLO),
     BIT(FACT_TLVS),
     "route-as plain is for clients without TLS: no name and no alpn"},
    {"silent-after", SCOPE_ROUTE, BIT(NEED_SILENT) | BIT(FACT_SHORT), 0,
     "silent-after must be less than hello-timeout"},
    {"passthrough", SCOPE_ROUTE, BIT(FACT_PASSES), BIT(FACT_TLS_LISTEN),
     "passthrough" LISTEN_TLS},
    {"route", SCOPE_ROUTE, BIT(FACT_SERVER_NAME), TLS_OR_TLVS,
     "route" LISTEN_TLS},
    {"balance", SCOPE_ROUTE, BIT(FACT_SNI), TLS_OR_TLVS,
     "balance sni" LISTEN_TLS},
    {"check-tls", SCOPE_ROUTE, BIT(FACT_CHECK_CLEAR) | BIT(FACT_CHECK_TLS), 0,
     "check-tls off contradicts check tls: set check-tls = as-target"},
    {"stay", SCOPE_ROUTE, BIT(FACT_STAYS_AND_CUTS), 0,
     "when-back cut contradicts stay: remove one of them"},
    {"check", SCOPE_ROUTE, BIT(NEED_CHECK_TEXT) | BIT(FACT_ANY_CHECK),
     BIT(FACT_STEPS), "check text needs check-send or check-expect"},
    {"from", SCOPE_TARGET, BIT(FACT_FROM_OTHER), 0,
     ": from is of another address family"},
    {"check-at", SCOPE_TARGET, BIT(FACT_FROM_OTHER_CHECK), 0,
     ": check-at and from are of different address families"},
    {"to", SCOPE_TARGET, BIT(FACT_PASSES) | BIT(FACT_TO_TLS), 0,
     ": a route with passthrough needs a target with tcp:// or unix:, because "
     "the client's TLS is forwarded"},
    {"to", SCOPE_TARGET, BIT(FACT_TO_TLS), BIT(FACT_VERIFIED),
     ": to-name is required: the name that its certificate must have"},
    {"to", SCOPE_TARGET, BIT(FACT_NAMED_BY_SNI), BIT(FACT_PASSES),
     " needs passthrough = on: the name is read from the forwarded "
     "ClientHello"},
    {"check", SCOPE_TARGET, BIT(FACT_NAMED_BY_SNI) | BIT(NEED_CHECK), 0,
     " is a name that clients choose, and cannot be checked: set "
     "target-check = off"},
    {"eject", SCOPE_TARGET, BIT(FACT_NAMED_BY_SNI) | BIT(NEED_EJECT), 0,
     " is a name that clients choose, and cannot be ejected: set eject = 0 in "
     "its service"},
    {"check-port", SCOPE_TARGET, BIT(FACT_NO_PORT) | BIT(NEED_CHECK_PLACE), 0,
     " has no other port to check"},
    {"check-at", SCOPE_TARGET, BIT(FACT_NO_PORT), 0,
     " has no other port to check"},
    {"check-port", SCOPE_TARGET, BIT(FACT_UNCLEAR_PORT) | BIT(FACT_TO_TLS), 0,
     ": check-port needs check-tls, because that port may have TLS or not: "
     "as-target, on or off"},
    {"check-at", SCOPE_TARGET, BIT(FACT_CLEAR_CHECK_AT) | BIT(FACT_CHECK_TLS),
     0, ": check tls needs a check-at with tls://"},
    {"check", SCOPE_TARGET, BIT(NEED_CHECK_TLS), BIT(FACT_CHECK_VERIFIED),
     ": check-name is required: the name that the certificate must have in "
     "checks"},
    {"check", SCOPE_ROUTE, BIT(FACT_CHECK_TLS) | BIT(FACT_ANY_CHECK),
     BIT(NEED_TLS_TARGET), "check tls needs a target with tls://"},
};

static bool is_neutral(const struct option *word, const char *value)
{
    const bool is_choice =
        word->kind == OPTION_CHOICE || word->kind == OPTION_EITHER;

    if (value && word->need == NEED_CLIENT_ADDRESS) {
        /* A file of networks may contain "unix". */
        return is_choice ? strcmp(value, "source") != 0
                         : value[0] == '@' || strcmp(value, "unix") == 0;
    }
    return value &&
           (strcmp(value, "off") == 0 || strcmp(value, "0") == 0 ||
            (word->need == NEED_FROM && strcmp(value, "any") == 0) ||
            (word->need == NEED_LIMIT && strncmp(value, "0:", 2) == 0) ||
            strcmp(value, "keep") == 0 || strcmp(value, "as-target") == 0 ||
            (is_choice && strcmp(value, word->choices[0]) == 0));
}

/* Removes the [defaults] directive that @own replaces. */
static void drop_inherited(struct config *config, const struct config_word *own)
{
    const bool is_of_route = own->word->scope >= SCOPE_ROUTE;
    const bool is_of_target = own->word->scope >= SCOPE_TARGET;
    size_t i = config->word_count;

    while (i > 0) {
        struct config_word *said = &config->words[--i];
        if (said->service != own->service ||
            (is_of_route && said->route != own->route) ||
            (is_of_target && said->target != own->target)) {
            return; /* entries of one service, route or target are adjacent */
        }
        if (said->is_inherited && said->word == own->word &&
            said->target == own->target) {
            memmove(said, said + 1,
                    (size_t)(&config->words[--config->word_count] - said) *
                        sizeof(*said));
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
        .needs_nothing = word->need == NEED_LINE || is_neutral(word, value),
        .service = service ? config->service_count - 1 : 0,
        .route = route ? config_number_route(service, route) : 0,
        .target =
            route && route->target_count > 0 ? route->target_count - 1 : 0};

    if (word->need == NEED_NOTHING) {
        return true;
    }
    if (!own.is_inherited && !word->repeats) {
        drop_inherited(config, &own);
    }
    return arena_add(&config->arena, &config->words, &config->word_count, &own,
                     sizeof(own));
}

/* Returns the first target to which a directive about @last applies. This is
 * not @last if @last ends a list of targets. */
static size_t first_of(const struct config_route *route, size_t last)
{
    const size_t count = route->targets[last].list_count;

    return last - (count > 0 ? count - 1 : 0);
}

/* Returns true if a directive applies to an object or, without @at->target, to
 * a target of its route. One before the first route applies to all routes. */
static bool applies(const struct config_word *said, const struct needs_at *at)
{
    const int scope = said->word->scope;
    const struct config_route *route = at->route;

    return scope == SCOPE_PROGRAM ||
           (at->service == &at->config->services[said->service] &&
            (scope < SCOPE_ROUTE ||
             (said->route == 0 && at->service->routes[0].is_begun) ||
             said->route == config_number_route(at->service, route)) &&
            (scope < SCOPE_TARGET || !at->target ||
             (&route->targets[said->target] >= at->target &&
              &route->targets[first_of(route, said->target)] <= at->target)));
}

static bool is_in_service(struct needs_at at, const struct config_word *said)
{
    const enum need need = (enum need)said->word->need;
    const bool is_whole = said->word->scope < SCOPE_TARGET;

    for (size_t i = 0; i < at.service->route_count; i++) {
        at.route = &at.service->routes[i];
        at.target = NULL;
        if (!applies(said, &at)) {
            continue;
        }
        const size_t end = is_whole ? at.route->target_count : said->target + 1;
        size_t j = is_whole ? 0 : first_of(at.route, said->target);
        for (; j < end; j++) {
            at.target = &at.route->targets[j];
            if (is_there(need, &at)) {
                return true;
            }
        }
    }
    return false;
}

static bool is_met(const struct config *config, const struct config_word *said)
{
    const enum need need = (enum need)said->word->need;
    const bool is_own = said->word->scope > SCOPE_PROGRAM;
    struct needs_at at = {.config = config};

    if (said->needs_nothing || needs[need].scope == SCOPE_PROGRAM) {
        return said->needs_nothing || is_there(need, &at);
    }
    for (size_t i = 0; i < config->service_count; i++) {
        at.service = &config->services[i];
        if ((!is_own || i == said->service) && is_in_service(at, said)) {
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
    /* met[line] is true if any service has what the directive on this line
     * needs. Several services may use a line of [defaults] or of [targets]. */
    bool *met = calloc(config->line_count + 1, sizeof(*met));
    bool is_good = met || option_refuse(why, "no memory");

    for (size_t i = 0; i < config->word_count && is_good; i++) {
        const struct config_word *said = &config->words[i];
        met[said->line] = met[said->line] || is_met(config, said);
    }
    for (size_t i = 0; i < config->word_count && is_good; i++) {
        const struct config_word *said = &config->words[i];
        is_good = (said->line > 0 ? met[said->line] : is_met(config, said)) ||
                  refuse(config, said, why);
    }
    free(met);
    return is_good;
}

unsigned needs_line(const struct needs_at *at, const char *name)
{
    for (size_t i = at->config->word_count; i-- > 0;) {
        const struct config_word *said = &at->config->words[i];
        if (strcmp(said->word->name, name) == 0 && applies(said, at)) {
            return said->line;
        }
    }
    return at->target    ? at->target->line
           : at->route   ? at->route->line
           : at->service ? at->service->line
                         : 0;
}

static bool check_rules(struct config *config, const struct needs_at *at,
                        enum word_scope scope, uint64_t facts, char *why)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct rule *rule = &rules[i];
        if (rule->scope == scope && (facts & rule->all) == rule->all &&
            (facts & rule->needs) == 0) {
            config->line = needs_line(at, rule->name);
            return at->target ? option_refuse(why, "'%s'%s",
                                              at->target->at.text, rule->text)
                              : option_refuse(why, "%s", rule->text);
        }
    }
    return true;
}

bool needs_check_service(struct config *config,
                         const struct config_service *service, char *why)
{
    const uint64_t facts = facts_of_service(service);
    struct needs_at at = {.config = config, .service = service};
    bool is_good = check_rules(config, &at, SCOPE_SERVICE, facts, why);

    for (size_t i = 0; i < service->route_count && is_good; i++) {
        at.route = &service->routes[i];
        uint64_t of_route = facts | facts_of_route(at.route);
        for (size_t j = 0; j < at.route->target_count && is_good; j++) {
            at.target = &at.route->targets[j];
            const uint64_t its = facts_of_target(&at);
            is_good =
                check_rules(config, &at, SCOPE_TARGET, of_route | its, why);
            of_route |= its & (BIT(FACT_ANY_CHECK) | BIT(NEED_TLS_TARGET));
        }
        at.target = NULL;
        is_good =
            is_good && check_rules(config, &at, SCOPE_ROUTE, of_route, why);
    }
    return is_good;
}
