/*
 * The wire and the verdict of two backend connections; see tls_backend_rig.h.
 *
 * Each side keeps its bytes in memory that is large enough for all bytes of a
 * test.
 */
#include "tests/unit/tls_backend_rig.h"

#include <errno.h>
#include <weir/error.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#define RIG_SUITES                                                             \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"                           \
    "TLS_CHACHA20_POLY1305_SHA256:TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:"    \
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:"                                   \
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:"                                 \
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:"                                   \
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:"                           \
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"

static const uint16_t rig_groups[] = {29, 23, 24, 25};

static struct backend_side *rig_side_of(struct wr_tls_conn *conn)
{
    return (struct backend_side *)(void *)conn;
}

const struct wr_tls_backend *backend_other(void)
{
    const struct wr_tls_backend *own = wr_tls_backend_get();
    return own == &wr_tls_openssl ? NULL : own;
}

void backend_file(const char *name, const char *end, char *ret, size_t size)
{
    const char *folder = getenv("WEIR_TLS_CERTIFICATES");
    cr_assert_not_null(folder, "WEIR_TLS_CERTIFICATES is not set");
    const int len = snprintf(ret, size, "%s/%s.%s", folder, name, end);
    cr_assert_lt((size_t)len, size);
}

/* Counts the bytes of a record; a backend requests no more than it has. */
static void rig_count(struct backend_side *side, const uint8_t *data,
                      size_t size, size_t asked)
{
    if (side->body > 0) {
        expect_leq(asked, side->body, "it reads ahead of a body");
        side->body -= size;
        return;
    }
    expect_leq(asked, sizeof(side->heads) - side->header,
               "it reads ahead of a header");
    memcpy(side->heads + side->header, data, size);
    side->header += size;
    if (side->header == sizeof(side->heads)) {
        side->header = 0;
        side->body = (size_t)side->heads[3] << 8 | side->heads[4];
        side->records++;
    }
}

static int rig_take(struct wr_tls_conn *conn, uint8_t *buf, size_t size)
{
    struct backend_side *side = rig_side_of(conn);
    size_t count = side->in_len - side->in_at;
    if (side->is_refusing) {
        return WR_TLS_TAKE_REFUSED;
    }
    if (side->records == 0 && side->header == 0 && side->conn.is_server &&
        count > 0 && side->options.protocols) {
        expect_eq(
            conn->backend->choose_protocol(conn, side->options.protocols,
                                           strlen(side->options.protocols)),
            0);
    }
    count = count < size ? count : size;
    if (side->piece > 0 && count > side->piece) {
        count = side->piece;
    }
    if (count == 0) {
        return WR_TLS_TAKE_WAITS;
    }
    memcpy(buf, side->in + side->in_at, count);
    rig_count(side, buf, count, size);
    side->in_at += count;
    return (int)count;
}

static int rig_put(struct wr_tls_conn *conn, uint8_t *data, size_t size)
{
    struct backend_side *side = rig_side_of(conn);
    if (side->is_full) {
        return -ENOMEM;
    }
    cr_assert_leq(side->out_len + size, (size_t)BACKEND_BYTES);
    memcpy(side->out + side->out_len, data, size);
    side->out_len += size;
    return 0;
}

static bool rig_chain(struct wr_tls_conn *conn, const struct wr_bytes *certs,
                      size_t count, uint8_t *ret_alert)
{
    struct backend_side *side = rig_side_of(conn);
    side->judged++;
    side->chain_count = count;
    side->leaf_size = count > 0 ? certs[0].size : 0;
    *ret_alert = side->alert;
    if (side->judge && side->judged == 1) {
        side->verdict = side->judge(certs, count);
    }
    return !side->rejects && side->verdict == 0;
}

static uint8_t rig_refused(struct wr_tls_conn *conn, int code, const char *text)
{
    struct backend_side *side = rig_side_of(conn);
    cr_assert_not_null(side->judge, "%d: %s", code, text);
    return 42;
}

/* An unencrypted ticket, for a backend that lets weir encrypt. */
static int rig_ticket_seal(struct wr_tls_conn *conn,
                           const struct wr_tls_ticket *ticket)
{
    const struct backend_side *side = rig_side_of(conn);
    memcpy(ticket->name, side->key_name, WR_TLS_TICKET_NAME);
    memset(ticket->iv, 1, WR_TLS_TICKET_IV);
    memset(ticket->tag, 1 + side->host[31], WR_TLS_TICKET_TAG);
    for (size_t i = 0; i < ticket->size; i++) {
        ticket->data[i] ^= 0x5a;
    }
    return 0;
}

