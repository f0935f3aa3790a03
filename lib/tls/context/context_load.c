/*
 * Reads texts into a context: certificates, keys, authorities, revocation
 * lists.
 *
 * A file is read as a whole, and the backend always gets its text, so that an
 * unreadable file and an invalid text are different errors.
 */
#include "context_impl.h"
#include "pem.h"
#include "uring/check.h"
#include "uring/sys.h"

#include <weir/error.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONTEXT_LOAD_MAX (16u << 20)

/* context_load_drop() frees ->memory, which is NULL if the program owns the
 * text. */
struct context_load_text {
    const uint8_t *data;
    long size;
    void *memory;
};

static void context_load_drop(struct context_load_text *text)
{
    wr_assert(!text->memory || text->size >= 0);
    if (text->memory) {
        explicit_bzero(text->memory, (size_t)text->size);
    }
    free(text->memory);
    text->memory = NULL;
}

/* Doubles the memory of a text. Wipes the old memory, unlike realloc(), and
 * frees it even if memory runs out. Then returns NULL. */
static uint8_t *context_load_grow(uint8_t *memory, size_t size)
{
    uint8_t *larger = malloc(size * 2);

    wr_assert(memory && size > 0);
    if (larger) {
        memcpy(larger, memory, size);
    }
    explicit_bzero(memory, size);
    free(memory);
    return larger;
}

static int context_load_stream(FILE *file, struct context_load_text *ret)
{
    size_t capacity = 16u << 10;
    size_t size = 0;
    uint8_t *memory = malloc(capacity);

    errno = 0;
    while (memory) {
        size += fread(memory + size, 1, capacity - size, file);
        if (size < capacity || size >= CONTEXT_LOAD_MAX) {
            break;
        }
        memory = context_load_grow(memory, capacity);
        capacity *= 2;
    }
    if (!memory) {
        return -ENOMEM;
    }
    *ret = (struct context_load_text){
        .data = memory,
        .size = (long)size,
        .memory = memory,
    };
    if (ferror(file)) {
        return errno > 0 ? -errno : -EIO; /* such as -EISDIR */
    }
    return size == 0 ? WEIR_ETLSFILE : size < CONTEXT_LOAD_MAX ? 0 : -EFBIG;
}

static int context_load_read(const struct weir_tls_pem *pem,
                             struct context_load_text *ret)
{
    *ret = (struct context_load_text){.data = pem->data};
    if (!pem->file) {
        if (!pem->data || pem->size == 0 || pem->size > CONTEXT_LOAD_MAX) {
            return -EINVAL;
        }
        ret->size = (long)pem->size;
        return 0;
    }
    FILE *file = fopen(pem->file, "re");
    if (!file) {
        return -errno;
    }
    int err = context_load_stream(file, ret);
    wr_ignore(fclose(file) != 0);
    return err;
}

static bool context_load_has(const struct context_load_text *text,
                             const char *words)
{
    wr_assert(text->data && text->size > 0);
    return memmem(text->data, (size_t)text->size, words, strlen(words));
}

/* Replaces each label "X509 CERTIFICATE", an old name, by "CERTIFICATE", in a
 * copy that the struct owns. */
static int context_load_rename(struct context_load_text *text)
{
    static const char old[] = "X509 CERTIFICATE-----";
    const size_t skip = strlen("X509 ");
    const size_t len = sizeof(old) - 1;
    const uint8_t *end = text->data + text->size;
    const uint8_t *from = text->data;
    const uint8_t *at = NULL;
    uint8_t *memory = malloc((size_t)text->size);
    size_t size = 0;

    if (!memory) {
        return -ENOMEM;
    }
    while ((at = memmem(from, (size_t)(end - from), old, len))) {
        memcpy(memory + size, from, (size_t)(at - from));
        size += (size_t)(at - from);
        memcpy(memory + size, at + skip, len - skip);
        size += len - skip;
        from = at + len;
    }
    memcpy(memory + size, from, (size_t)(end - from));
    size += (size_t)(end - from);
    wr_assert(size > 0);
    wr_assert(size < (size_t)text->size);
    context_load_drop(text);
    *text = (struct context_load_text){
        .data = memory, .size = (long)size, .memory = memory};
    return 0;
}

