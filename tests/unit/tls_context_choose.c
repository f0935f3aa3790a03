/*
 * A server's choice of a certificate during the handshake: the program is
 * called, and names another context or refuses.
 *
 * The certificate that was sent is recognised by its size: one has an RSA key.
 */
#include "tests/tls/rig.h"

#include <errno.h>
#include <limits.h>

/* A certificate with an RSA key is larger than this, one with P-256 smaller. */
#define LEAF_RSA_SIZE 600

static struct tls_pair pair;

/* The program: the name it was called with, and its answer. */
static struct {
    int count;
    char name[256]; /* "-" is none */
    weir_tls_context *answer;
    int err;
} program;

static int choose_answer(void *user, const char *name, weir_tls_context **ret)
{
    cr_assert_eq(user, &program);
    cr_assert_null(*ret);
    program.count++;
    snprintf(program.name, sizeof(program.name), "%s", name ? name : "-");
    if (program.answer) {
        *ret = weir_tls_context_ref(program.answer);
    }
    if (program.err < 0 && *ret) { /* with an error none is given */
        weir_tls_context_unref(*ret);
    }
    return program.err;
}

static struct weir_tls_options choose_client(int version)
{
    return (struct weir_tls_options){
        .size = sizeof(struct weir_tls_options),
        .authorities = {.file = tls_file("ca.pem")},
        .max_version = (enum weir_tls_version)version,
    };
}

/* Returns a context with another certificate than the server's own. */
static weir_tls_context *choose_other(bool refuses)
{
    struct weir_tls_options options = tls_options(true);
    options.certificate.file = tls_file("rsa.pem");
    options.key.file = tls_file("rsa.key");
    options.refuse_unknown_names = refuses;
    return tls_context(&options);
}

static void choose_expect_leaf(bool is_rsa)
{
    size_t size = 0;
    cr_assert_not_null(
        wr_tls_engine_get_peer_certificate(&pair.client.engine, 0, &size));
    expect_eq(size > LEAF_RSA_SIZE, is_rsa);
}

/* Runs a handshake with a server that calls the program; the pair stays open.
 */
static void choose_connect(const char *name, int version)
{
    struct weir_tls_options server_options = tls_options(true);
    const struct weir_tls_options client_options = choose_client(version);
    const struct wr_tls_peer_options how = {.server_hostname = name,
                                            .no_hostname_check = true};
    server_options.choose = choose_answer;
    server_options.choose_user = &program;
    program.count = 0;
    tls_pair_join(&pair, &client_options, &server_options, &how);
}

UNIT(tls_choose, the_certificate_is_that_of_the_context_that_is_named)
{
    weir_tls_context *other = choose_other(false);
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        program.answer = other;
        choose_connect("localhost", version);
        tls_pair_expect(&pair, 0, 0);
        choose_expect_leaf(true);
        cr_assert_eq(wr_tls_engine_get_context(&pair.server.engine), other);
        expect_eq(program.count, 1);
        expect_str_eq(program.name, "localhost");
        tls_pair_disconnect(&pair);

        choose_connect("Any.Name", version);
        tls_pair_expect(&pair, 0, 0);
        choose_expect_leaf(true);
        expect_str_eq(program.name, "Any.Name");
        tls_pair_disconnect(&pair);

        choose_connect(NULL, version);
        tls_pair_expect(&pair, 0, 0);
        choose_expect_leaf(true);
        expect_str_eq(program.name, "-");
        tls_pair_disconnect(&pair);
    }
    program.answer = NULL;
    weir_tls_context_unref(other);
}

/* A client that must repeat its hello meets a server whose program names
 * @answer. */
static weir_tls_context *choose_again(weir_tls_context *answer)
{
    struct weir_tls_options server_options = tls_options(true);
    struct weir_tls_options client_options = choose_client(0);
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    client_options.groups =
        "X25519:P-256"; /* its share is for the first group */
    server_options.groups = "P-256";
    server_options.min_version = WEIR_TLS_1_3;
    server_options.choose = choose_answer;
    server_options.choose_user = &program;
    weir_tls_context *server = tls_context(&server_options);
    weir_tls_context *client = tls_context(&client_options);

    program.count = 0;
    program.answer = answer;
    tls_pair_open(&pair, client, server, &how);
    wr_ignore(wr_tls_engine_handshake(&pair.client.engine));
    tls_pair_exchange(&pair, 0);
    tls_pair_expect(&pair, 0, 0);
    expect_eq(program.count, 1);
    program.answer = NULL;
    tls_contexts_unref(client, server);
    return server; /* the pair keeps it */
}