static bool rig_ticket_open(struct wr_tls_conn *conn,
                            const struct wr_tls_ticket *ticket)
{
    const struct backend_side *side = rig_side_of(conn);
    for (size_t i = 0; i < ticket->size; i++) {
        ticket->data[i] ^= 0x5a;
    }
    return !side->forgets && side->options.has_tickets &&
           memcmp(ticket->name, side->key_name, WR_TLS_TICKET_NAME) == 0 &&
           ticket->tag[0] == 1 + side->host[31];
}

static int rig_ticket_key(struct wr_tls_conn *conn, uint8_t *name,
                          struct wr_tls_ticket_pair *ret)
{
    const struct backend_side *side = rig_side_of(conn);
    memcpy(name, side->key_name, WR_TLS_TICKET_NAME);
    memset(ret, 7, sizeof(*ret));
    return 0;
}

static bool rig_ticket_find(struct wr_tls_conn *conn, const uint8_t *name,
                            struct wr_tls_ticket_pair *ret)
{
    const struct backend_side *side = rig_side_of(conn);
    memset(ret, 7, sizeof(*ret));
    return !side->forgets &&
           memcmp(name, side->key_name, WR_TLS_TICKET_NAME) == 0;
}

static int rig_ticket_host(struct wr_tls_conn *conn, bool seals, uint8_t *ret)
{
    memcpy(ret, rig_side_of(conn)->host, 32);
    return 0;
}

static int rig_ticket_client(struct wr_tls_conn *conn, uint8_t *ret)
{
    memset(ret, rig_side_of(conn)->host[31], WR_TLS_TICKET_CLIENT);
    return 0;
}

static bool rig_ticket_known(struct wr_tls_conn *conn, const uint8_t *client)
{
    return client[WR_TLS_TICKET_CLIENT - 1] == rig_side_of(conn)->host[31];
}

static void rig_ticket_came(struct wr_tls_conn *conn, size_t size)
{
    rig_side_of(conn)->tickets += size > 0;
}

static int rig_secret(struct wr_tls_conn *conn, enum wr_tls_secret_kind kind,
                      const uint8_t *secret, size_t size)
{
    struct backend_side *side = rig_side_of(conn);
    cr_assert_leq(size, sizeof(side->secrets[0]));
    memcpy(side->secrets[kind], secret, size);
    side->secret_sizes[kind] = size;
    return 0;
}

static const struct wr_tls_events rig_events = {
    .take = rig_take,
    .put = rig_put,
    .chain = rig_chain,
    .refused = rig_refused,
    .ticket_seal = rig_ticket_seal,
    .ticket_open = rig_ticket_open,
    .ticket_key = rig_ticket_key,
    .ticket_find = rig_ticket_find,
    .ticket_host = rig_ticket_host,
    .ticket_client = rig_ticket_client,
    .ticket_known = rig_ticket_known,
    .ticket_came = rig_ticket_came,
    .secret = rig_secret,
};

static size_t rig_read(const char *name, const char *end, uint8_t *ret,
                       size_t size)
{
    char path[4096];
    backend_file(name, end, path, sizeof(path));
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    const size_t len = fread(ret, 1, size, file);
    fclose(file);
    cr_assert_gt(len, 0);
    return len;
}

static const EVP_MD *rig_hash_of(enum wr_x509_hash hash)
{
    return hash == WR_X509_HASH_SHA256   ? EVP_sha256()
           : hash == WR_X509_HASH_SHA384 ? EVP_sha384()
                                         : EVP_sha512();
}

static int rig_sign(struct wr_tls_signer *from,
                    const struct wr_x509_signature_kind *kind,
                    struct wr_bytes hash, uint8_t *ret, size_t size)
{
    struct backend_signer *signer = (struct backend_signer *)(void *)from;
    char path[4096];

