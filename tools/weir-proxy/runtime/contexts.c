/*
 * Makes TLS contexts from the files of the configuration.
 *
 * The library validates the files. Its error messages are printed with the name
 * of the service.
 */
#include "contexts.h"

#include "tools/common/key_log.h"
#include "tools/weir-proxy/base/hashes.h"
#include "tools/weir-proxy/config/check_plan.h"
#include "tools/weir-proxy/config/identities.h"
#include "tools/weir-proxy/config/needs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/error.h>

/* Arrays by the numbers of services, routes and targets (config_check()). */
struct contexts {
    weir_tls_context **clients; /* of services */
    weir_tls_context **routes;  /* NULL if neither targets nor checks use TLS */
    weir_tls_context **checks;  /* NULL if checks use that of the route */
    weir_tls_context **own;     /* of targets; NULL uses that of the route */
    size_t count;
    weir_tls_context *all[];
};

struct making {
    const struct config *config;
    const struct config_service *service;
    char *why;
};

/* Returns the line of the directive that the library's message is about; the
 * message begins with the name of the setting. @route is NULL for settings of
 * clients. Returns the line of the route or service if several directives are
 * possible. */
static unsigned line_of(const struct making *making,
                        const struct config_route *route, const char *text)
{
    static const char *const names[][3] = {
        {"key", "key", "to-key"},
        {"certificate", "cert", "to-cert"},
        {"authorities", "client-ca", ""}, /* several are possible */
        {"revocations", "", "to-crl"},    /* may be in any file of client-crl */
        {"passphrase", "key-passphrase-file", "to-key-passphrase-file"},
        {"ciphers", "ciphers", "to-ciphers"},
        {"groups", "groups", "to-groups"},
        {"", "", ""},
    };
    const struct config_service *service = making->service;
    const struct needs_at at = {
        .config = making->config, .service = service, .route = route};
    size_t i = !route && service->certs.count > 1 ? 2 : 0;

    while (strncmp(text, names[i][0], strlen(names[i][0])) != 0) {
        i++;
    }
    return needs_line(&at, names[i][route ? 2 : 1]);
}

static bool fail(const struct making *making, const struct config_route *route,
                 const char *text, int err)
{
    char place[CONFIG_PLACE_SIZE];

    return option_refuse(
        making->why, "%s%.80s: %.200s (%s)",
        config_place(making->config, line_of(making, route, text), place),
        making->service->name, text[0] ? text : weir_strerror(err),
        weir_err_name(err));
}

static char *join(const struct config_texts *texts)
{
    size_t len = 1;

    for (size_t i = 0; i < texts->count; i++) {
        len += strlen(texts->texts[i]) + 1;
    }
    char *joined = texts->count > 0 ? calloc(1, len) : NULL;
    for (size_t i = 0; joined && i < texts->count; i++) {
        strcat(joined, i > 0 ? "," : "");
        strcat(joined, texts->texts[i]);
    }
    return joined;
}

struct pairs {
    struct weir_tls_identity *all;
    const struct weir_tls_identity **pointers;
    struct weir_tls_pem crls;
};

static bool make_pairs(const struct identities *from, struct pairs *ret)
{
    const size_t count = from->certs.count;

    ret->all = calloc(count, sizeof(*ret->all));
    ret->pointers = calloc(count, sizeof(*ret->pointers));
    for (size_t i = 0; ret->all && ret->pointers && i < count; i++) {
        ret->all[i] = (struct weir_tls_identity){
            .size = sizeof(*ret->all),
            .certificate.file = from->certs.texts[i],
            .key.file = from->keys.texts[i],
        };
        ret->pointers[i] = &ret->all[i];
    }
    return ret->all && ret->pointers;
}

#define CRLS_MAX ((size_t)64 << 20)

static int append_file(FILE *out, const char *path)
{
    char part[4096];
    FILE *file = fopen(path, "re");
    size_t len;

    if (!file) {
        return -errno;
    }
    while ((len = fread(part, 1, sizeof(part), file)) > 0 &&
           (size_t)ftell(out) < CRLS_MAX) {
        fwrite(part, 1, len, out);
    }
    const int err = ferror(file) ? -EIO : len > 0 ? -EFBIG : 0;
    fclose(file);
    fputc('\n', out); /* the file may end without a newline */
    return err;
}

/* Reads all revocation lists, if there are any, into one text, which the caller
 * frees. Returns 0 or a negative error. If a file failed, @why has its name. */