/* Refuses OpenSSL's TRUSTED CERTIFICATE, which contains more than a
 * certificate. */
static int context_load_look_at(weir_tls_context *context,
                                struct context_load_text *text)
{
    wr_assert(!context->why);
    if (context_load_has(text, "-----BEGIN TRUSTED CERTIFICATE-----")) {
        context->why = "it has a TRUSTED CERTIFICATE block, which only OpenSSL "
                       "reads; to convert it: openssl x509 -in FILE -out NEW";
        return WEIR_ETLSFILE;
    }
    return context_load_has(text, "-----BEGIN X509 CERTIFICATE-----")
               ? context_load_rename(text)
               : 0;
}

/* A PFX of PKCS #12 (RFC 7292, 4) in DER starts with version 3. */
static bool context_load_is_pfx(const struct context_load_text *text)
{
    static const uint8_t version[] = {2, 1, 3};
    const uint8_t *data = text->data;
    const size_t front = 2u + (data[1] & 0x80 ? data[1] & 0x7fu : 0);

    wr_assert(text->size > 1);
    return (size_t)text->size >= front + sizeof(version) &&
           memcmp(data + front, version, sizeof(version)) == 0;
}

static const char *context_load_guess(const struct context_load_text *text,
                                      bool wants_key)
{
    const uint8_t sequence = 0x30; /* in DER */

    if (text->size < 2) {
        return "it is empty";
    }
    const bool has_key = context_load_has(text, "PRIVATE KEY-----");
    const bool has_certificate = context_load_has(text, "CERTIFICATE-----");
    if (text->data[0] == sequence) {
        return context_load_is_pfx(text)
                   ? "it is PKCS #12, not PEM; to convert it: openssl pkcs12 "
                     "-in FILE -nodes -out NEW"
               : wants_key ? "it is DER, not PEM; to convert it: openssl pkey "
                             "-inform DER -in FILE -out NEW"
                           : "it is DER, not PEM; to convert it: openssl x509 "
                             "(crl for a revocation list) -inform DER -in "
                             "FILE -out NEW";
    }
    if (!context_load_has(text, "-----BEGIN ")) {
        return "it has no PEM block";
    }
    return wants_key && !has_key && has_certificate
               ? "it has a certificate and no key"
           : !wants_key && !has_certificate && has_key
               ? "it has a key and no certificate"
               : NULL;
}

bool wr_tls_context_has(const struct weir_tls_pem *pem)
{
    return pem->file || pem->data;
}

static const char *context_load_name(const struct weir_tls_pem *pem)
{
    return pem->file ? pem->file : "the text in memory";
}

void wr_tls_context_say(struct wr_tls_context_text *text, const char *label,
                        const char *name, int err)
{
    wr_assert(err < 0);
    wr_ignore(snprintf(text->line, sizeof(text->line), "%s: %s: %s%s%s", label,
                       name, weir_strerror(err), text->why ? ": " : "",
                       text->why ? text->why : "") < 0);
}

int wr_tls_context_load_one(weir_tls_context *context,
                            const struct weir_tls_pem *pem, const char *label,
                            wr_tls_context_use *use,
                            struct wr_tls_context_text *text)
{
    struct context_load_text found = {.data = NULL};
    int err = context_load_read(pem, &found);
    text->why = NULL;
    context->why = NULL;
    context->notice = NULL;
    if (err == 0) {
        err = context_load_look_at(context, &found);
    }
    if (err == 0) {
        err = use(context, found.data, found.size);
    }
    text->why = context->why;
    if ((err == WEIR_ETLSFILE || err == WEIR_ETLSNOKEY) && !text->why &&
        found.data) {
        text->why = context_load_guess(&found, strcmp(label, "key") == 0);
    }
    context_load_drop(&found);
    if (err < 0) {
        wr_tls_context_say(text, label, context_load_name(pem), err);
    } else if (context->notice && text->notice[0] == '\0') {
        wr_ignore(snprintf(text->notice, sizeof(text->notice), "%s: %s: %s",
                           label, context_load_name(pem), context->notice) < 0);
    }
    return err;
}