    signer->count++;
    signer->kind = *kind;
    if (signer->fails) {
        return WEIR_ETLSSIGN;
    }
    backend_file(signer->certificate, "key", path, sizeof(path));
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    EVP_PKEY_CTX *by = EVP_PKEY_CTX_new(key, NULL);
    const bool is_ready =
        EVP_PKEY_sign_init(by) == 1 &&
        (kind->key != WR_X509_KEY_RSA ||
         EVP_PKEY_CTX_set_rsa_padding(by, kind->is_pss
                                              ? RSA_PKCS1_PSS_PADDING
                                              : RSA_PKCS1_PADDING) == 1) &&
        EVP_PKEY_CTX_set_signature_md(by, rig_hash_of(kind->hash)) == 1 &&
        (!kind->is_pss ||
         EVP_PKEY_CTX_set_rsa_pss_saltlen(by, (int)kind->salt_size) == 1);
    const bool is_signed =
        is_ready && EVP_PKEY_sign(by, ret, &size, hash.data, hash.size) == 1;
    EVP_PKEY_CTX_free(by);
    EVP_PKEY_free(key);
    fclose(file);
    return is_signed ? (int)size : WEIR_ETLSSIGN;
}

/* The key of the chain @pem is elsewhere. */
static int rig_use_signer(struct backend_side *side, const uint8_t *pem,
                          size_t size)
{
    BIO *text = BIO_new_mem_buf(pem, (int)size);
    X509 *leaf = PEM_read_bio_X509(text, NULL, NULL, NULL);
    uint8_t *info = NULL;
    const int info_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &info);
    cr_assert_gt(info_size, 0);
    side->signer = (struct backend_signer){
        .signer.sign = rig_sign, .certificate = side->options.certificate};
    const int err = side->conn.backend->credential_use_signer(
        side->credential, &side->signer.signer,
        (struct wr_bytes){.data = info, .size = (size_t)info_size});
    OPENSSL_free(info);
    X509_free(leaf);
    BIO_free(text);
    return err;
}

bool backend_can_sign(const struct wr_tls_backend *backend, const char *name)
{
    static uint8_t text[16 << 10];
    struct backend_side side = {.conn.backend =
                                    backend ? backend : &wr_tls_openssl,
                                .options.certificate = name};
    backend = side.conn.backend;
    cr_assert_eq(backend->start(), 0);
    cr_assert_eq(backend->credential_new(&side.credential), 0);
    const size_t len = rig_read(name, "pem", text, sizeof(text));
    cr_assert_eq(backend->credential_use_chain(side.credential, text, len), 0);
    const int err = rig_use_signer(&side, text, len);
    expect_eq(err, err < 0 ? -EOPNOTSUPP : 0);
    backend->credential_free(side.credential);
    return err == 0;
}

static void rig_make_credential(struct backend_side *side)
{
    static uint8_t text[16 << 10];
    const struct wr_tls_backend *backend = side->conn.backend;
    const char *name = side->options.certificate;
    cr_assert_eq(backend->credential_new(&side->credential), 0);
    size_t len = rig_read(name, "pem", text, sizeof(text));
    cr_assert_eq(backend->credential_use_chain(side->credential, text, len), 0);
    if (side->options.is_outside) {
        cr_assert_eq(rig_use_signer(side, text, len), 0);
    } else {
        len = rig_read(name, "key", text, sizeof(text));
        cr_assert_eq(backend->credential_use_key(side->credential, text, len),
                     0);
    }
    cr_assert_eq(backend->credential_check(side->credential), 0);
}

static void rig_make_shared(struct backend_side *side)
{
    const struct backend_options *options = &side->options;
    const struct wr_tls_settings settings = {
        .is_server = side->conn.is_server,
        .has_1_2 = options->version != 13,
        .has_1_3 = options->version != 12,
        .suites = options->suites ? options->suites : RIG_SUITES,
        .groups = options->group ? &options->group : rig_groups,
        .group_count = options->group ? 1 : 4,
        .verifies = options->verifies,
        .demands_certificate = options->demands,
        .has_tickets = options->has_tickets,
        .ticket_lifetime = 7200,
        .logs_keys = options->logs,
        .has_signers = options->is_outside,
        .credential = side->credential,
    };
    cr_assert_eq(side->conn.backend->shared_new(&settings, &side->shared), 0);
}

