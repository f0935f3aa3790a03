/*
 * No secret stays in the process's memory when contexts and connections are
 * gone: neither a private key's number, nor secrets of connections, nor ticket
 * keys; of an encrypted key neither the passphrase nor the decrypted text.
 *
 * All writable memory, freed or not, and the stack are searched. The searched
 * bytes are masked here, so that they are not found in this program itself: a
 * child process reads the key.
 */
#include "tests/tls/rig.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef UNIT_HAS_LSAN
#define WIPED_IS_SANITIZED true
#else
#define WIPED_IS_SANITIZED false
#endif

enum {
    WIPED_MASK = 0xa5,
    WIPED_PART = 16,    /* searched bytes */
    WIPED_NUMBER = 128, /* largest number of a key, in bytes */
    WIPED_TICKET = 48,
    WIPED_WORD = 24, /* bytes of a passphrase */
    WIPED_MAX = 16,
    WIPED_LABEL = 40,
    WIPED_REGION_MAX = 64 << 20,
};

struct secret {
    char label[WIPED_LABEL];
    uint8_t masked[WIPED_PART];
    unsigned found;
};

static struct tls_pair pair;
static struct secret secrets[WIPED_MAX];
static size_t secret_count;

static struct secret *secret_new(const char *label, size_t len)
{
    struct secret *secret = &secrets[secret_count++];
    cr_assert_lt(secret_count, WIPED_MAX);
    cr_assert_lt(len, sizeof(secret->label));
    memcpy(secret->label, label, len);
    return secret;
}

/* A line of a key log: a label, a random number and the secret. */
static void wiped_note(void *user, const char *line)
{
    const size_t len = strcspn(line, " ");
    const char *at = line + len + 1 + 64 + 1;
    struct secret *secret = secret_new(line, len);
    for (size_t i = 0; i < WIPED_PART; i++) {
        unsigned byte = 0;
        for (size_t j = 0; j < 2; j++) {
            const char c = at[2 * i + j];
            byte = byte << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        secret->masked[i] = (uint8_t)(byte ^ WIPED_MASK);
    }
}

/* A kind of key: its file, and which number it keeps secret. */
struct wiped_key {
    const char *name;
    const char *number;
    int size;
    bool is_locked; /* it is encrypted */
};

static const struct wiped_key wiped_curve = {"ecdsa", OSSL_PKEY_PARAM_PRIV_KEY,
                                             32, false};
static const struct wiped_key wiped_locked = {"ecdsa", OSSL_PKEY_PARAM_PRIV_KEY,
                                              32, true};
static const struct wiped_key wiped_rsa = {"rsa", OSSL_PKEY_PARAM_RSA_FACTOR1,
                                           WIPED_NUMBER, false};

static EVP_PKEY *wiped_read_key(const struct wiped_key *of)
{
    FILE *file = fopen(tls_file("%s.key", of->name), "re");
    return file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
}

/* Writes the number of a key, with the first byte first and last. */
static void wiped_write_number(const struct wiped_key *of, int fd)
{
    BIGNUM *number = NULL;
    uint8_t bytes[2 * WIPED_NUMBER];
    const size_t size = (size_t)of->size;
    EVP_PKEY *key = wiped_read_key(of);
    if (!key || EVP_PKEY_get_bn_param(key, of->number, &number) != 1 ||
        BN_bn2binpad(number, bytes, of->size) != of->size ||
        BN_bn2lebinpad(number, bytes + size, of->size) != of->size) {
        _exit(1);
    }
    for (size_t i = 0; i < 2 * size; i++) {
        bytes[i] ^= WIPED_MASK;
    }
    _exit(write(fd, bytes, 2 * size) != (ssize_t)(2 * size));
}

static void wiped_fill_word(char ret[WIPED_WORD])
{
    for (int i = 0; i < WIPED_WORD; i++) {
        ret[i] = (char)('a' + (7 * i + 3) % 26);
    }
}

/* The weir_tls_passphrase_fn; the passphrase is nowhere else in this process.
 */
static int wiped_ask(void *user, const char *file, char *buf, size_t size)
{
    cr_assert(!user && file && size > WIPED_WORD);
    wiped_fill_word(buf);
    return WIPED_WORD;
}

/* Writes the encrypted key to a file, and bytes of its text from the number to
 * a pipe. */
static void wiped_write_locked(const struct wiped_key *of, int fd, int file)
{
    char word[WIPED_WORD];
    const char *text = NULL;
    char masked[WIPED_PART];
    BIO *plain = BIO_new(BIO_s_mem());
    FILE *sealed = fdopen(file, "w");
    EVP_PKEY *key = wiped_read_key(of);
    const long at = (long)sizeof("-----BEGIN PRIVATE KEY-----") + 48;
    wiped_fill_word(word);
    if (!key || !plain || !sealed ||
        PEM_write_bio_PKCS8PrivateKey(plain, key, NULL, NULL, 0, NULL, NULL) !=
            1 ||
        BIO_get_mem_data(plain, &text) < at + WIPED_PART ||
        PEM_write_PKCS8PrivateKey(sealed, key, EVP_aes_256_cbc(), word,
                                  WIPED_WORD, NULL, NULL) != 1 ||
        fflush(sealed) != 0) {
        _exit(1);
    }
    for (long i = 0; i < WIPED_PART; i++) {
        masked[i] = (char)(text[at + i] ^ WIPED_MASK);
    }
    _exit(write(fd, masked, WIPED_PART) != WIPED_PART);
}

/* A child reads the key: with @file it writes the encrypted key there, with -1
 * it returns the number. Nothing of it stays in this process. */
static void wiped_ask_child(const struct wiped_key *of, int file, void *ret,
                            size_t size)
{
    int fds[2];
    int status = 0;
    expect_eq(pipe(fds), 0);
    const pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0 && file >= 0) {
        wiped_write_locked(of, fds[1], file);
    } else if (pid == 0) {
        wiped_write_number(of, fds[1]);
    }
    expect_eq(waitpid(pid, &status, 0), pid);
    expect_eq(status, 0);
    expect_eq(read(fds[0], ret, size), (ssize_t)size);
    close(fds[0]);
    close(fds[1]);
}