UNIT(tls_choose, a_client_that_repeats_its_hello_is_asked_about_once)
{
    weir_tls_context *other = choose_other(false);
    wr_ignore(choose_again(other) == NULL);
    cr_assert_eq(wr_tls_engine_get_context(&pair.server.engine), other);
    choose_expect_leaf(true);
    tls_pair_disconnect(&pair);

    weir_tls_context *server = choose_again(NULL);
    cr_assert_eq(wr_tls_engine_get_context(&pair.server.engine), server);
    choose_expect_leaf(false);
    tls_pair_disconnect(&pair);
    weir_tls_context_unref(other);
}

UNIT(tls_choose, without_another_context_the_own_one_is_used)
{
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        choose_connect("localhost", version);
        tls_pair_expect(&pair, 0, 0);
        choose_expect_leaf(false);
        cr_assert_eq(wr_tls_engine_get_context(&pair.server.engine),
                     pair.server.engine.context);
        expect_eq(program.count, 1);
        tls_pair_disconnect(&pair);
    }
}

/* The server's own context has one certificate, the named one has two. */
UNIT(tls_choose, of_the_named_context_a_key_is_shown_that_the_client_can_use)
{
    static const char *const suites[] = {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"};
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};

    for (int i = 0; i < 2 * 2; i++) {
        const char *names[] = {i & 2 ? "rsa" : "ecdsa",
                               i & 2 ? "ecdsa" : "rsa"};
        const struct weir_tls_identity second = {
            .size = sizeof(second),
            .certificate = {.file = tls_file("%s.pem", names[1])},
            .key = {.file = tls_file("%s.key", names[1])},
        };
        const struct weir_tls_identity *others[] = {&second};
        struct weir_tls_options named = tls_options(true);
        struct weir_tls_options server = tls_options(true);
        struct weir_tls_options client = choose_client(WEIR_TLS_1_2);
        named.certificate.file = tls_file("%s.pem", names[0]);
        named.key.file = tls_file("%s.key", names[0]);
        named.identities = others;
        named.identity_count = 1;
        server.choose = choose_answer;
        server.choose_user = &program;
        client.ciphers = suites[i & 1];
        program.answer = tls_context(&named);
        tls_pair_join(&pair, &client, &server, &how);
        tls_pair_expect(&pair, 0, 0);
        choose_expect_leaf(i & 1);
        tls_pair_disconnect(&pair);
        weir_tls_context_unref(program.answer);
    }
    program.answer = NULL;
}

static void choose_expect_refusal(const char *name, int version, int err,
                                  const char *alert)
{
    choose_connect(name, version);
    tls_pair_expect(&pair, WEIR_ETLSALERT, err);
    cr_assert_not_null(
        strstr(wr_tls_engine_get_error_text(&pair.client.engine), alert), "%s",
        wr_tls_engine_get_error_text(&pair.client.engine));
    tls_pair_disconnect(&pair);
}

UNIT(tls_choose, a_refusal_is_the_error_of_the_handshake)
{
    weir_tls_context *other = choose_other(true);
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        program.err = WEIR_ETLSNONAME;
        choose_expect_refusal("localhost", version, WEIR_ETLSNONAME,
                              "unrecognized_name");
        program.err = -EACCES;
        choose_expect_refusal("localhost", version, -EACCES, "internal_error");
        program.answer = other; /* given, and an error with it */
        choose_expect_refusal("localhost", version, -EACCES, "internal_error");
        program.err = 1;
        /* A reference given with an error is not released: the test does. */
        weir_tls_context_ref(other);
        choose_expect_refusal("localhost", version, -EINVAL, "internal_error");
        weir_tls_context_unref(other);
        weir_tls_context_unref(other);
        program.err = 0;
        choose_expect_refusal("other.test", version, WEIR_ETLSNONAME,
                              "unrecognized_name");
        program.answer = NULL;
    }
    weir_tls_context_unref(other);
}

