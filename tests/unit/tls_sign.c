/*
 * Certificates whose key is in another process, which signs for each handshake:
 * for servers and clients, with ECDSA and RSA, in both versions.
 *
 * Only that process has the keys; the test has a socket to it. It can be made
 * to fail, or to return an invalid signature.
 */
#include "tests/tls/rig.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

enum { SIGN_MAX = 512, SIGN_HASH_MAX = 64, SIGN_LATE_MS = 30 };
enum { SIGN_THREADS = 4, SIGN_ROUNDS = 20 };

enum sign_way {
    SIGN_WELL,
    SIGN_LATE,
    SIGN_FAILS,
    SIGN_NOTHING, /* 0 bytes */
    SIGN_WRONG,   /* one bit is changed */
    SIGN_SHORT,   /* the last byte is missing */
    SIGN_LONG,    /* one byte too many, inside or after the buffer */
    SIGN_OTHER,   /* of another hash */
};

/* A request to the process, and its answer. */
struct sign_question {
    char key[64];
    size_t kind; /* enum weir_tls_signature */
    size_t hash_size;
    uint8_t hash[SIGN_HASH_MAX];
};

struct sign_answer {
    size_t size; /* 0 if it failed */
    uint8_t data[SIGN_MAX];
};

static struct tls_pair pair;

static int sign_socket; /* socket to the process */
static pid_t sign_pid;

static EVP_PKEY *sign_read_key(const char *name)
{
    FILE *file = fopen(tls_file("%s.key", name), "re");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    if (file) {
        fclose(file);
    }
    return key;
}

static void sign_answer(const struct sign_question *asked,
                        struct sign_answer *ret)
{
    EVP_PKEY *key = sign_read_key(asked->key);
    const EVP_MD *hash = asked->hash_size == 32   ? EVP_sha256()
                         : asked->hash_size == 48 ? EVP_sha384()
                                                  : EVP_sha512();
    EVP_PKEY_CTX *signer = EVP_PKEY_CTX_new(key, NULL);
    size_t size = sizeof(ret->data);
    bool is_ready =
        EVP_PKEY_sign_init(signer) == 1 &&
        (asked->kind == WEIR_TLS_SIGNATURE_ECDSA ||
         EVP_PKEY_CTX_set_rsa_padding(signer,
                                      asked->kind == WEIR_TLS_SIGNATURE_RSA_PSS
                                          ? RSA_PKCS1_PSS_PADDING
                                          : RSA_PKCS1_PADDING) == 1) &&
        EVP_PKEY_CTX_set_signature_md(signer, hash) == 1 &&
        (asked->kind != WEIR_TLS_SIGNATURE_RSA_PSS ||
         EVP_PKEY_CTX_set_rsa_pss_saltlen(signer, RSA_PSS_SALTLEN_DIGEST) == 1);
    ret->size = is_ready && EVP_PKEY_sign(signer, ret->data, &size, asked->hash,
                                          asked->hash_size) == 1
                    ? size
                    : 0;
    EVP_PKEY_CTX_free(signer);
    EVP_PKEY_free(key);
}

static void sign_serve(int fd)
{
    struct sign_question asked;
    struct sign_answer answer = {.size = 0};

    while (recv(fd, &asked, sizeof(asked), 0) == sizeof(asked)) {
        sign_answer(&asked, &answer);
        if (send(fd, &answer, sizeof(answer), 0) != sizeof(answer)) {
            break;
        }
    }
    _exit(0);
}

static void sign_begin(void)
{
    int fds[2];
    expect_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    sign_pid = fork();
    expect_geq(sign_pid, 0);
    if (sign_pid == 0) {
        close(fds[0]);
        sign_serve(fds[1]);
    }
    close(fds[1]);
    sign_socket = fds[0];
}

static void sign_end(void)
{
    int status = -1;
    close(sign_socket);
    expect_eq(waitpid(sign_pid, &status, 0), sign_pid);
    expect_eq(status, 0);
}

/* For one certificate: whose key is used, and how it behaves. */
struct sign_key {
    const char *name;
    enum sign_way way;
    unsigned count;
    enum weir_tls_signature kind; /* of the last call */
};

static int sign_spoil(enum sign_way way, struct sign_answer *answer)
{
    switch (way) {
    case SIGN_NOTHING:
        return 0;
    case SIGN_WRONG:
        answer->data[answer->size - 1] ^= 1;
        return (int)answer->size;
    case SIGN_SHORT:
        return (int)answer->size - 1;
    case SIGN_LONG:
        return (int)answer->size + 1;
    default:
        return (int)answer->size;
    }
}

