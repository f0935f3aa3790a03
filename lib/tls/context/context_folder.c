/*
 * Authorities in a folder of PEM files, either plain or with the links of
 * OpenSSL's rehash, as the system's folder.
 *
 * The files are read in the order of their names, so that every start is the
 * same. wolfSSL accepts an authority twice. Files without a certificate are
 * skipped, as are certificates that are not valid now: a server must still
 * start after one of many authorities has expired. A lack of descriptors or
 * memory is an error: with it any file could be missing.
 */
#include "context_impl.h"
#include "uring/check.h"
#include "uring/sys.h"

#include <weir/error.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int context_folder_select(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && entry->d_type != DT_DIR;
}

/* Compares bytes, independent of the locale. */
static int context_folder_compare(const struct dirent **a,
                                  const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Returns 1 if authorities were loaded, 0 if the text has none that is valid
 * now. */
static int context_folder_use(weir_tls_context *context, const uint8_t *data,
                              long size)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";

    wr_assert(size > 0);
    if (!memmem(data, (size_t)size, begin, sizeof(begin) - 1)) {
        return 0;
    }
    const int err = wr_tls_context_use_authorities(context, data, size);
    return err == 0                                            ? 1
           : err == WEIR_ETLSEXPIRED || err == WEIR_ETLSNOTYET ? 0
                                                               : err;
}

static int context_folder_load_file(weir_tls_context *context,
                                    const char *folder, const char *name,
                                    struct wr_tls_context_text *text)
{
    char path[PATH_MAX];
    const struct weir_tls_pem pem = {.file = path};
    const int len = snprintf(path, sizeof(path), "%s/%s", folder, name);

    wr_assert(len > 0);
    if ((size_t)len >= sizeof(path)) {
        return -ENAMETOOLONG;
    }
    const int err = wr_tls_context_load_one(context, &pem, "authority_folder",
                                            context_folder_use, text);
    if (err == -ENOENT || err == -EISDIR) { /* deleted, or a folder */
        text->line[0] = '\0';
        return 0;
    }
    return err;
}

/* Returns the number of files with authorities, or the first error.
 * @is_lenient: unusable files are skipped. */
static int context_folder_load(weir_tls_context *context, const char *folder,
                               bool is_lenient,
                               struct wr_tls_context_text *text)
{
    struct dirent **entries = NULL;
    const int count = scandir(folder, &entries, context_folder_select,
                              context_folder_compare);
    int taken = 0;
    int err = count < 0 ? -errno : 0;

    wr_assert(context->verifies);
    for (int i = 0; i < count; i++) {
        if (err >= 0) {
            err = context_folder_load_file(context, folder, entries[i]->d_name,
                                           text);
            taken += err > 0;
        }
        if (is_lenient && err < 0 && !wr_sys_is_shortage(err)) {
            text->line[0] = '\0';
            err = 0;
        }
        free(entries[i]);
    }
    free(entries);
    return err < 0 ? err : taken;
}

int wr_tls_context_load_folder(weir_tls_context *context, const char *folder,
                               struct wr_tls_context_text *text)
{
    const int taken = context_folder_load(context, folder, false, text);
    const int err = taken == 0 ? WEIR_ETLSFILE : taken;

    wr_assert(folder != NULL);
    if (err < 0 && text->line[0] == '\0') {
        wr_tls_context_say(text, "authority_folder", folder, err);
    }
    return err < 0 ? err : 0;
}

int wr_tls_context_load_system(weir_tls_context *context,
                               struct wr_tls_context_text *text)
{
    word32 count = 0;
    const char **folders = wolfSSL_get_system_CA_dirs(&count);
    int taken = 0;

    wr_assert(!context->is_server);
    for (word32 i = 0; folders && i < count && taken <= 0; i++) {
        taken = context_folder_load(context, folders[i], true, text);
        if (wr_sys_is_shortage(taken)) {
            wr_tls_context_say(text, "authorities", folders[i], taken);
            return taken;
        }
    }
    if (taken <= 0) {
        wr_tls_context_say(text, "authorities", "the system's", WEIR_ETLSFILE);
        return WEIR_ETLSFILE;
    }
    return 0;
}