UNIT(tls_choose, a_context_for_clients_is_refused)
{
    const struct weir_tls_options options = choose_client(0);
    program.answer = tls_context(&options);

    choose_expect_refusal("localhost", WEIR_TLS_1_3, -EINVAL, "internal_error");

    weir_tls_context_unref(program.answer);
    program.answer = NULL;
}

/* Adds @size to the number of @bytes bytes at @at. */
static void choose_lengthen(uint8_t *at, size_t bytes, size_t size)
{
    for (size_t i = bytes; i-- > 0; size >>= 8) {
        size += at[i];
        at[i] = (uint8_t)size;
    }
}

/* Makes a client without a server name request one of @len letters, at the end
 * of its hello. */
static void choose_ask_for(struct tls_side *client, size_t len)
{
    uint8_t *wire = client->wire;
    const uint8_t lengths[] = {0,
                               0,
                               (uint8_t)((len + 5) >> 8),
                               (uint8_t)(len + 5),
                               (uint8_t)((len + 3) >> 8),
                               (uint8_t)(len + 3),
                               0,
                               (uint8_t)(len >> 8),
                               (uint8_t)len};
    uint8_t *at = wire + 5 + 4 + 2 + 32;
    at += 1 + at[0];
    at += 2 + (at[0] << 8 | at[1]);
    at += 1 + at[0];
    memcpy(wire + client->wire_len, lengths, sizeof(lengths));
    memset(wire + client->wire_len + sizeof(lengths), 'a', len);
    client->wire_len += sizeof(lengths) + len;
    choose_lengthen(wire + 3, 2, sizeof(lengths) + len);
    choose_lengthen(wire + 6, 3, sizeof(lengths) + len);
    choose_lengthen(at, 2, sizeof(lengths) + len);
}

UNIT(tls_choose, a_name_that_is_too_long_is_refused_unseen)
{
    struct weir_tls_options server_options = tls_options(true);
    const struct weir_tls_options client_options = choose_client(0);
    const struct wr_tls_peer_options how = {.no_hostname_check = true};
    server_options.choose = choose_answer;
    server_options.choose_user = &program;
    weir_tls_context *server = tls_context(&server_options);
    weir_tls_context *client = tls_context(&client_options);

    for (size_t len = 255; len <= 256; len++) {
        program.count = 0;
        tls_pair_open(&pair, client, server, &how);
        tls_side_step(&pair.client);
        choose_ask_for(&pair.client, len);
        tls_pair_exchange(&pair, 0);
        expect_eq(program.count, len == 255); /* a name that is not too long */
        if (len > 255) {
            tls_pair_expect(&pair, WEIR_ETLSALERT, WEIR_ETLSNONAME);
        }
        tls_pair_disconnect(&pair);
    }
    tls_contexts_unref(server, client);
}

UNIT(tls_choose, a_client_whose_session_is_resumed_can_be_refused)
{
    struct weir_tls_options server_options = tls_options(true);
    const struct weir_tls_options client_options = choose_client(0);
    struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    server_options.choose = choose_answer;
    server_options.choose_user = &program;
    weir_tls_context *server = tls_context(&server_options);
    weir_tls_context *client = tls_context(&client_options);
    tls_pair_connect(&pair, client, server, &how);
    tls_pair_expect(&pair, 0, 0);
    struct wr_tls_known *session = NULL;
    expect_eq(wr_tls_engine_get_session(&pair.client.engine, &session), 0);
    how.session = session;
    tls_pair_disconnect(&pair);

    tls_pair_connect(&pair, client, server, &how);
    tls_pair_expect(&pair, 0, 0);
    cr_assert(wr_tls_engine_was_resumed(&pair.server.engine));
    tls_pair_disconnect(&pair);

    program.err = WEIR_ETLSNONAME;
    tls_pair_connect(&pair, client, server, &how);
    tls_pair_end(&pair, WEIR_ETLSALERT, WEIR_ETLSNONAME);
    program.err = 0;
    wr_tls_backend_get()->session_free(session);
    tls_contexts_unref(server, client);
}

/* A ClientHello of TLS 1.2 that ends after its lists, with the suites
 * ECDHE-ECDSA- and ECDHE-RSA-AES128-GCM-SHA256. */