static int sign_call(void *user, const struct weir_tls_to_sign *job,
                     void *signature, size_t size)
{
    struct sign_key *key = user;
    struct sign_question asked = {.kind = job->kind,
                                  .hash_size = job->hash_size};
    struct sign_answer answer;

    key->count++;
    key->kind = job->kind;
    cr_assert(job->hash_size == 32 || job->hash_size == 48 ||
              job->hash_size == 64);
    cr_assert_gt(job->public_key_size, 0);
    cr_assert_leq(size, SIGN_MAX);
    if (key->way == SIGN_FAILS) {
        return -EIO;
    }
    snprintf(asked.key, sizeof(asked.key), "%s", key->name);
    memcpy(asked.hash, job->hash, job->hash_size);
    asked.hash[0] ^= key->way == SIGN_OTHER;
    cr_assert_eq(send(sign_socket, &asked, sizeof(asked), 0), sizeof(asked));
    cr_assert_eq(recv(sign_socket, &answer, sizeof(answer), 0), sizeof(answer));
    cr_assert_gt(answer.size, 0);
    cr_assert_leq(answer.size, size);
    if (key->way == SIGN_LATE) {
        const struct timespec late = {.tv_nsec = SIGN_LATE_MS * 1000000L};
        nanosleep(&late, NULL);
    }
    const int count = sign_spoil(key->way, &answer);
    memcpy(signature, answer.data, answer.size);
    return count;
}

static struct weir_tls_options sign_options(bool is_server, int version,
                                            struct sign_key *key)
{
    return (struct weir_tls_options){
        .size = sizeof(struct weir_tls_options),
        .server = is_server,
        .certificate = {.file = tls_file("%s.pem", key->name)},
        .authorities = {.file = tls_file("ca.pem")},
        .client_auth = is_server ? WEIR_TLS_CLIENT_AUTH_REQUIRED
                                 : WEIR_TLS_CLIENT_AUTH_NONE,
        .min_version = (enum weir_tls_version)version,
        .max_version = (enum weir_tls_version)version,
        .alpn = "h2,http/1.1",
        .sign = sign_call,
        .sign_user = key,
    };
}

static void sign_expect_stats(weir_tls_context *context, uint64_t count,
                              uint64_t failed)
{
    struct weir_tls_signatures stats = {.size = sizeof(stats)};
    expect_eq(weir_tls_context_get_signatures(context, &stats), 0);
    expect_eq(stats.count, count);
    expect_eq(stats.failed, failed);
    expect_geq(stats.total_ns, stats.longest_ns);
}

/* Returns the name of a certificate with an RSA key; or of another one, because
 * a wolfSSL without libcrypto (-Drsa=wolfssl) signs with RSA keys itself. */
static const char *sign_rsa(void)
{
    struct sign_key key = {.name = "rsa"};
    const struct weir_tls_options options = sign_options(true, 0, &key);
    weir_tls_context *context = NULL;
    const int err = weir_tls_context_new(&options, &context, NULL, 0);
    weir_tls_context_unref(context);
    expect_eq(err, err < 0 ? -EOPNOTSUPP : 0);
    return err < 0 ? "ecdsa" : key.name;
}

static bool sign_has_rsa(void)
{
    return strcmp(sign_rsa(), "rsa") == 0;
}

static void sign_expect_kind(const struct sign_key *key, int version)
{
    const bool is_rsa = strncmp(key->name, "rsa", 3) == 0;
    expect_eq(key->count, 1);
    expect_eq(key->kind, !is_rsa                   ? WEIR_TLS_SIGNATURE_ECDSA
                         : version == WEIR_TLS_1_3 ? WEIR_TLS_SIGNATURE_RSA_PSS
                                                   : key->kind);
}

UNIT(tls_sign, another_process_signs_for_servers_and_clients)
{
    static const char *const names[] = {"ecdsa", "rsa", "rsa3072", "rsa4096"};

    const size_t keys = sign_has_rsa() ? sizeof(names) / sizeof(*names) : 1;
    sign_begin();
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        for (size_t i = 0; i < keys * keys; i++) {
            struct sign_key server = {.name = names[i % keys]};
            struct sign_key client = {.name = names[i / keys]};
            const struct weir_tls_options server_options =
                sign_options(true, version, &server);
            const struct weir_tls_options client_options =
                sign_options(false, version, &client);
            tls_pair_join(&pair, &client_options, &server_options, NULL);
            tls_pair_end(&pair, 0, 0);
            sign_expect_kind(&server, version);
            sign_expect_kind(&client, version);
        }
    }
    sign_end();
}