/* Returns a file with the encrypted key; the caller closes it. */
static int wiped_lock(const struct wiped_key *of)
{
    const int file = memfd_create("key", MFD_CLOEXEC);
    char word[WIPED_WORD];
    cr_assert_geq(file, 0);
    wiped_ask_child(of, file, secret_new("opened text", 11)->masked,
                    WIPED_PART);
    struct secret *secret = secret_new("passphrase", 10);
    wiped_fill_word(word);
    for (size_t i = 0; i < WIPED_PART; i++) {
        secret->masked[i] = (uint8_t)(word[i] ^ WIPED_MASK);
    }
    explicit_bzero(word, sizeof(word));
    return file;
}

/* Records the first and last bytes of the number in both orders. */
static void wiped_note_key(const struct wiped_key *of)
{
    uint8_t bytes[2 * WIPED_NUMBER];
    const size_t size = (size_t)of->size;
    wiped_ask_child(of, -1, bytes, 2 * size);
    for (size_t i = 0; i < 4; i++) {
        const size_t at = i / 2 * size + (i % 2) * (size - WIPED_PART);
        memcpy(secret_new("private key", 11)->masked, bytes + at, WIPED_PART);
    }
}

/* Records what a backend that encrypts tickets itself derives from a key's
 * secret. */
static void wiped_note_pair(const uint8_t *secret)
{
    static const char *const labels[] = {"ticket cipher", "ticket mac"};
    const struct wr_bytes from = {secret, WR_TLS_TICKET_SECRET};
    uint8_t key[WR_TLS_TICKET_KEY];
    expect_ok(wr_tls_backend_get()->start());
    for (size_t i = 0; i < 2; i++) {
        struct secret *derived = secret_new("ticket, derived", 15);
        expect_ok(wr_tls_backend_get()->expand(WR_X509_HASH_SHA256, from,
                                               labels[i], key, sizeof(key)));
        for (size_t j = 0; j < WIPED_PART; j++) {
            derived->masked[j] = key[j] ^ WIPED_MASK;
        }
    }
    explicit_bzero(key, sizeof(key));
}

static bool wiped_is(const uint8_t *at, const struct secret *secret)
{
    for (size_t i = 0; i < WIPED_PART; i++) {
        if ((uint8_t)(at[i] ^ WIPED_MASK) != secret->masked[i]) {
            return false;
        }
    }
    return true;
}

static void wiped_look_at(const uint8_t *from, const uint8_t *end)
{
    uint8_t firsts[256] = {0};
    for (size_t i = 0; i < secret_count; i++) {
        firsts[secrets[i].masked[0] ^ WIPED_MASK] = 1;
    }
    for (const uint8_t *at = from; at + WIPED_PART <= end; at++) {
        if (!firsts[*at]) {
            continue;
        }
        for (size_t i = 0; i < secret_count; i++) {
            secrets[i].found += wiped_is(at, &secrets[i]);
        }
    }
}