static const uint8_t choose_bare_hello[] = {
    22, 3, 3, 0, 4 + 43, 1, 0, 0,    43,   3,    3, /* and 32 of random */
    0,  1, 2, 3, 4,      5, 6, 7,    8,    9,    0,    1, 2, 3,
    4,  5, 6, 7, 8,      9, 0, 1,    2,    3,    4,    5, 6, 7,
    8,  9, 0, 1, 0,      0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0,
};

/* Writes the answer to the bare hello. Returns its size. */
static size_t choose_meet_bare(uint8_t *ret, size_t size)
{
    struct weir_tls_options server_options = tls_options(true);
    const struct weir_tls_options client_options = choose_client(0);
    const struct wr_tls_peer_options how = {.no_hostname_check = true};
    server_options.choose = choose_answer;
    server_options.choose_user = &program;
    weir_tls_context *server = tls_context(&server_options);
    weir_tls_context *client = tls_context(&client_options);

    program.count = 0;
    tls_pair_open(&pair, client, server, &how);
    wr_tls_engine_feed(&pair.server.engine, choose_bare_hello,
                       sizeof(choose_bare_hello));
    wr_ignore(wr_tls_engine_handshake(&pair.server.engine));
    struct wr_block *block = wr_tls_engine_take_output(&pair.server.engine);
    cr_assert_not_null(block);
    const size_t len = block->used < size ? block->used : size;
    memcpy(ret, wr_tls_engine_output_of(block), len);
    while (block) {
        struct wr_block *next = block->next;
        wr_block_give(&pair.account.blocks, block);
        block = next;
    }
    tls_contexts_unref(server, client);
    return len;
}

UNIT(tls_choose, a_client_without_extensions_asks_for_no_name)
{
    uint8_t answer[128];
    if (strcmp(wr_tls_backend_get()->name, "OpenSSL") == 0) {
        cr_skip_test("OpenSSL needs signature algorithms; runs with "
                     "-Dtls_engine=wolfssl");
    }
    weir_tls_context *other = choose_other(false);
    program.answer = other;

    cr_assert_geq(choose_meet_bare(answer, sizeof(answer)), sizeof(answer));

    expect_eq(pair.server.engine.err, 0);
    expect_eq(program.count, 1);
    expect_str_eq(program.name, "-");
    const uint8_t *suite = &answer[5 + 4 + 2 + 32 + 1 + answer[5 + 4 + 2 + 32]];
    expect_eq(suite[0], 0xc0);
    expect_eq(suite[1], 0x2f, "the certificate is not that of the answer");
    tls_pair_disconnect(&pair);
    program.answer = NULL;
    weir_tls_context_unref(other);
}

UNIT(tls_choose, a_client_without_extensions_can_be_refused)
{
    static const uint8_t alert[] = {21, 3, 3, 0, 2, 2, 112};
    uint8_t answer[128];
    program.err = WEIR_ETLSNONAME;

    expect_eq(choose_meet_bare(answer, sizeof(answer)), sizeof(alert));

    cr_assert_arr_eq(answer, alert, sizeof(alert));
    expect_eq(pair.server.engine.err, WEIR_ETLSNONAME);
    expect_eq(pair.server.engine.alert_sent, 112);
    expect_eq(program.count, 1);
    tls_pair_disconnect(&pair);
    program.err = 0;
}

UNIT(tls_choose, is_for_servers)
{
    struct weir_tls_options options = choose_client(0);
    weir_tls_context *context = NULL;
    options.choose = choose_answer;

    expect_eq(weir_tls_context_new(&options, &context, NULL, 0), -EINVAL);
}

/* Whatever the program answers, the handshake ends, and the process survives.
 */
UNIT(tls_choose, any_error_of_the_program_ends_the_handshake)
{
    static const int errors[] = {-EAGAIN, -EPERM, -1, INT_MIN, 1};
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        program.answer = NULL;
        program.err = errors[i];
        choose_connect("localhost", WEIR_TLS_1_3);
        cr_assert(pair.server.engine.err < 0);
        cr_assert_neq(pair.server.engine.err, -EAGAIN);
        expect_eq(pair.client.engine.err, WEIR_ETLSALERT);
        tls_pair_disconnect(&pair);
    }
    program.err = 0;
}
