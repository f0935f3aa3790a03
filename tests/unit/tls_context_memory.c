/*
 * Creating a context without memory: each allocation of weir and wolfSSL fails
 * in turn, alone and with all later ones.
 *
 * Whatever wolfSSL reports, the error is -ENOMEM, and nothing is left. OpenSSL,
 * a library of the system, allocates normally. The program is linked so that
 * the library's calls of malloc() come here.
 */
#include "tests/tls/rig.h"

#include <errno.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
void __real_free(void *memory);
void __wrap_free(void *memory);

static long allowed = -1; /* allocations until one fails; negative is none */
static bool is_lasting;   /* later ones fail, too */
static bool has_failed;
static long held; /* allocations that were not freed */

static bool fails(void)
{
    if (allowed < 0) {
        return false;
    }
    if (allowed > 0) {
        allowed--;
        return false;
    }
    has_failed = true;
    allowed = is_lasting ? 0 : -1;
    return true;
}

static void *hold(void *memory)
{
    held += memory != NULL;
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : hold(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : hold(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (fails()) {
        return NULL;
    }
    void *memory = __real_realloc(old, size);
    return old ? memory : hold(memory);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : hold(__real_strdup(text));
}

void __wrap_free(void *memory)
{
    held -= memory != NULL;
    __real_free(memory);
}

static void memory_try(const struct weir_tls_options *options, bool lasts)
{
    char text[512];
    int err = 0;
    long count = 0;
    has_failed = true;
    for (; has_failed; count++) {
        weir_tls_context *context = NULL;
        is_lasting = lasts;
        has_failed = false;
        const long before = held;
        allowed = count;
        err = weir_tls_context_new(options, &context, text, sizeof(text));
        allowed = -1;
        if (context) {
            weir_tls_context_unref(context);
        }
        expect_eq(held, before, "allocation %ld leaves memory", count);
        if (has_failed) {
            expect_eq(err, -ENOMEM, "allocation %ld: %s: %s", count,
                      weir_err_name(err), text);
        }
    }
    expect_eq(err, 0);
    expect_gt(count, 5); /* with OpenSSL its own are not counted */
}

UNIT(tls_context_memory, of_a_client_that_fails_is_told_as_such)
{
    struct weir_tls_options options = {
        .size = sizeof(options),
        .authorities.file = tls_file("ca.pem"),
    };
    options.revocations.file = tls_file("tls-matrix/listed.crl");
    memory_try(&options, false);
    memory_try(&options, true);
}

/* Writes a text with the old label of certificates to a file that is removed
 * when it is closed. */
static const char *memory_rename(const char *name, FILE **ret_file)
{
    static const char begin[] = "-----BEGIN ";
    static char path[64];
    static char text[16 << 10];
    const size_t size = tls_file_read(tls_file("%s", name), text, sizeof(text));
    text[size] = '\0';
    const char *at = strstr(text, begin);
    cr_assert_not_null(at);
    *ret_file = tmpfile();
    cr_assert_not_null(*ret_file);
    fprintf(*ret_file, "%sX509 %s", begin, at + strlen(begin));
    fflush(*ret_file);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fileno(*ret_file));
    return path;
}

UNIT(tls_context_memory, of_a_text_with_an_old_name_is_given_back)
{
    FILE *file;
    struct weir_tls_options options = {
        .size = sizeof(options),
        .authorities.file = memory_rename("ca.pem", &file),
    };
    memory_try(&options, false);
    fclose(file);
}

UNIT(tls_context_memory, of_a_server_that_fails_is_told_as_such)
{
    const char *const names[] = {"ecdsa", "rsa"};
    for (size_t i = 0; i < 2; i++) {
        struct weir_tls_options options = {
            .size = sizeof(options),
            .server = true,
            .alpn = "h2",
        };
        options.certificate.file = tls_file("%s.pem", names[i]);
        options.key.file = tls_file("%s.key", names[i]);
        memory_try(&options, false);
        memory_try(&options, true);
    }
}
