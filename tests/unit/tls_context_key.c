/*
 * A private key is not left on the stack of the thread that creates a context,
 * nor are ticket keys.
 *
 * wolfSSL decodes the key and compares it with the certificate in variables
 * that it does not clear. The stack below the caller's frame is searched for
 * the key's number, in the order of its file and in wolfSSL's order, the least
 * byte first.
 */
#include "tests/tls/rig.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

enum { KEY_BYTES = 32, KEY_PART = 16, KEY_STACK = 96 << 10 };

static uint8_t numbers[2][KEY_BYTES];

/* OpenSSL, which has read the key here, leaves some bytes, too. */
__attribute__((noinline)) static void key_wipe_stack(void)
{
    uint8_t stack[KEY_STACK];
    explicit_bzero(stack, sizeof(stack));
}

/* Returns how many parts of the number are on the stack below the caller. */
__attribute__((noinline)) static unsigned key_count(void)
{
    uint8_t stack[KEY_STACK];
    const uint8_t *at = stack;
    unsigned count = 0;
    __asm__ volatile("" : "+r"(at) : : "memory"); /* it is read as it is */
    for (size_t i = 0; i + KEY_PART <= KEY_STACK; i++) {
        for (int form = 0; form < 2; form++) {
            count += memcmp(at + i, numbers[form], KEY_PART) == 0;
            count += memcmp(at + i, numbers[form] + KEY_PART, KEY_PART) == 0;
        }
    }
    return count;
}

static void key_read(const char *path)
{
    BIGNUM *number = NULL;
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    cr_assert_not_null(key);
    cr_assert_eq(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &number),
                 1);
    expect_eq(BN_bn2binpad(number, numbers[0], KEY_BYTES), KEY_BYTES);
    expect_eq(BN_bn2lebinpad(number, numbers[1], KEY_BYTES), KEY_BYTES);
    BN_clear_free(number);
    EVP_PKEY_free(key);
    key_wipe_stack();
    expect_eq(key_count(), 0);
}

UNIT(tls_context_key, the_number_of_a_private_key_is_not_left_on_the_stack)
{
    const struct weir_tls_options options = tls_options(true);
    key_read(tls_file("ecdsa.key"));
    weir_tls_context *context = tls_context(&options);
    const unsigned count = key_count();
    weir_tls_context_unref(context);
    expect_eq(count, 0);
}

UNIT(tls_context_key, nor_is_that_of_a_further_certificate)
{
    struct weir_tls_options options = tls_options(true);
    const struct weir_tls_identity identity = {
        .size = sizeof(identity),
        .certificate = options.certificate,
        .key = options.key,
    };
    const struct weir_tls_identity *const identities[] = {&identity};
    options.certificate.file = tls_file("tls-matrix/good.pem");
    options.key.file = tls_file("tls-matrix/good.key");
    options.identities = identities;
    options.identity_count = 1;
    key_read(tls_file("ecdsa.key"));
    weir_tls_context *context = tls_context(&options);
    const unsigned count = key_count();
    weir_tls_context_unref(context);
    expect_eq(count, 0);
}

UNIT(tls_context_key, nor_are_the_keys_of_tickets_that_are_handed_over)
{
    enum { NAME_BYTES = 16 };
    static uint8_t keys[NAME_BYTES + KEY_BYTES];
    static struct weir_tls_ticket_keys saved = {.size = sizeof(saved)};
    struct weir_tls_options options = tls_options(true);
    for (size_t i = 0; i < sizeof(keys); i++) {
        keys[i] = (uint8_t)(7 * i + 1);
    }
    memcpy(numbers[0], keys + NAME_BYTES, KEY_BYTES);
    memcpy(numbers[1], keys + NAME_BYTES, KEY_BYTES);
    options.ticket_keys = keys;
    options.ticket_keys_size = sizeof(keys);
    weir_tls_context *context = tls_context(&options);
    /* By the second time the dynamic linker has resolved all called functions.
     * When it does so, it writes the registers to the stack. */
    for (int i = 0; i < 2; i++) {
        key_wipe_stack();
        expect_eq(weir_tls_context_get_ticket_keys(context, &saved), 0);
        const unsigned left_by_get = key_count();
        key_wipe_stack();
        expect_eq(weir_tls_context_set_ticket_keys(context, &saved), 0);
        const unsigned left_by_set = key_count();
        cr_assert(i == 0 || left_by_get == 0);
        cr_assert(i == 0 || left_by_set == 0);
    }
    cr_assert_not_null(
        memmem(saved.data, sizeof(saved.data), numbers[0], KEY_BYTES));
    weir_tls_context_unref(context);
}