static const enum sign_way bad_ways[] = {SIGN_FAILS, SIGN_NOTHING, SIGN_WRONG,
                                         SIGN_SHORT, SIGN_LONG,    SIGN_OTHER};

UNIT(tls_sign, a_bad_signature_of_a_server_ends_its_handshake)
{
    const struct weir_tls_options client = tls_options(false);

    sign_begin();
    for (int i = 0; i < 6 * 4; i++) {
        struct sign_key key = {.name = i & 1 ? sign_rsa() : "ecdsa",
                               .way = bad_ways[i / 4]};
        struct weir_tls_options server =
            sign_options(true, i & 2 ? WEIR_TLS_1_2 : WEIR_TLS_1_3, &key);
        server.client_auth = WEIR_TLS_CLIENT_AUTH_NONE;
        server.authorities.file = NULL;
        tls_pair_join(&pair, &client, &server, NULL);
        tls_pair_expect(&pair, WEIR_ETLSALERT, WEIR_ETLSSIGN);
        cr_assert_not_null(
            strstr(wr_tls_engine_get_error_text(&pair.client.engine),
                   "internal_error"),
            "%s", wr_tls_engine_get_error_text(&pair.client.engine));
        expect_eq(key.count, 1);
        sign_expect_stats(pair.server.engine.context, 1, 1);
        tls_pair_disconnect(&pair);
    }
    sign_end();
}

UNIT(tls_sign, a_bad_signature_of_a_client_ends_its_handshake)
{
    sign_begin();
    for (int i = 0; i < 6 * 4; i++) {
        struct sign_key good = {.name = i & 1 ? "ecdsa" : sign_rsa()};
        struct sign_key key = {.name = i & 1 ? sign_rsa() : "ecdsa",
                               .way = bad_ways[i / 4]};
        const int version = i & 2 ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
        const struct weir_tls_options server =
            sign_options(true, version, &good);
        const struct weir_tls_options client =
            sign_options(false, version, &key);
        tls_pair_join(&pair, &client, &server, NULL);
        tls_pair_expect(&pair, WEIR_ETLSSIGN, WEIR_ETLSALERT);
        cr_assert_not_null(
            strstr(wr_tls_engine_get_error_text(&pair.server.engine),
                   "internal_error"),
            "%s", wr_tls_engine_get_error_text(&pair.server.engine));
        sign_expect_stats(pair.client.engine.context, 1, 1);
        sign_expect_stats(pair.server.engine.context, 1, 0);
        tls_pair_disconnect(&pair);
    }
    sign_end();
}

/* Connects, resuming *session if there is one; the new session replaces it. */
static void sign_resume(weir_tls_context *client, weir_tls_context *server,
                        struct wr_tls_known **session)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost",
                                            .session = *session};
    struct wr_tls_known *next = NULL;
    size_t size = 0;

    tls_pair_connect(&pair, client, server, &how);
    tls_pair_expect(&pair, 0, 0);
    expect_eq(wr_tls_engine_was_resumed(&pair.server.engine), *session != NULL);
    cr_assert_not_null(wr_tls_engine_get_alpn(&pair.client.engine, &size));
    expect_eq(size, 2);
    if (wr_tls_engine_get_session(&pair.client.engine, &next) == 0) {
        wr_tls_backend_get()->session_free(*session);
        *session = next;
    }
    cr_assert_not_null(*session);
    tls_pair_disconnect(&pair);
}

UNIT(tls_sign, a_session_is_resumed_without_a_signature)
{
    sign_begin();
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        struct sign_key server_key = {.name = "ecdsa", .way = SIGN_LATE};
        struct sign_key client_key = {.name = sign_rsa()};
        const struct weir_tls_options server_options =
            sign_options(true, version, &server_key);
        const struct weir_tls_options client_options =
            sign_options(false, version, &client_key);
        weir_tls_context *server = tls_context(&server_options);
        weir_tls_context *client = tls_context(&client_options);
        struct wr_tls_known *session = NULL;
        struct weir_tls_signatures stats = {.size = sizeof(stats)};
        for (int i = 0; i < 3; i++) {
            sign_resume(client, server, &session);
        }
        expect_eq(server_key.count, 1);
        expect_eq(client_key.count, 1);
        expect_eq(weir_tls_context_get_signatures(server, &stats), 0);
        expect_geq(stats.longest_ns, SIGN_LATE_MS * UINT64_C(1000000));
        wr_tls_backend_get()->session_free(session);
        tls_contexts_unref(client, server);
    }
    sign_end();
}

