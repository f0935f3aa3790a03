/*
 * Determines which clients each route of a service accepts, and checks that no
 * two routes match the same client equally well.
 *
 * matching.h compares clients only with routes whose settings are complete.
 */
#include "config.h"
#include "matching.h"
#include "needs.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool config_takes_tlvs(const struct config_service *service)
{
    return (service->accept_header & HEADER_V2) != 0;
}

enum {
    LISTENS_ANY = 1,
    LISTENS_TLS = 2,
    LISTENS_PLAIN = 4,
};

/* Returns bits for the kinds of addresses of a service. */
static unsigned listens_of(const struct config_service *service)
{
    unsigned kinds = 0;

    for (size_t i = 0; i < service->listen_count; i++) {
        const struct target *at = &service->listens[i];
        kinds |= at->is_any   ? LISTENS_ANY
                 : at->is_tls ? LISTENS_TLS
                              : LISTENS_PLAIN;
    }
    return kinds;
}

bool config_has_tls(const struct config_service *service)
{
    return (listens_of(service) & (LISTENS_ANY | LISTENS_TLS)) != 0;
}

bool config_is_tls_alone(const struct config_service *service)
{
    return (listens_of(service) & (LISTENS_ANY | LISTENS_PLAIN)) == 0;
}

bool config_has_tls_alone(const struct config_service *service)
{
    return (listens_of(service) & LISTENS_TLS) != 0;
}

bool config_says_plain(const struct config_service *service)
{
    const bool is_alone = config_is_tls_alone(service);

    for (size_t i = 0; i < service->route_count && !is_alone; i++) {
        const struct config_route *route = &service->routes[i];
        const bool is_of_tls = (route->server_name || route->alpn.count > 0) &&
                               !config_takes_tlvs(service);
        if (route->as == AS_ANY && !is_of_tls) {
            return false;
        }
    }
    return true;
}

static bool takes_all_tls(const struct config_route *route)
{
    return route->as == AS_TLS && !route->server_name &&
           route->alpn.count == 0 && route->begin_count == 0;
}

/* Returns the kind of clients that a route accepts. A route with first bytes
 * but without route-as accepts clients without TLS. If all clients of the
 * service use TLS, such a route accepts TLS clients by their first bytes inside
 * TLS. */
static enum config_as settled(const struct config_service *service,
                              const struct config_route *route)
{
    const bool is_open = route->as == AS_ANY && route->begin_count > 0;

    return !is_open                       ? route->as
           : config_is_tls_alone(service) ? AS_TLS
                                          : AS_PLAIN;
}

bool config_route_opens_tls(const struct config_service *service,
                            const struct config_route *route)
{
    const enum config_as as = settled(service, route);
    const bool may_have_tls =
        as == AS_TLS || as == AS_ANY ||
        (as == AS_SILENT && config_has_tls_alone(service));

    if (!may_have_tls || route->passes_tls || !config_has_tls(service)) {
        return false;
    }
    const bool is_for_rest =
        as == AS_ANY && !route->server_name && route->alpn.count == 0;
    for (size_t i = 0; i < service->route_count && is_for_rest; i++) {
        if (takes_all_tls(&service->routes[i])) {
            return false; /* that route gets all TLS clients */
        }
    }
    return true;
}

bool config_opens_tls(const struct config_service *service)
{
    for (size_t i = 0; i < service->route_count; i++) {
        if (config_route_opens_tls(service, &service->routes[i])) {
            return true;
        }
    }
    return false;
}

static void write_word(FILE *out, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < len; i++) {
        if (isalnum(at[i]) || (at[i] && strchr("-._/*", at[i]))) {
            fputc(at[i], out);
        } else {
            fprintf(out, "%%%02X", at[i]);
        }
    }
}

static char *make_label(struct config *config, const struct config_route *route)
{
    static const char *const kinds[] = {"", "/tls", "/plain", "/silent"};
    char *label = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&label, &size);

    if (!out) {
        return NULL;
    }
    fputs(route->server_name ? route->server_name : "*", out);
    fputs(kinds[route->as], out);
    for (size_t i = 0; i < route->alpn.count; i++) {
        fputc(i > 0 ? '+' : '/', out);
        write_word(out, route->alpn.texts[i], strlen(route->alpn.texts[i]));
    }
    for (size_t i = 0; i < route->begin_count; i++) {
        fputc(i > 0 ? '+' : '/', out);
        write_word(out, route->begins[i].bytes, route->begins[i].len);
    }
    char *copy =
        fclose(out) == 0 ? arena_copy_text(&config->arena, label) : NULL;
    free(label);
    return copy;
}

