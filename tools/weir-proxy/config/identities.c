/*
 * libweir-tls chooses among the certificates by the client's server name.
 *
 * Links are followed, because Kubernetes uses links for the files of a secret.
 * Names that begin with a dot are skipped: Kubernetes keeps the linked folders
 * there.
 */
#include "identities.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A folder with more files is a mistake. */
#define FILES_MAX 10000u

#define PATH_SIZE 4096

static bool add(struct identities *identities, const char *cert,
                const char *key, char *why)
{
    struct arena *arena = &identities->arena;

    return (config_add_text(arena, &identities->certs, cert) &&
            config_add_text(arena, &identities->keys, key)) ||
           option_refuse(why, "no memory");
}

static int is_certificate(const struct dirent *entry)
{
    return fnmatch("*.pem", entry->d_name, FNM_PERIOD) == 0 ||
           fnmatch("*.crt", entry->d_name, FNM_PERIOD) == 0;
}

static bool add_file(struct identities *identities, const char *folder,
                     const char *name, char *why)
{
    char cert[PATH_SIZE];
    char key[PATH_SIZE];
    const int len = snprintf(cert, sizeof(cert), "%s/%s", folder, name);

    if (len < 0 || (size_t)len >= sizeof(cert)) {
        return option_refuse(why, "'%.60s...' is too long for a path", cert);
    }
    snprintf(key, sizeof(key), "%.*s.key", len - 4, cert);
    return add(identities, cert, access(key, F_OK) == 0 ? key : cert, why);
}

/* Adds a file or, if the path is that of a folder, the files in it. */
static bool add_all(struct identities *identities, const char *path,
                    const char *key, char *why)
{
    struct dirent **entries;
    const int count = scandir(path, &entries, is_certificate, alphasort);
    bool is_good = true;

    if (count < 0) {
        return add(identities, path, key, why);
    }
    if (strcmp(path, key) != 0) {
        is_good = option_refuse(
            why,
            "key: '%.200s' is a folder, which contains its keys: remove 'key'",
            path);
    } else if (count == 0) {
        is_good = option_refuse(why,
                                "'%.200s' has no certificate: no file that "
                                "ends with .pem or .crt",
                                path);
    } else if ((unsigned)count > FILES_MAX) {
        is_good = option_refuse(why, "'%.200s' has more than %u certificates",
                                path, FILES_MAX);
    }
    for (int i = 0; i < count; i++) {
        is_good =
            is_good && add_file(identities, path, entries[i]->d_name, why);
        free(entries[i]);
    }
    free(entries);
    return is_good;
}

bool identities_find(const struct config_service *service,
                     struct identities *ret, char *why)
{
    bool is_good = true;

    *ret = (struct identities){.arena = {.first = NULL}};
    for (size_t i = 0; i < service->certs.count && is_good; i++) {
        is_good =
            add_all(ret, service->certs.texts[i], service->keys.texts[i], why);
    }
    return is_good;
}
