/*
 * Encrypted private keys: each form is decrypted to the original key, and the
 * parameters in a file are limited.
 *
 * The keys were made by OpenSSL, with the passphrase "correct horse".
 */
#include "lib/tls/context/pem.h"
#include "tests/tls/rig.h"

#include <weir/error.h>

#include <errno.h>

static const char locked_plain[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8nO9rsmewlkCdINv\n"
    "oKnZE/dGDiYJ6UzVAb9a3QGeQSOhRANCAAR9qb8pXddyMkPlIprk8OJ7EaGnz0Ql\n"
    "T8L8NQMrflWrBIsfdEETQQ5Guos8SIrzOwa4JF6o0a1P1owtFnrT+i9Q\n"
    "-----END PRIVATE KEY-----\n";

static const char locked_plain_old[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEIPJzva7JnsJZAnSDb6Cp2RP3Rg4mCelM1QG/Wt0BnkEjoAoGCCqGSM49\n"
    "AwEHoUQDQgAEfam/KV3XcjJD5SKa5PDiexGhp89EJU/C/DUDK35VqwSLH3RBE0EO\n"
    "RrqLPEiK8zsGuCReqNGtT9aMLRZ60/ovUA==\n"
    "-----END EC PRIVATE KEY-----\n";

static const char locked_pbes2[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAj0UgAsXd7RRwICCAAw\n"
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEJ8rzGKDbYYf81/yWzBhXeEEgZBJ\n"
    "jFS0S1wNjBnDPEAO/MxuDBHbZwndSzOH/GioQlcTOB/ONBfWIrvfQsKE1q+2ZUZa\n"
    "Vut77l6gW3hpgvJZshTS/falgi5kPCTIvpEsVgfeFnO7vXUYlaqFIXR5l0YIzFgP\n"
    "4GGbNWRItPIi1z1HxoZaU74i1451ymF3lXpFbwOMuaAWxzTOxgtZAYn9J97Kzww=\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

static const char locked_pbes2_sha1[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHeMEkGCSqGSIb3DQEFDTA8MBsGCSqGSIb3DQEFDDAOBAjj9r94kl1zCAICCAAw\n"
    "HQYJYIZIAWUDBAECBBCm/DRA3z125pRV/nmRHPK4BIGQRVishzxvV2rQS8iR6aBG\n"
    "2PW7jJBjxadGO+nJ6KCeM5StTh5Zj5IcKYl4n860OBjoJh+wTIF6mz3QN/ufyKGK\n"
    "umKGSnCfTQAlh+mcM6V6wxLpisjjdMGMvbVBps9V0TonM2c+/1vggOHvZeCwn7Aj\n"
    "pZplq374hBYKDCSTj82St4e/+M/+IeduOP5SQeyBZIor\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

static const char locked_old_128[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "Proc-Type: 4,ENCRYPTED\n"
    "DEK-Info: AES-128-CBC,E35C2F83567B4F50D5AD8A1B9D510E1E\n"
    "\n"
    "oGI6Tt+X1AQ2gKBhS7Tko58hsII7f3XE9i3bp45iEOQFiiHtpuK9onTlIpEiORaY\n"
    "OOrMG04z5WGgY+RfBV2UW5dktFkIIicNfZQ+QEtPRYcCbAPGAGIKJ5ZOpdB//ROm\n"
    "rb99w4hlwCkvAaQOjnAiuD417vLI8FMOr1T1Z82bWZw=\n"
    "-----END EC PRIVATE KEY-----\n";

static const char locked_old_256[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "Proc-Type: 4,ENCRYPTED\n"
    "DEK-Info: AES-256-CBC,F0C527C223D8DA7917FD8B541A9FEAF2\n"
    "\n"
    "rMiWtrZNKikeYejq/tTn4nOLbdqh3M7KVPYJ7goGk5PjdQjEzvM61ItuSkM+J3KP\n"
    "gdVWJONCdXa8nxgQcArT8drJxfjkLpMdi0nsh3Ak/r396h4Xx5xrLlM7CktFld6y\n"
    "Ix8PsjXwTcK6B3w9lBGd0iHby9nbs20GuzjAQAQTcaY=\n"
    "-----END EC PRIVATE KEY-----\n";

static const char locked_rounds[] =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
    "MIHuMFkGCSqGSIb3DQEFDTBMMCsGCSqGSIb3DQEFDDAeBAgr7m9YE8Q/aAIEAJiW\n"
    "gTAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQS8ZteN4NXXj+H3FIqjJg6gSB\n"
    "kNZpw7lv6CDF/bWzgYkNnW1WO3xMvLKujb+UV+IlBE3/dBAfqEQFwysof9T2B8ri\n"
    "vwal9kpRxnjr3UgVlU18LHqG56wsD9qmappVFgzVAHjyqJEKwsKWCqZrsMFdv9zB\n"
    "K4mG17NJxkO1THhgSmxxbz4qx6dmHlRZR2z6u+PiMzxa7hj/l+qHlQbrLbLlDN1P\n"
    "tg==\n"
    "-----END ENCRYPTED PRIVATE KEY-----\n";

static struct wr_bytes locked_bytes(const void *text)
{
    return (struct wr_bytes){.data = text, .size = strlen(text)};
}

static const char locked_words[] = "correct horse";

static int locked_open(const char *text, const char *words,
                       struct wr_bytes *ret)
{
    struct wr_tls_locked locked;
    const char *why = NULL;

    expect_ok(wr_tls_backend_get()->start());
    cr_assert_eq(wr_tls_locked_read(locked_bytes(text), &locked, &why), 1, "%s",
                 why);
    const int err = wr_tls_locked_open(&locked, locked_bytes(words), ret);
    wr_tls_locked_fini(&locked);
    return err;
}

/* Expects that it is decrypted to a text that ends like the plain one: labels
 * differ. */
static void locked_expect(const char *text, const char *plain)
{
    struct wr_bytes opened = {.data = NULL};

    cr_assert_eq(locked_open(text, locked_words, &opened), 0);
    expect_eq(opened.size, strlen(plain));
    cr_assert(memcmp(opened.data, plain, opened.size) == 0, "%.*s",
              (int)opened.size, (const char *)opened.data);
    wr_tls_locked_wipe(&opened);
}

UNIT(tls_locked, pbes2_is_opened)
{
    locked_expect(locked_pbes2, locked_plain);
    locked_expect(locked_pbes2_sha1, locked_plain);
}

UNIT(tls_locked, the_older_form_is_opened)
{
    locked_expect(locked_old_128, locked_plain_old);
    locked_expect(locked_old_256, locked_plain_old);
}

UNIT(tls_locked, another_passphrase_is_told)
{
    struct wr_bytes opened = {.data = NULL};

    expect_eq(locked_open(locked_pbes2, "correct", &opened), WEIR_ETLSPASSWORD);
    expect_eq(locked_open(locked_old_256, "Correct horse", &opened),
              WEIR_ETLSPASSWORD);
    cr_assert_null(opened.data);
}

static int locked_read(const char *text, size_t size)
{
    struct wr_tls_locked locked = {.data = NULL};
    const char *why = NULL;
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, text, size);
    const struct wr_bytes bytes = {.data = copy, .size = size};
    const int ret = wr_tls_locked_read(bytes, &locked, &why);

    expect_eq(ret == WEIR_ETLSFILE, why != NULL);
    wr_tls_locked_fini(&locked);
    free(copy);
    return ret;
}

UNIT(tls_locked, a_key_that_is_not_encrypted_is_left)
{
    expect_eq(locked_read(locked_plain, strlen(locked_plain)), 0);
    expect_eq(locked_read(locked_plain_old, strlen(locked_plain_old)), 0);
    expect_eq(locked_read("", 0), 0);
    expect_eq(locked_read("-----BEGIN CERTIFICATE-----\n", 28), 0);
}

/* A truncated file, or one with a changed byte, is refused or gives another
 * key: it is read within its bounds, and the error has a reason. */
static void locked_spoil(const char *text)
{
    char copy[2048];
    const size_t size = strlen(text);

    for (size_t i = 0; i < size; i++) {
        cr_assert_leq(locked_read(text, i), 1);
        memcpy(copy, text, size);
        for (unsigned bit = 0; bit < 8; bit++) {
            copy[i] = (char)(text[i] ^ 1 << bit);
            cr_assert_leq(locked_read(copy, size), 1);
        }
    }
}

UNIT(tls_locked, any_bit_of_a_file_may_be_another)
{
    locked_spoil(locked_pbes2);
    locked_spoil(locked_old_128);
}

UNIT(tls_locked, a_file_cannot_ask_for_endless_work)
{
    expect_eq(locked_read(locked_rounds, strlen(locked_rounds)), WEIR_ETLSFILE);
}

/* NIST SP 800-38A, F.2.2, F.2.4 and F.2.6: the first two blocks. */
UNIT(tls_locked, aes_cbc_opens_the_blocks_of_nist)
{
    static const struct {
        size_t size;
        uint8_t key[32];
        uint8_t sealed[32];
    } rows[] = {
        {16,
         {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15,
          0x88, 0x09, 0xcf, 0x4f, 0x3c},
         {0x76, 0x49, 0xab, 0xac, 0x81, 0x19, 0xb2, 0x46, 0xce, 0xe9, 0x8e,
          0x9b, 0x12, 0xe9, 0x19, 0x7d, 0x50, 0x86, 0xcb, 0x9b, 0x50, 0x72,
          0x19, 0xee, 0x95, 0xdb, 0x11, 0x3a, 0x91, 0x76, 0x78, 0xb2}},
        {24,
         {0x8e, 0x73, 0xb0, 0xf7, 0xda, 0x0e, 0x64, 0x52,
          0xc8, 0x10, 0xf3, 0x2b, 0x80, 0x90, 0x79, 0xe5,
          0x62, 0xf8, 0xea, 0xd2, 0x52, 0x2c, 0x6b, 0x7b},
         {0x4f, 0x02, 0x1d, 0xb2, 0x43, 0xbc, 0x63, 0x3d, 0x71, 0x78, 0x18,
          0x3a, 0x9f, 0xa0, 0x71, 0xe8, 0xb4, 0xd9, 0xad, 0xa9, 0xad, 0x7d,
          0xed, 0xf4, 0xe5, 0xe7, 0x38, 0x76, 0x3f, 0x69, 0x14, 0x5a}},
        {32,
         {0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae,
          0xf0, 0x85, 0x7d, 0x77, 0x81, 0x1f, 0x35, 0x2c, 0x07, 0x3b, 0x61,
          0x08, 0xd7, 0x2d, 0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4},
         {0xf5, 0x8c, 0x4c, 0x04, 0xd6, 0xe5, 0xf1, 0xba, 0x77, 0x9e, 0xab,
          0xfb, 0x5f, 0x7b, 0xfb, 0xd6, 0x9c, 0xfc, 0x4e, 0x96, 0x7e, 0xdb,
          0x80, 0x8d, 0x67, 0x9f, 0x77, 0x7b, 0xc6, 0x70, 0x2c, 0x7d}},
    };
    static const uint8_t iv[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                   8, 9, 10, 11, 12, 13, 14, 15};
    static const uint8_t plain[32] = {
        0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d, 0x7e,
        0x11, 0x73, 0x93, 0x17, 0x2a, 0xae, 0x2d, 0x8a, 0x57, 0x1e, 0x03,
        0xac, 0x9c, 0x9e, 0xb7, 0x6f, 0xac, 0x45, 0xaf, 0x8e, 0x51};
    uint8_t data[32];

    expect_ok(wr_tls_backend_get()->start());
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct wr_bytes key = {.data = rows[i].key, .size = rows[i].size};
        memcpy(data, rows[i].sealed, sizeof(data));
        expect_ok(wr_tls_backend_get()->open_cbc(key, iv, data, sizeof(data)));
        cr_assert(memcmp(data, plain, sizeof(data)) == 0, "%zu", rows[i].size);
    }
}

struct locked_answer {
    int err; /* 0 means the right passphrase */
    int calls;
};

static int locked_ask(void *user, const char *file, char *buf, size_t size)
{
    struct locked_answer *answer = user;

    answer->calls++;
    cr_assert_null(file); /* the text is in memory */
    expect_eq(size, WR_TLS_PASSPHRASE_MAX);
    memcpy(buf, locked_words, strlen(locked_words));
    return answer->err ? answer->err : (int)strlen(locked_words);
}

/* The key does not belong to the certificate, which shows that it was
 * decrypted. */
static int locked_make(const char *key, struct locked_answer *answer,
                       const char *words)
{
    struct weir_tls_options options = tls_options(true);
    weir_tls_context *context = NULL;
    options.key = (struct weir_tls_pem){.data = key, .size = strlen(key)};
    options.passphrase_callback = answer ? locked_ask : NULL;
    options.passphrase_user = answer;
    if (words) {
        options.passphrase =
            (struct weir_tls_pem){.data = words, .size = strlen(words)};
    }
    return weir_tls_context_new(&options, &context, NULL, 0);
}

UNIT(tls_locked, the_program_is_asked_where_no_text_has_the_passphrase)
{
    struct locked_answer answer = {.err = 0};

    expect_eq(locked_make(locked_pbes2, &answer, NULL), WEIR_ETLSMISMATCH);
    expect_eq(answer.calls, 1);
    expect_eq(locked_make(locked_plain, &answer, NULL), WEIR_ETLSMISMATCH);
    expect_eq(answer.calls, 1);
    expect_eq(locked_make(locked_pbes2, &answer, "correct horse\r\n"),
              WEIR_ETLSMISMATCH);
    expect_eq(answer.calls, 1);
    answer.err = -EPERM;
    expect_eq(locked_make(locked_pbes2, &answer, NULL), -EPERM);
    answer.err = WR_TLS_PASSPHRASE_MAX + 1;
    expect_eq(locked_make(locked_pbes2, &answer, NULL), -EINVAL);
    expect_eq(locked_make(locked_pbes2, NULL, NULL), WEIR_ETLSPASSWORD);
    expect_eq(locked_make(locked_pbes2, NULL, "another"), WEIR_ETLSPASSWORD);
    expect_eq(locked_make(locked_pbes2, NULL, "\n"), WEIR_ETLSFILE);
}