void backend_side_open(struct backend_side *side, bool is_server,
                       const struct backend_options *options,
                       struct wr_blocks *blocks)
{
    *side = (struct backend_side){
        .conn = {.backend =
                     options->backend ? options->backend : &wr_tls_openssl,
                 .events = &rig_events,
                 .account = &side->account,
                 .is_server = is_server,
                 .can_export = true},
        .options = *options,
        .alert = 42,
        .in = malloc(BACKEND_BYTES),
        .out = malloc(BACKEND_BYTES),
        .plain = malloc(BACKEND_BYTES),
    };
    memset(side->key_name, 3, sizeof(side->key_name));
    cr_assert_eq(side->conn.backend->start(), 0);
    cr_assert_leq(side->conn.backend->account_size, sizeof(side->room));
    side->conn.backend->account_init(&side->account, blocks);
    if (options->certificate) {
        rig_make_credential(side);
    }
    rig_make_shared(side);
    const struct wr_tls_peer peer = {
        .shared = side->shared,
        .credential = side->credential,
        .name = is_server ? NULL : options->name,
        .protocols = is_server ? NULL : options->protocols,
        .session = options->session,
        .verifies = options->verifies,
        .demands_certificate = options->demands,
        .logs_keys = options->logs,
    };
    cr_assert_eq(side->conn.backend->open(&side->conn, &peer), 0);
}

void backend_side_close(struct backend_side *side)
{
    const struct wr_tls_backend *backend = side->conn.backend;
    backend->close(&side->conn);
    backend->shared_free(side->shared);
    backend->credential_free(side->credential);
    backend->account_check(&side->account);
    backend->account_fini(&side->account);
    free(side->in);
    free(side->out);
    free(side->plain);
}

void backend_pair_open(struct backend_pair *pair,
                       const struct backend_options *client,
                       const struct backend_options *server)
{
    allocator_init(&pair->allocator);
    wr_blocks_init(&pair->blocks, &pair->allocator.hooks);
    backend_side_open(&pair->client, false, client, &pair->blocks);
    backend_side_open(&pair->server, true, server, &pair->blocks);
}

void backend_pair_end(struct backend_pair *pair)
{
    wr_blocks_fini(&pair->blocks);
    allocator_check(&pair->allocator);
}

void backend_pair_close(struct backend_pair *pair)
{
    backend_side_close(&pair->client);
    backend_side_close(&pair->server);
    backend_pair_end(pair);
}

void backend_step(struct backend_side *side)
{
    struct wr_tls_conn *conn = &side->conn;
    if (!side->is_open) {
        side->result = conn->backend->handshake(conn);
        side->is_open = side->result == 0;
        if (!side->is_open) {
            return;
        }
    }
    do {
        side->result = conn->backend->read(conn, side->plain + side->plain_len,
                                           BACKEND_BYTES - side->plain_len);
        side->plain_len += side->result > 0 ? (size_t)side->result : 0;
    } while (side->result > 0);
}

/* Moves the output of one side to the other. */
static bool rig_move(struct backend_side *from, struct backend_side *to)
{
    const size_t len = from->out_len;
    memmove(to->in, to->in + to->in_at, to->in_len - to->in_at);
    to->in_len -= to->in_at;
    to->in_at = 0;
    cr_assert_leq(to->in_len + len, (size_t)BACKEND_BYTES);
    memcpy(to->in + to->in_len, from->out, len);
    to->in_len += len;
    from->out_len = 0;
    return len > 0;
}

void backend_exchange(struct backend_pair *pair)
{
    bool moved = true;
    while (moved) {
        moved = rig_move(&pair->client, &pair->server);
        if (moved && pair->server.result != WR_TLS_STEP_FAILED) {
            backend_step(&pair->server);
        }
        const bool answered = rig_move(&pair->server, &pair->client);
        if (answered && pair->client.result != WR_TLS_STEP_FAILED) {
            backend_step(&pair->client);
        }
        moved |= answered;
    }
}

static const char *rig_text_of(const struct backend_side *side)
{
    return side->conn.backend->text_of(side->conn.number);
}

void backend_connect(struct backend_pair *pair)
{
    backend_step(&pair->client);
    backend_exchange(pair);
    cr_assert_eq(pair->client.result, WR_TLS_STEP_WANTS, "client: %d, %s",
                 pair->client.conn.code, rig_text_of(&pair->client));
    cr_assert_eq(pair->server.result, WR_TLS_STEP_WANTS, "server: %d, %s",
                 pair->server.conn.code, rig_text_of(&pair->server));
    cr_assert(pair->client.is_open && pair->server.is_open);
}

void backend_pass(struct backend_pair *pair, bool by_server, const void *data,
                  size_t len)
{
    struct backend_side *from = by_server ? &pair->server : &pair->client;
    struct backend_side *to = by_server ? &pair->client : &pair->server;
    to->plain_len = 0;
    cr_assert_eq(from->conn.backend->write(&from->conn, data, len), 0);
    backend_exchange(pair);
    expect_eq(to->plain_len, len);
    expect_eq(memcmp(to->plain, data, len), 0);
}