static int context_load_check_dates(struct wr_bytes der, int64_t now)
{
    struct wr_x509 x509;

    wr_assert(now > 0);
    if (wr_x509_read(&x509, der.data, der.size) < 0) {
        return WEIR_ETLSFILE;
    }
    return now < x509.not_before  ? WEIR_ETLSNOTYET
           : now > x509.not_after ? WEIR_ETLSEXPIRED
                                  : 0;
}

int wr_tls_context_use_authorities(weir_tls_context *context,
                                   const uint8_t *data, long size)
{
    const int64_t now = (int64_t)time(NULL);
    struct wr_bytes rest = {.data = data, .size = (size_t)size};
    struct wr_bytes der;
    int err = WEIR_ETLSFILE;
    int ret = 0;

    wr_assert(context->verifies && size > 0);
    while ((ret = wr_tls_pem_next(&rest, "CERTIFICATE", &der)) > 0) {
        const int found =
            der.data ? context_load_check_dates(der, now) : WEIR_ETLSFILE;
        const int added =
            der.data ? wr_x509_trust_add(&context->trust, der) : 0;
        if (added < 0) {
            return added;
        }
        err = err == 0 || found == WEIR_ETLSFILE ? err : found;
    }
    return ret < 0 ? ret : err;
}

/* ---- authorities in a folder ----
 *
 * The folder has PEM files, and possibly OpenSSL's rehash links to them, so an
 * authority may occur twice. The files are read in the order of their names, so
 * that every start has the same result. A file whose certificates are all
 * expired or not valid yet is no error, because a server must still start after
 * one of many authorities has expired. Running out of descriptors or memory is
 * an error, because any file could be left out. */

static int context_load_folder_select(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && entry->d_type != DT_DIR;
}

static int context_load_folder_compare(const struct dirent **a,
                                       const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Returns 1 if the text has a valid authority, 0 if it has none or no
 * certificate at all, else an error. */
static int context_load_folder_use(weir_tls_context *context,
                                   const uint8_t *data, long size)
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

static int context_load_folder_load_file(weir_tls_context *context,
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
                                            context_load_folder_use, text);
    if (err == -ENOENT || err == -EISDIR) { /* deleted, or a folder */
        text->line[0] = '\0';
        return 0;
    }
    return err;
}

/* Returns the number of files with a valid authority, or the first error. Skips
 * unusable files if @is_lenient is true. */
static int context_load_folder_all(weir_tls_context *context,
                                   const char *folder, bool is_lenient,
                                   struct wr_tls_context_text *text)
{
    struct dirent **entries = NULL;
    const int count = scandir(folder, &entries, context_load_folder_select,
                              context_load_folder_compare);
    int taken = 0;
    int err = count < 0 ? -errno : 0;