/* The server's first certificate has its key here and another one has it
 * elsewhere, or the reverse; the client's suites determine which one is sent.
 */
UNIT(tls_sign, keys_here_and_elsewhere_serve_one_context)
{
    if (!sign_has_rsa()) {
        cr_skip_test(
            "this wolfSSL signs by RSA keys itself; runs with libcrypto");
    }
    sign_begin();
    for (int i = 0; i < 4; i++) {
        const bool is_first = i & 1;
        const bool wants_rsa = i & 2;
        struct sign_key key = {.name = "rsa"};
        const struct weir_tls_identity here = {
            .size = sizeof(here),
            .certificate = {.file = tls_file("ecdsa.pem")},
            .key = {.file = tls_file("ecdsa.key")},
        };
        const struct weir_tls_identity there = {
            .size = sizeof(there),
            .certificate = {.file = tls_file("rsa.pem")},
            .sign = sign_call,
            .sign_user = &key,
        };
        const struct weir_tls_identity *second = is_first ? &here : &there;
        struct weir_tls_options server = {
            .size = sizeof(server),
            .server = true,
            .certificate = is_first ? there.certificate : here.certificate,
            .key = is_first ? there.key : here.key,
            .sign = is_first ? sign_call : NULL,
            .sign_user = &key,
            .identities = &second,
            .identity_count = 1,
        };
        struct weir_tls_options client = tls_options(false);
        client.ciphers = wants_rsa ? "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
                                   : "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
        tls_pair_join(&pair, &client, &server, NULL);
        tls_pair_expect(&pair, 0, 0);
        expect_eq(key.count, wants_rsa);
        sign_expect_stats(pair.server.engine.context, wants_rsa, 0);
        tls_pair_disconnect(&pair);
    }
    sign_end();
}

/* For the context that a server's program chooses. */
static int sign_choose(void *user, const char *name, weir_tls_context **ret)
{
    cr_assert_str_eq(name, "localhost");
    *ret = weir_tls_context_ref(user);
    return 0;
}

UNIT(tls_sign, the_key_of_a_chosen_context_may_be_elsewhere)
{
    sign_begin();
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        struct sign_key key = {.name = "ecdsa"};
        struct weir_tls_options chosen_options =
            sign_options(true, version, &key);
        weir_tls_context *chosen = tls_context(&chosen_options);
        struct weir_tls_options server = tls_options(true);
        const struct weir_tls_options client = tls_options(false);
        server.min_version = (enum weir_tls_version)version;
        server.max_version = (enum weir_tls_version)version;
        server.choose = sign_choose;
        server.choose_user = chosen;
        tls_pair_join(&pair, &client, &server, NULL);
        tls_pair_end(&pair, 0, 0);
        expect_eq(key.count, 1);
        sign_expect_stats(chosen, 1, 0);
        key.way = SIGN_WRONG;
        tls_pair_join(&pair, &client, &server, NULL);
        tls_pair_end(&pair, WEIR_ETLSALERT, WEIR_ETLSSIGN);
        sign_expect_stats(chosen, 2, 1);
        weir_tls_context_unref(chosen);
    }
    sign_end();
}

struct sign_thread {
    pthread_t thread;
    weir_tls_context *client;
    weir_tls_context *server;
    bool fails; /* each of its signatures fails */
};

static _Thread_local bool sign_thread_fails;
static pthread_mutex_t sign_mutex = PTHREAD_MUTEX_INITIALIZER;

/* The other process has one socket. */
static int sign_in_turn(void *user, const struct weir_tls_to_sign *job,
                        void *signature, size_t size)
{
    pthread_mutex_lock(&sign_mutex);
    const int count = sign_call(user, job, signature, size);
    pthread_mutex_unlock(&sign_mutex);
    return sign_thread_fails ? -EIO : count;
}

static void *sign_run(void *arg)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    const struct sign_thread *self = arg;
    struct tls_pair *own = calloc(1, sizeof(*own));

    sign_thread_fails = self->fails;
    for (int i = 0; i < SIGN_ROUNDS; i++) {
        tls_pair_connect(own, self->client, self->server, &how);
        tls_pair_expect(own, self->fails ? WEIR_ETLSALERT : 0,
                        self->fails ? WEIR_ETLSSIGN : 0);
        tls_pair_disconnect(own);
    }
    free(own);
    return NULL;
}