static int read_crls(const struct config_texts *files, struct pairs *ret,
                     char *why)
{
    char *text = NULL;
    size_t size = 0;
    int err = 0;

    if (files->count == 0) {
        return 0;
    }
    FILE *out = open_memstream(&text, &size);
    if (!out) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < files->count && err == 0; i++) {
        err = append_file(out, files->texts[i]);
        snprintf(why, OPTION_WHY_SIZE, "%.200s",
                 err < 0 ? files->texts[i] : "");
    }
    if (fclose(out) != 0 && err == 0) {
        err = -ENOMEM;
    }
    ret->crls = (struct weir_tls_pem){.data = text, .size = size};
    return err;
}

static bool set_key_log(struct weir_tls_options *options, const char *path)
{
    options->keylog_user = path ? key_log_find(path) : NULL;
    options->keylog = options->keylog_user ? key_log_write : NULL;
    return !path || options->keylog_user;
}

static bool make_server(const struct making *making, weir_tls_context **ret)
{
    const struct config_service *service = making->service;
    struct identities found;
    struct pairs pairs = {.all = NULL};
    char *alpn = join(&service->alpn);
    char why[OPTION_WHY_SIZE] = "";
    int err = -EINVAL;

    if (identities_find(service, &found, why)) {
        err = make_pairs(&found, &pairs)
                  ? read_crls(&service->client_crls, &pairs, why)
                  : -ENOMEM;
    }
    if (err == 0) {
        struct weir_tls_options options = {
            .size = sizeof(options),
            .server = true,
            .certificate = pairs.all[0].certificate,
            .key = pairs.all[0].key,
            .passphrase.file = service->key_words,
            .identities = found.certs.count > 1 ? pairs.pointers + 1 : NULL,
            .identity_count = found.certs.count - 1,
            .alpn = alpn,
            .min_version = service->min_tls == CONFIG_TLS_1_3
                               ? WEIR_TLS_1_3
                               : WEIR_TLS_VERSION_DEFAULT,
            .ciphers = service->ciphers,
            .groups = service->groups,
            .refuse_unknown_names = service->refuses_names,
            .revocations = pairs.crls,
            .authorities.file = service->client_ca,
            .client_auth = !service->client_ca ? WEIR_TLS_CLIENT_AUTH_NONE
                           : service->needs_client_cert
                               ? WEIR_TLS_CLIENT_AUTH_REQUIRED
                               : WEIR_TLS_CLIENT_AUTH_OPTIONAL,
        };
        err = set_key_log(&options, service->key_log)
                  ? weir_tls_context_new(&options, ret, why, sizeof(why))
                  : -ENOMEM;
    }
    free(alpn);
    free(pairs.all);
    free(pairs.pointers);
    free((char *)pairs.crls.data);
    arena_free(&found.arena);
    return err >= 0 || fail(making, NULL, why, err);
}

static bool has_tls_target(const struct config_route *route)
{
    for (size_t i = 0; i < route->target_count; i++) {
        if (route->targets[i].at.is_tls) {
            return true;
        }
    }
    return check_plan_needs_tls(route);
}

static bool make_client(const struct making *making,
                        const struct config_route *route, const char *ca,
                        bool is_insecure, weir_tls_context **ret)
{
    char text[256] = "";
    struct weir_tls_options options = {
        .size = sizeof(options),
        .no_verify = is_insecure,
        .authorities.file = ca,
        .certificate.file = route->to_cert,
        .key.file = route->to_key,
        .passphrase.file = route->to_key_words,
        .min_version = route->to_min_tls == CONFIG_TLS_1_3
                           ? WEIR_TLS_1_3
                           : WEIR_TLS_VERSION_DEFAULT,
        .ciphers = route->to_ciphers,
        .groups = route->to_groups,
        /* The revocation lists apply only to the route's authorities. */
        .revocations.file =
            is_insecure || ca != route->to_ca ? NULL : route->to_crl,
    };

    const int err =
        set_key_log(&options, route->to_key_log)
            ? weir_tls_context_new(&options, ret, text, sizeof(text))
            : -ENOMEM;
    return err >= 0 || fail(making, route, text, err);
}

/* Makes the context for a route's targets, and a separate one for its checks if
 * they have other authorities. */
static bool make_route(const struct making *making,
                       const struct config_route *route, weir_tls_context **ret,
                       weir_tls_context **ret_checks)
{
    if (has_tls_target(route) &&
        !make_client(making, route, route->to_ca, route->to_insecure, ret)) {
        return false;
    }
    return !check_plan_needs_tls(route) ||
           !check_plan_has_own_authorities(route) ||
           make_client(making, route,
                       route->check_ca ? route->check_ca : route->to_ca,
                       route->check_insecure, ret_checks);
}

