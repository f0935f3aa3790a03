/*
 * One walk over the configuration lists its paths and their uses, for the rules
 * of the sandbox and for the messages of -t.
 *
 * Landlock constants that older kernel headers lack are defined here. They are
 * used only if the running kernel supports them.
 */
#include "confine_paths.h"

#include "identities.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

/* All rights of Landlock ABI version 1. */
#define ACCESS_ALL  ((1ULL << 13) - 1)
#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* Landlock refuses the rights of folders for a file. */
#define ACCESS_FILE                                                            \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |            \
     LANDLOCK_ACCESS_FS_TRUNCATE)

const char *confine_folder_of(const char *path, char *ret)
{
    const char *slash = strrchr(path, '/');
    const size_t len = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);

    snprintf(ret, PATH_MAX, "%.*s", len > 0 ? (int)len : 1,
             len > 0 ? path : ".");
    return ret;
}

bool confine_is_folder(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

bool confine_is_special(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

bool confine_is_broad(const char *folder)
{
    static const char *const broad[] = {"/", "/dev", "/etc"};

    for (size_t i = 0; i < sizeof(broad) / sizeof(broad[0]); i++) {
        if (strcmp(folder, broad[i]) == 0) {
            return true;
        }
    }
    return false;
}

struct walk {
    confine_path_fn *call;
    void *arg;
};

static void use_path(const struct walk *walk, const char *path,
                     enum confine_use use)
{
    if (path) {
        walk->call(walk->arg, path, use);
    }
}

/* Texts for networks are paths only behind an '@'. */
static void use_texts(const struct walk *walk, const struct config_texts *texts,
                      bool are_networks)
{
    for (size_t i = 0; i < texts->count; i++) {
        if (!are_networks || texts->texts[i][0] == '@') {
            use_path(walk, texts->texts[i] + are_networks, CONFINE_READ);
        }
    }
}

static const char *path_of(const struct target *at)
{
    return config_is_unix(&at->address) && at->address.storage.local.sun_path[0]
               ? at->address.storage.local.sun_path
               : NULL;
}

static void use_socket(const struct walk *walk, const char *path)
{
    char folder[PATH_MAX];

    if (path && path[0] != '@') {
        use_path(walk, confine_folder_of(path, folder), CONFINE_SOCKETS);
    }
}

static void use_route(const struct walk *walk, const struct config_route *route)
{
    static const char *const roots[] = {"/etc/ssl/certs", "/etc/pki",
                                        "/usr/share/ca-certificates",
                                        "/usr/local/share/ca-certificates"};
    static const char *const names[] = {"/etc/resolv.conf", "/etc/hosts"};
    const char *const files[] = {
        route->to_ca,        route->to_crl,     route->to_cert, route->to_key,
        route->to_key_words, route->to_key_log, route->check_ca};
    bool has_tls = false;
    bool has_names = false;

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        use_path(walk, files[i],
                 files[i] == route->to_key_log ? CONFINE_APPEND : CONFINE_READ);
    }
    for (size_t i = 0; i < route->target_count; i++) {
        const struct target *at = &route->targets[i].at;
        const struct target *check = &route->targets[i].check.at;
        use_path(walk, route->targets[i].tls_ca, CONFINE_READ);
        use_path(walk, path_of(at), CONFINE_CONNECT);
        use_path(walk, path_of(check), CONFINE_CONNECT);
        has_tls |= at->is_tls || check->is_tls;
        has_names |=
            at->address.len == 0 || (check->host[0] && check->address.len == 0);
    }
    const bool has_roots = route->check_tls == CHECK_TLS_ON ||
                           (has_tls && !route->to_ca && !route->to_insecure);
    for (size_t i = 0; i < 4 && has_roots; i++) {
        if (access(roots[i], F_OK) == 0) {
            use_path(walk, roots[i], CONFINE_READ);
        }
    }
    for (size_t i = 0; i < 2 && has_names; i++) {
        use_path(walk, names[i], CONFINE_READ);
    }
}

static void use_service(const struct walk *walk,
                        const struct config_service *service)
{
    struct identities found;
    char why[OPTION_WHY_SIZE];

    (void)!identities_find(service, &found, why);
    use_texts(walk, &found.certs, false);
    use_texts(walk, &found.keys, false);
    arena_free(&found.arena);
    use_texts(walk, &service->certs, false); /* may be folders */
    use_texts(walk, &service->keys, false);
    use_path(walk, service->key_words, CONFINE_READ);
    use_path(walk, service->key_log, CONFINE_APPEND);
    use_path(walk, service->client_ca, CONFINE_READ);
    use_texts(walk, &service->client_crls, false);
    use_texts(walk, &service->client_allow, true);
    use_texts(walk, &service->client_deny, true);
    use_texts(walk, &service->client_free, true);
    for (size_t i = 0; i < service->listen_count; i++) {
        use_socket(walk, path_of(&service->listens[i]));
    }
    for (size_t i = 0; i < service->route_count; i++) {
        use_route(walk, &service->routes[i]);
    }
}

void confine_each_path(const struct config *config, confine_path_fn *call,
                       void *arg)
{
    const struct walk walk = {call, arg};
    struct weir_address server = {.len = 0};
    char why[OPTION_WHY_SIZE];

    for (size_t i = 0; i < config->part_count; i++) {
        use_path(&walk, config->parts[i].path, CONFINE_CONFIG);
    }
    for (size_t i = 0; i < config->folders.count; i++) {
        use_path(&walk, config->folders.texts[i], CONFINE_CONFIG);
    }
    if (config->log_path && strcmp(config->log_path, "-") != 0 &&
        sink_read(config->log_path, &server, why) && server.len == 0) {
        use_path(&walk, config->log_path, CONFINE_APPEND);
    }
    use_socket(&walk, config->handover_path);
    use_socket(&walk, config->control_path);
    for (size_t i = 0; i < config->service_count; i++) {
        use_service(&walk, &config->services[i]);
    }
}

struct rules {
    int fd;
    uint64_t handled;
};

static void allow(const struct rules *rules, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {
        .parent_fd = open(path, O_PATH | O_CLOEXEC)};
    struct stat status;

    if (rule.parent_fd < 0) {
        return; /* a missing path needs no rule */
    }
    rule.allowed_access = access & rules->handled;
    if (fstat(rule.parent_fd, &status) == 0 && !S_ISDIR(status.st_mode)) {
        rule.allowed_access &= ACCESS_FILE;
    }
    syscall(SYS_landlock_add_rule, rules->fd, LANDLOCK_RULE_PATH_BENEATH, &rule,
            0);
    close(rule.parent_fd);
}

/* If a link leads below its own folder, allows reading the folder of its
 * destination. The link may later point to another entry of that folder. */
static void allow_beside(const struct rules *rules, const char *link)
{
    char found[PATH_MAX];
    char own[PATH_MAX];
    char folder[PATH_MAX];
    struct stat status;

    if (lstat(link, &status) < 0 || !S_ISLNK(status.st_mode) ||
        !realpath(link, found) ||
        !realpath(confine_folder_of(link, folder), own)) {
        return;
    }
    const size_t len = strlen(own);
    confine_folder_of(found, folder);
    if (strncmp(found, own, len) == 0 && found[len] == '/' &&
        !confine_is_broad(folder)) {
        allow(rules, folder, ACCESS_READ);
    }
}

static void allow_reading(const struct rules *rules, const char *path)
{
    char found[PATH_MAX];
    char folder[PATH_MAX];

    for (const char *end = strchr(path, '/'); end; end = strchr(end + 1, '/')) {
        snprintf(folder, sizeof(folder), "%.*s", (int)(end - path), path);
        allow_beside(rules, folder);
    }
    allow_beside(rules, path);
    if (confine_is_folder(path)) {
        allow(rules, path, ACCESS_READ);
        return;
    }
    allow(rules, confine_folder_of(path, folder), ACCESS_READ);
    if (realpath(path, found)) {
        allow(rules, confine_folder_of(found, folder), ACCESS_READ);
    }
}

/* Allows writing a log, and creating it again in its folder after it was moved
 * away. A special file, such as a terminal, may only be written. */
static void allow_appending(const struct rules *rules, const char *path)
{
    char folder[PATH_MAX];

    if (confine_is_special(path)) {
        allow(rules, path, LANDLOCK_ACCESS_FS_WRITE_FILE);
        return;
    }
    allow(rules, confine_folder_of(path, folder),
          LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
              LANDLOCK_ACCESS_FS_TRUNCATE);
}

static void allow_path(void *arg, const char *path, enum confine_use use)
{
    const struct rules *rules = arg;

    switch (use) {
    case CONFINE_CONFIG:
    case CONFINE_READ:
        allow_reading(rules, path);
        break;
    case CONFINE_APPEND:
        allow_appending(rules, path);
        break;
    case CONFINE_SOCKETS:
        allow(rules, path,
              LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                  LANDLOCK_ACCESS_FS_READ_DIR);
        break;
    case CONFINE_CONNECT:
    default:
        break; /* connecting is not restricted */
    }
}

int confine_paths(const struct config *config)
{
    const long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
                             LANDLOCK_CREATE_RULESET_VERSION);
    struct rules rules = {
        .handled = ACCESS_ALL | (abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0) |
                   (abi >= 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0)};
    const struct landlock_ruleset_attr attr = {.handled_access_fs =
                                                   rules.handled};

    if (abi < 0) {
        return -errno;
    }
    rules.fd = (int)syscall(SYS_landlock_create_ruleset, &attr,
                            sizeof(attr.handled_access_fs), 0);
    if (rules.fd < 0) {
        return -errno;
    }
    allow(&rules, "/dev/null",
          LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE);
    confine_each_path(config, allow_path, &rules);
    const long done = syscall(SYS_landlock_restrict_self, rules.fd, 0);
    const int err = done < 0 ? -errno : (int)abi;
    close(rules.fd);
    return err;
}
