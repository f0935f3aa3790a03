/*
 * Paths of key and certificate files in the folder WEIR_TLS_CERTIFICATES.
 *
 * Each path is kept once and never freed, so the list is as long as the number
 * of files that a program uses.
 */
#include "tests/tls/rig.h"

struct tls_file {
    struct tls_file *next;
    char path[];
};

static struct tls_file *files;

static const char *file_keep(const char *path)
{
    for (const struct tls_file *file = files; file; file = file->next) {
        if (strcmp(file->path, path) == 0) {
            return file->path;
        }
    }
    const size_t size = strlen(path) + 1;
    struct tls_file *file = malloc(sizeof(*file) + size);
    cr_assert_not_null(file);
    memcpy(file->path, path, size);
    file->next = files;
    files = file;
    return file->path;
}

const char *tls_file(const char *format, ...)
{
    char path[4096];
    va_list args;
    const char *folder = getenv("WEIR_TLS_CERTIFICATES");
    cr_assert_not_null(folder, "WEIR_TLS_CERTIFICATES is not set");
    const size_t at = strlen(folder) + 1;
    cr_assert_lt(at, sizeof(path));
    snprintf(path, sizeof(path), "%s/", folder);
    va_start(args, format);
    const int len = vsnprintf(path + at, sizeof(path) - at, format, args);
    va_end(args);
    cr_assert_gt(len, 0);
    cr_assert_lt(at + (size_t)len, sizeof(path));
    return file_keep(path);
}

size_t tls_file_read(const char *path, void *buf, size_t size)
{
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    const size_t len = fread(buf, 1, size, file);
    fclose(file);
    cr_assert_gt(len, 0, "%s", path);
    cr_assert_lt(len, size, "%s", path);
    return len;
}

void tls_require(void)
{
    if (!getenv("WEIR_TLS_CERTIFICATES")) {
        cr_skip_test("no certificates; runs with openssl");
    }
}