enum { LABEL_MAX = 200 };

/* Appends a number to each label that an earlier route has or that is too long
 * for the log. A label identifies a route in metrics and across reloads. */
static bool tell_labels_apart(struct config *config,
                              struct config_service *service, char *why)
{
    size_t *firsts =
        hashes_find_firsts(&service->routes[0].label, sizeof(*service->routes),
                           service->route_count);
    bool is_whole = firsts != NULL;
    char numbered[LABEL_MAX + 32];

    for (size_t i = 0; i < service->route_count && is_whole; i++) {
        struct config_route *route = &service->routes[i];
        if (firsts[i] < i || strlen(route->label) > LABEL_MAX) {
            snprintf(numbered, sizeof(numbered), "%.*s#%zu", LABEL_MAX,
                     route->label, i + 1);
            route->label = arena_copy_text(&config->arena, numbered);
            is_whole = route->label != NULL;
        }
    }
    free(firsts);
    return is_whole || option_refuse(why, "no memory");
}

/* Refuses a route whose application protocol the service does not offer. A
 * route that passes TLS on, or a service that reads PROXY headers with TLVs,
 * may have other protocols. */
static bool check_alpns(struct config *config,
                        const struct config_service *service, char *why)
{
    for (size_t i = 0; i < service->route_count; i++) {
        const struct config_route *route = &service->routes[i];
        const bool is_asked = !route->passes_tls && !config_takes_tlvs(service);
        for (size_t j = 0; j < route->alpn.count && is_asked; j++) {
            const char *name = route->alpn.texts[j];
            if (!matching_has_text(&service->alpn, name, strlen(name))) {
                const struct needs_at at = {
                    .config = config, .service = service, .route = route};
                config->line = needs_line(&at, "route-alpn");
                return option_refuse(
                    why,
                    "route-alpn: '%.60s' is not in the alpn of the service, so "
                    "no client can negotiate it",
                    name);
            }
        }
    }
    return true;
}

/* Returns true if @b passes TLS on, and @a differs from it only in bytes that
 * are known after TLS is terminated. */
static bool needs_both(const struct config_service *service,
                       const struct config_route *a,
                       const struct config_route *b)
{
    const bool looks_inside =
        (a->as == AS_TLS && a->begin_count > 0) ||
        (a->as == AS_SILENT && config_has_tls_alone(service));

    return looks_inside && b->passes_tls && b->as != AS_PLAIN &&
           b->as != AS_SILENT && matching_is_same_hello(a, b);
}

/* Compares a route with earlier routes of the same server name. */
static bool check_before(const struct config_service *service, size_t number,
                         char *why)
{
    const struct config_route *route = &service->routes[number];
    const struct hashed *same;
    const size_t count = matching_find_named(service, route, &same);

    for (size_t i = 0; i < count && same[i].number < number; i++) {
        const struct config_route *other = &service->routes[same[i].number];
        if (matching_is_same(route, other)) {
            return option_refuse(why, "two routes are for '%.200s'",
                                 route->label);
        }
        if (needs_both(service, route, other) ||
            needs_both(service, other, route)) {
            return option_refuse(
                why,
                "'%.100s' and '%.100s' cannot be distinguished: one needs "
                "decrypted bytes, the other forwards TLS",
                route->label, other->label);
        }
    }
    return true;
}

bool config_check_routes(struct config *config, struct config_service *service,
                         char *why)
{
    for (size_t i = 0; i < service->route_count; i++) {
        struct config_route *route = &service->routes[i];
        route->as = settled(service, route);
        route->label = make_label(config, route);
        if (!route->label) {
            return option_refuse(why, "no memory");
        }
    }
    if (!matching_index(service)) {
        return option_refuse(why, "no memory");
    }
    for (size_t i = 0; i < service->route_count; i++) {
        config->line = service->routes[i].line;
        if (!check_before(service, i, why)) {
            return false;
        }
    }
    return needs_check_service(config, service, why) &&
           check_alpns(config, service, why) &&
           tell_labels_apart(config, service, why);
}