UNIT(tls_sign, threads_share_a_key_that_is_elsewhere)
{
    struct sign_thread threads[SIGN_THREADS];
    struct sign_key key = {.name = "ecdsa"};
    struct weir_tls_options options = sign_options(true, 0, &key);

    options.client_auth = WEIR_TLS_CLIENT_AUTH_NONE;
    options.authorities.file = NULL;
    options.sign = sign_in_turn;
    sign_begin();
    weir_tls_context *server = tls_context(&options);
    weir_tls_context *client = tls_context_of(false, 0);
    for (int i = 0; i < SIGN_THREADS; i++) {
        threads[i] = (struct sign_thread){
            .client = client, .server = server, .fails = i & 1};
        expect_eq(
            pthread_create(&threads[i].thread, NULL, sign_run, &threads[i]), 0);
    }
    for (int i = 0; i < SIGN_THREADS; i++) {
        expect_eq(pthread_join(threads[i].thread, NULL), 0);
    }
    expect_eq(key.count, SIGN_THREADS * SIGN_ROUNDS);
    sign_expect_stats(server, SIGN_THREADS * SIGN_ROUNDS,
                      SIGN_THREADS / 2 * SIGN_ROUNDS);
    tls_contexts_unref(client, server);
    sign_end();
}

static void sign_expect_refusal(const struct weir_tls_options *options,
                                int expected)
{
    weir_tls_context *context = NULL;
    char text[256];
    expect_eq(weir_tls_context_new(options, &context, text, sizeof(text)),
              expected, "%s", text);
    cr_assert_null(context);
    cr_assert_neq(text[0], '\0');
}

/* Returns the path of a pipe that contains the bytes of a file, once. */
static const char *sign_pipe(const char *file, int *ret)
{
    char text[8192];
    int fds[2];
    const size_t size = tls_file_read(file, text, sizeof(text));

    expect_eq(pipe(fds), 0);
    expect_eq(write(fds[1], text, size), (ssize_t)size);
    close(fds[1]);
    *ret = fds[0];
    static char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
    return path;
}

UNIT(tls_sign, a_certificate_is_read_once)
{
    for (int is_server = 0; is_server < 2; is_server++) {
        struct sign_key key = {.name = "ecdsa"};
        struct weir_tls_options options = sign_options(is_server, 0, &key);
        weir_tls_context *context = NULL;
        char text[256];
        int fd = -1;
        options.certificate.file = sign_pipe(options.certificate.file, &fd);
        expect_eq(weir_tls_context_new(&options, &context, text, sizeof(text)),
                  0, "%s", text);
        weir_tls_context_unref(context);
        close(fd);
    }
}

UNIT(tls_sign, keys_of_rsa_have_2048_to_4096_bits)
{
    static const char *const names[] = {"tls-matrix/beside-rsa-1024.crt",
                                        "tls-matrix/beside-rsa-4160.crt"};

    for (size_t i = 0; i < 2 * 2; i++) {
        struct sign_key key = {.name = "rsa"};
        struct weir_tls_options options = sign_options(i & 1, 0, &key);
        options.certificate.file = tls_file("%s", names[i / 2]);
        sign_expect_refusal(&options, WEIR_ETLSFILE);
    }
}

UNIT(tls_sign, a_context_says_which_keys_can_be_elsewhere)
{
    struct sign_key key = {.name = "ecdsa"};
    struct sign_key pss = {.name = "rsapss"};
    struct weir_tls_options options = sign_options(true, 0, &key);
    const struct weir_tls_options pss_alone = sign_options(true, 0, &pss);
    struct weir_tls_signatures stats = {.size = 0};

    tls_require();
    sign_expect_refusal(&pss_alone, WEIR_ETLSFILE);
    options.key.file = tls_file("ecdsa.key");
    sign_expect_refusal(&options, -EINVAL);
    options = tls_options(false);
    options.sign = sign_call;
    sign_expect_refusal(&options, WEIR_ETLSNOKEY);
    expect_eq(weir_tls_context_get_signatures(NULL, &stats), -EINVAL);
    weir_tls_context *plain = tls_context_of(true, 0);
    expect_eq(weir_tls_context_get_signatures(plain, NULL), -EINVAL);
    expect_eq(weir_tls_context_get_signatures(plain, &stats), WEIR_EOPTIONSIZE);
    sign_expect_stats(plain, 0, 0);
    weir_tls_context_unref(plain);
}
