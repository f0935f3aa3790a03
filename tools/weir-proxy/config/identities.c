/*
 * libweir-tls chooses among the certificates by the client's server name.
 *
 * Links are followed, because Kubernetes uses links for the files of a secret.
 * Names that begin with a dot are skipped: Kubernetes keeps the linked folders
 * there.
 */
#include "identities.h"

#include "confine_paths.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A folder with more files is a mistake. */
#define FILES_MAX 10000u

#define PATH_SIZE 4096

static bool add(struct identities *identities, const char *cert,
                const char *key)
{
    return config_add_text(&identities->certs, cert) &&
           config_add_text(&identities->keys, key);
}

static bool ends_with(const char *name, const char *end)
{
    const size_t len = strlen(name);
    const size_t end_len = strlen(end);

    return len > end_len && strcmp(name + len - end_len, end) == 0;
}

static int is_certificate(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && (ends_with(entry->d_name, ".pem") ||
                                       ends_with(entry->d_name, ".crt"));
}

static int compare(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
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
    return add(identities, cert, access(key, F_OK) == 0 ? key : cert) ||
           option_refuse(why, "no memory");
}

static bool add_folder(struct identities *identities, const char *folder,
                       char *why)
{
    struct dirent **entries;
    const int count = scandir(folder, &entries, is_certificate, compare);
    bool is_good = true;

    if (count < 0) {
        return option_refuse(why, "%.200s: %s", folder, strerror(errno));
    }
    if (count == 0) {
        is_good = option_refuse(why,
                                "'%.200s' has no certificate: no file that "
                                "ends with .pem or .crt",
                                folder);
    } else if ((unsigned)count > FILES_MAX) {
        is_good = option_refuse(why, "'%.200s' has more than %u certificates",
                                folder, FILES_MAX);
    }
    for (int i = 0; i < count; i++) {
        is_good =
            is_good && add_file(identities, folder, entries[i]->d_name, why);
        free(entries[i]);
    }
    free(entries);
    return is_good;
}

bool identities_find(const struct config_service *service,
                     struct identities *ret, char *why)
{
    *ret = (struct identities){.certs = {.texts = NULL}};
    for (size_t i = 0; i < service->certs.count; i++) {
        const char *cert = service->certs.texts[i];
        const char *key = service->keys.texts[i];
        if (!confine_is_folder(cert)) {
            if (!add(ret, cert, key)) {
                return option_refuse(why, "no memory");
            }
            continue;
        }
        if (strcmp(cert, key) != 0) {
            return option_refuse(
                why,
                "key: '%.200s' is a folder, which contains its keys: remove "
                "'key'",
                cert);
        }
        if (!add_folder(ret, cert, why)) {
            return false;
        }
    }
    return true;
}

void identities_free(struct identities *identities)
{
    config_free_texts(&identities->certs);
    config_free_texts(&identities->keys);
}