/* Makes contexts for targets that have their own authorities. Their other
 * settings are the route's. Targets with the same file share a context. */
static bool make_own(const struct making *making,
                     const struct config_route *route, weir_tls_context **ret)
{
    size_t *firsts =
        hashes_find_firsts(&route->targets[0].tls_ca, sizeof(*route->targets),
                           route->target_count);
    bool is_good = firsts || fail(making, route, "", -ENOMEM);

    for (size_t i = 0; i < route->target_count && is_good; i++) {
        const char *path = route->targets[i].tls_ca;
        if (firsts[i] < i) {
            ret[i] = weir_tls_context_ref(ret[firsts[i]]);
        } else if (path) {
            is_good = make_client(making, route, path, false, &ret[i]);
        }
    }
    free(firsts);
    return is_good;
}

static bool make_service(const struct making *making,
                         const struct contexts *made)
{
    const struct config_service *service = making->service;

    if (service->certs.count > 0 &&
        !make_server(making,
                     &made->clients[service - making->config->services])) {
        return false;
    }
    for (size_t i = 0; i < service->route_count; i++) {
        const struct config_route *route = &service->routes[i];
        if (!make_route(making, route, &made->routes[route->number],
                        &made->checks[route->number]) ||
            !make_own(making, route, &made->own[route->first_target])) {
            return false;
        }
    }
    return true;
}

struct contexts *contexts_make(const struct config *config, char *why)
{
    const size_t count =
        config->service_count + 2 * config->route_count + config->target_count;
    struct contexts *made =
        calloc(1, sizeof(*made) + count * sizeof(made->all[0]));

    if (!made) {
        option_refuse(why, "no memory");
        return NULL;
    }
    made->count = count;
    made->clients = made->all;
    made->routes = made->clients + config->service_count;
    made->checks = made->routes + config->route_count;
    made->own = made->checks + config->route_count;
    for (size_t i = 0; i < config->service_count; i++) {
        const struct making making = {config, &config->services[i], why};
        if (!make_service(&making, made)) {
            contexts_free(made);
            return NULL;
        }
    }
    return made;
}

void contexts_free(struct contexts *all)
{
    for (size_t i = 0; all && i < all->count; i++) {
        weir_tls_context_unref(all->all[i]);
    }
    free(all);
}

static uint64_t number_of(const struct config_service *service)
{
    return hashes_add_bytes(HASHES_BASIS, service->name, strlen(service->name));
}

struct contexts_keys *contexts_save_keys(const struct contexts *contexts,
                                         const struct config *config,
                                         size_t *ret_count)
{
    struct contexts_keys *all = calloc(config->service_count, sizeof(*all));
    size_t count = 0;

    *ret_count = 0;
    for (size_t i = 0; all && i < config->service_count; i++) {
        weir_tls_context *clients = contexts->clients[i];
        all[count].keys.size = sizeof(all[count].keys);
        if (clients &&
            weir_tls_context_get_ticket_keys(clients, &all[count].keys) == 0) {
            all[count++].service = number_of(&config->services[i]);
        }
    }
    if (count == 0) {
        free(all);
        return NULL;
    }
    *ret_count = count;
    return all;
}

void contexts_load_keys(const struct contexts *contexts,
                        const struct config *config,
                        const struct contexts_keys *keys, size_t count)
{
    for (size_t i = 0; i < config->service_count; i++) {
        for (size_t j = 0; contexts->clients[i] && j < count; j++) {
            if (keys[j].service == number_of(&config->services[i]) &&
                weir_tls_context_set_ticket_keys(contexts->clients[i],
                                                 &keys[j].keys) < 0) {
                break; /* the service no longer uses tickets */
            }
        }
    }
}

void contexts_forget_keys(struct contexts_keys *keys, size_t count)
{
    if (keys) {
        explicit_bzero(keys, count * sizeof(*keys));
        free(keys);
    }
}

weir_tls_context *contexts_of_service(const struct contexts *contexts,
                                      size_t service)
{
    return contexts->clients[service];
}

weir_tls_context *contexts_for_target(const struct contexts *contexts,
                                      const struct config_route *route,
                                      const struct config_target *target)
{
    weir_tls_context *own =
        contexts->own[route->first_target + (size_t)(target - route->targets)];

    return own ? own : contexts->routes[route->number];
}

weir_tls_context *contexts_for_check(const struct contexts *contexts,
                                     const struct config_route *route,
                                     const struct config_target *target)
{
    weir_tls_context *own = contexts->checks[route->number];

    if (!check_plan_has_own_authorities(route)) {
        return contexts_for_target(contexts, route, target);
    }
    return own ? own : contexts->routes[route->number];
}