    wr_assert(context->verifies);
    for (int i = 0; i < count; i++) {
        if (err >= 0) {
            err = context_load_folder_load_file(context, folder,
                                                entries[i]->d_name, text);
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
    const int taken = context_load_folder_all(context, folder, false, text);
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
    static const char *const folders[] = {
        "/etc/ssl/certs", /* Debian, Ubuntu, Gentoo and others */
        "/etc/pki/ca-trust/source/anchors", /* Fedora, RHEL */
        "/etc/pki/tls/certs",               /* older RHEL */
    };
    const size_t count = sizeof(folders) / sizeof(*folders);
    int taken = 0;

    wr_assert(!context->is_server);
    for (size_t i = 0; i < count && taken <= 0; i++) {
        taken = context_load_folder_all(context, folders[i], true, text);
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

/* ---- all authorities, and revocation lists ----
 *
 * Lists are read after the authorities, because an authority of a list's name
 * must have signed it. */

static int context_load_trust_use_lists(weir_tls_context *context,
                                        const uint8_t *data, long size)
{
    const struct wr_bytes list = {.data = data, .size = (size_t)size};

    wr_assert(context->verifies && size > 0);
    return wr_tls_revocation_add(&context->revocation, list, &context->trust,
                                 (int64_t)time(NULL), &context->why);
}

static int context_load_trust_load(weir_tls_context *context,
                                   const struct weir_tls_options *options,
                                   struct wr_tls_context_text *text)
{
    const bool has_folder = options->authority_folder != NULL;

    wr_assert(context->verifies);
    if (wr_tls_context_has(&options->authorities)) {
        return wr_tls_context_load_one(context, &options->authorities,
                                       "authorities",
                                       wr_tls_context_use_authorities, text);
    }
    if (has_folder || (!context->is_server && options->no_system_authorities)) {
        return 0;
    }
    if (context->is_server) {
        wr_tls_context_say(text, "authorities", "none are given", -EINVAL);
        return -EINVAL;
    }
    return wr_tls_context_load_system(context, text);
}

static int context_load_trust_check(const weir_tls_context *context,
                                    const struct weir_tls_options *options,
                                    struct wr_tls_context_text *text)
{
    const struct wr_x509_trust *trust = &context->trust;

    for (size_t i = 0; i < trust->count; i++) {
        const struct wr_x509 *anchor = &trust->anchors[i];
        if (anchor->is_authority || anchor->version == 1 ||
            wr_x509_is_self_issued(anchor)) {
            return 0;
        }
    }
    if (trust->count == 0) {
        return 0;
    }
    text->why =
        "none of its certificates is of an authority; give their issuer's";
    if (wr_tls_context_has(&options->authorities)) {
        wr_tls_context_say(text, "authorities",
                           context_load_name(&options->authorities),
                           WEIR_ETLSFILE);
    } else {
        wr_tls_context_say(text, "authority_folder", options->authority_folder,
                           WEIR_ETLSFILE);
    }
    return WEIR_ETLSFILE;
}

int wr_tls_context_load_trust(weir_tls_context *context,
                              const struct weir_tls_options *options,
                              struct wr_tls_context_text *text)
{
    const bool has_own =
        wr_tls_context_has(&options->authorities) || options->authority_folder;

    wr_assert(context->verifies);
    int err = context_load_trust_load(context, options, text);
    if (err == 0 && options->authority_folder) {
        err = wr_tls_context_load_folder(context, options->authority_folder,
                                         text);
    }
    if (err == 0 && has_own) {
        err = context_load_trust_check(context, options, text);
    }
    if (err == 0 && wr_tls_context_has(&options->revocations)) {
        err = wr_tls_context_load_one(context, &options->revocations,
                                      "revocations",
                                      context_load_trust_use_lists, text);
    }
    return err;
}

/* ---- private keys ----
 *
 * The passphrase of encrypted keys is the first line of a text, or the
 * program's callback returns it. It is requested only for an encrypted key.
 * Neither the passphrase nor the decrypted key stays in weir's memory after
 * weir_tls_context_new(). */

/* The passphrase of all keys. Exists while the context is created. */
struct wr_tls_asking {
    weir_tls_passphrase_fn *ask;
    void *user;
    const char *file; /* file of the key, or NULL for memory */
    bool is_known;    /* ->passphrase was read from a text */
    size_t size;
    uint8_t passphrase[WR_TLS_PASSPHRASE_MAX];
};

static int context_load_use_passphrase(weir_tls_context *context,
                                       const uint8_t *data, long size)
{
    struct wr_tls_asking *asking = context->asking;
    const uint8_t *end = memchr(data, '\n', (size_t)size);
    size_t len = end ? (size_t)(end - data) : (size_t)size;

    wr_assert(asking && size > 0);
    len -= len > 0 && data[len - 1] == '\r';
    if (len == 0 || len > sizeof(asking->passphrase)) {
        context->why = len == 0 ? "its first line is empty"
                                : "its first line has more than 1024 bytes";
        return WEIR_ETLSFILE;
    }
    memcpy(asking->passphrase, data, len);
    asking->size = len;
    asking->is_known = true;
    return 0;
}

static int context_load_ask(weir_tls_context *context)
{
    struct wr_tls_asking *asking = context->asking;

    wr_assert(!asking->is_known);
    if (!asking->ask) {
        context->why = "no passphrase is given";
        return WEIR_ETLSPASSWORD;
    }
    const int len =
        asking->ask(asking->user, asking->file, (char *)asking->passphrase,
                    sizeof(asking->passphrase));
    if (len < 0) {
        return len;
    }
    wr_require(len > 0 && (size_t)len <= sizeof(asking->passphrase), -EINVAL);
    asking->size = (size_t)len;
    return 0;
}

static int context_load_unlock(weir_tls_context *context,
                               struct wr_tls_locked *locked,
                               struct wr_bytes *ret)
{
    struct wr_tls_asking *asking = context->asking;
    int err = asking->is_known ? 0 : context_load_ask(context);

    wr_assert(locked->data != NULL);
    if (err < 0) {
        return err;
    }
    const struct wr_bytes passphrase = {.data = asking->passphrase,
                                        .size = asking->size};
    err = wr_tls_locked_open(locked, passphrase, ret);
    if (err == WEIR_ETLSPASSWORD) {
        context->why = "the passphrase is wrong";
    } else if (err == -EOPNOTSUPP) {
        context->why =
            "the TLS library lacks an algorithm of its encryption; to "
            "convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc";
        err = WEIR_ETLSFILE;
    }
    return err;
}

int wr_tls_context_use_key(weir_tls_context *context,
                           struct wr_tls_credential *credential,
                           struct wr_bytes text)
{
    const struct wr_tls_backend *backend = context->backend;
    struct wr_tls_locked locked = {.data = NULL};
    struct wr_bytes plain = {.data = NULL};
    int err = wr_tls_locked_read(text, &locked, &context->why);

    wr_assert(context->asking && credential);
    if (err == 0) {
        return backend->credential_use_key(credential, text.data, text.size);
    }
    if (err == WEIR_ETLSFILE && !context->asking->is_known &&
        !context->asking->ask) {
        return WEIR_ETLSPASSWORD;
    }
    if (err == 1) {
        err = context_load_unlock(context, &locked, &plain);
    }
    if (err == 0) {
        err = backend->credential_use_key(credential, plain.data, plain.size);
    }
    wr_tls_locked_fini(&locked);
    wr_tls_locked_wipe(&plain);
    return err;
}

void wr_tls_context_set_key_file(weir_tls_context *context, const char *file)
{
    wr_assert(context->asking != NULL);
    context->asking->file = file;
}

int wr_tls_context_begin_keys(weir_tls_context *context,
                              const struct weir_tls_options *options,
                              struct wr_tls_context_text *text)
{
    wr_assert(!context->asking);
    context->asking = calloc(1, sizeof(*context->asking));
    if (!context->asking) {
        return -ENOMEM;
    }
    context->asking->ask = options->passphrase_callback;
    context->asking->user = options->passphrase_user;
    return wr_tls_context_has(&options->passphrase)
               ? wr_tls_context_load_one(context, &options->passphrase,
                                         "passphrase",
                                         context_load_use_passphrase, text)
               : 0;
}

void wr_tls_context_end_keys(weir_tls_context *context)
{
    if (context->asking) {
        explicit_bzero(context->asking, sizeof(*context->asking));
    }
    free(context->asking);
    context->asking = NULL;
}