/* Searches all writable memory. */
__attribute__((noinline)) static void wiped_look(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    cr_assert_not_null(maps);
    for (size_t i = 0; i < secret_count; i++) {
        secrets[i].found = 0;
    }
    while (fgets(line, sizeof(line), maps)) {
        unsigned long from = 0;
        unsigned long end = 0;
        char rights[8] = "";
        if (sscanf(line, "%lx-%lx %7s", &from, &end, rights) == 3 &&
            strncmp(rights, "rw", 2) == 0 && !strchr(rights, 's') &&
            end - from <= WIPED_REGION_MAX) {
            wiped_look_at((const uint8_t *)from, (const uint8_t *)end);
        }
    }
    fclose(maps);
}

/* Returns how many secrets were found whose labels have this prefix. */
static unsigned wiped_count(const char *label)
{
    unsigned count = 0;
    for (size_t i = 0; i < secret_count; i++) {
        if (strncmp(secrets[i].label, label, strlen(label)) == 0) {
            count += secrets[i].found;
        }
    }
    return count;
}

static weir_tls_context *wiped_server(const struct wiped_key *of,
                                      struct weir_tls_options *options)
{
    char path[64];
    const int file = of->is_locked ? wiped_lock(of) : -1;
    options->certificate.file = tls_file("%s.pem", of->name);
    options->key.file = tls_file("%s.key", of->name);
    if (of->is_locked) {
        wr_ignore(snprintf(path, sizeof(path), "/proc/self/fd/%d", file) < 0);
        options->key.file = path;
        options->passphrase_callback = wiped_ask;
    }
    weir_tls_context *context = tls_context(options);
    if (file >= 0) {
        close(file);
    }
    return context;
}

static void wiped_connect(const struct wiped_key *of, int version)
{
    uint8_t keys[WIPED_TICKET];
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);
    server.max_version = version == 12 ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
    server.keylog = wiped_note;
    struct secret *ticket = secret_new("ticket", 6);
    for (size_t i = 0; i < sizeof(keys); i++) {
        keys[i] = (uint8_t)(37 * i + 11);
    }
    for (size_t i = 0; i < WIPED_PART; i++) {
        ticket->masked[i] = keys[16 + i] ^ WIPED_MASK;
    }
    wiped_note_pair(keys + 16);
    server.ticket_keys = keys;
    server.ticket_keys_size = sizeof(keys);
    weir_tls_context *client_context = tls_context(&client);
    weir_tls_context *server_context = wiped_server(of, &server);
    explicit_bzero(keys, sizeof(keys));
    tls_pair_open(&pair, client_context, server_context, &how);
    tls_side_step(&pair.client);
    tls_pair_exchange(&pair, 0);
    tls_pair_expect(&pair, 0, 0);
    expect_eq(wr_tls_engine_write(&pair.client.engine, "some", 4), 0);
    tls_pair_exchange(&pair, 0);
    expect_ok(wr_tls_engine_close(&pair.client.engine));
    tls_pair_exchange(&pair, 0);
    tls_contexts_unref(client_context, server_context);
}

/* OpenSSL does not clear the memory of a freed connection, which has secrets of
 * records, nor the memory in which it has decoded a key: whether it is
 * overwritten depends on chance. */
static bool wiped_clears_all(void)
{
    return strcmp(wr_tls_backend_get()->name, "OpenSSL") != 0;
}

static void wiped_run(const struct wiped_key *of, int version)
{
    const char *logged = version == 12 ? "CLIENT_RANDOM" : "CLIENT_TRAFFIC";
    if (WIPED_IS_SANITIZED) {
        cr_skip_test("a sanitizer keeps freed memory; runs in a release build");
    }
    secret_count = 0;
    wiped_note_key(of);
    wiped_connect(of, version);
    wiped_look();
    expect_gt(wiped_count("private key"), 0, "nothing is found");
    expect_gt(wiped_count("ticket"), 0);
    expect_eq(wiped_count("ticket, derived") > 0, !wiped_clears_all());
    expect_gt(wiped_count(logged), 0);
    expect_eq(wiped_count("passphrase"), 0, "%s, %d", of->name, version);
    tls_pair_disconnect(&pair);
    wiped_look();
    expect_eq(wiped_count("ticket"), 0, "%s, %d", of->name, version);
    expect_eq(wiped_count("opened text"), 0, "%s, %d", of->name, version);
    if (wiped_clears_all()) {
        expect_eq(wiped_count(""), 0, "%s, %d", of->name, version);
    }
}

UNIT(tls_wiped, keys_and_secrets_are_gone_with_what_had_them)
{
    for (int version = 12; version <= 13; version++) {
        wiped_run(&wiped_curve, version);
        wiped_run(&wiped_rsa, version);
        wiped_run(&wiped_locked, version);
    }
}
