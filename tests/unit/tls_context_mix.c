/*
 * Combinations of TLS features: each mix of version, protocols (ALPN), a
 * client's certificate, a server chosen by name, a second hello, and a hello in
 * pieces.
 *
 * Each pair connects and resumes its session twice, and each connection agrees
 * on everything in its mix. A server that requests client certificates knows
 * each client by its certificate, resumed or not.
 */
#include "tests/tls/rig.h"

struct mix {
    bool is_old;       /* TLS 1.2 */
    bool has_alpn;     /* both sides */
    bool has_auth;     /* the client sends a certificate */
    bool chooses;      /* the server's program chooses by name */
    bool hello_again;  /* the server requests another hello */
    bool can_export;   /* on the client */
    size_t piece;      /* bytes that arrive at once; 0 means all */
    const char *label; /* of a failure */
};

enum { MIX_BITS = 6 };

static struct tls_pair pair;
static weir_tls_context *chosen;

static int mix_choose(void *user, const char *name, weir_tls_context **ret)
{
    cr_assert_null(user);
    cr_assert_str_eq(name, "localhost");
    *ret = weir_tls_context_ref(chosen);
    return 0;
}

static weir_tls_context *mix_server(const struct mix *mix)
{
    struct weir_tls_options options = {
        .size = sizeof(options),
        .server = true,
        .alpn = mix->has_alpn ? "h2,http/1.1" : NULL,
        .certificate = {.file = tls_file("ecdsa.pem")},
        .key = {.file = tls_file("ecdsa.key")},
        .choose = mix->chooses ? mix_choose : NULL,
    };
    if (mix->hello_again && !mix->is_old) {
        options.groups = "P-256"; /* not the group of the client's share */
        options.min_version = WEIR_TLS_1_3;
    }
    if (mix->has_auth) {
        options.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
        options.authorities.file = tls_file("ca.pem");
    }
    return tls_context(&options);
}

static weir_tls_context *mix_client(const struct mix *mix)
{
    struct weir_tls_options options = {
        .size = sizeof(options),
        .max_version = mix->is_old ? WEIR_TLS_1_2 : WEIR_TLS_1_3,
        .alpn = mix->has_alpn ? "http/1.1,h2" : NULL,
        .authorities = {.file = tls_file("ca.pem")},
    };
    if (mix->has_auth) {
        options.certificate.file = tls_file("rsa.pem");
        options.key.file = tls_file("rsa.key");
    }
    return tls_context(&options);
}

static void mix_expect_facts(const struct mix *mix,
                             const struct wr_tls_engine *engine)
{
    size_t size = 0;
    const char *name = wr_tls_engine_get_alpn(engine, &size);

    cr_assert_str_eq(wr_tls_engine_get_version(engine),
                     mix->is_old ? "TLSv1.2" : "TLSv1.3");
    expect_eq(name != NULL, mix->has_alpn, "%s", mix->label);
    if (name) {
        expect_eq(size, 2, "%s", mix->label);
        cr_assert(memcmp(name, "h2", 2) == 0, "%s", mix->label);
    }
}

/* After the handshake: new keys, then data in both directions. */
static void mix_talk(const struct mix *mix)
{
    if (!mix->is_old) {
        expect_eq(wr_tls_engine_update_keys(&pair.client.engine), 0);
        expect_eq(wr_tls_engine_update_keys(&pair.server.engine), 0);
    }
    expect_eq(wr_tls_engine_write(&pair.client.engine, "a word", 6), 0);
    expect_eq(wr_tls_engine_write(&pair.server.engine, "another", 7), 0);
    tls_pair_exchange(&pair, pair.piece);
    tls_pair_expect(&pair, 0, 0);
}

/* Connects, resuming *session if there is one; *session becomes the new one, if
 * there is one. Returns true if it was resumed. */
static bool mix_connect(const struct mix *mix, weir_tls_context *client,
                        weir_tls_context *server, struct wr_tls_known **session)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost",
                                            .session = *session,
                                            .can_export = mix->can_export};
    size_t size;

    pair.piece = mix->piece;
    tls_pair_open(&pair, client, server, &how);
    wr_ignore(wr_tls_engine_handshake(&pair.client.engine));
    tls_pair_exchange(&pair, pair.piece);
    tls_pair_expect(&pair, 0, 0);
    mix_expect_facts(mix, &pair.client.engine);
    mix_expect_facts(mix, &pair.server.engine);
    expect_eq(wr_tls_engine_get_peer_certificate(&pair.server.engine, 0,
                                                 &size) != NULL,
              mix->has_auth, "%s", mix->label);
    mix_talk(mix);
    const bool was_resumed = wr_tls_engine_was_resumed(&pair.client.engine);
    expect_eq(wr_tls_engine_was_resumed(&pair.server.engine), was_resumed);
    struct wr_tls_known *next = NULL;
    if (wr_tls_engine_get_session(&pair.client.engine, &next) == 0) {
        wr_tls_backend_get()->session_free(*session);
        *session = next;
    }
    cr_assert_not_null(*session, "%s", mix->label);
    tls_pair_disconnect(&pair);
    return was_resumed;
}

static void mix_run(const struct mix *mix)
{
    weir_tls_context *client = mix_client(mix);
    weir_tls_context *server = mix_server(mix);
    struct wr_tls_known *session = NULL;

    for (int i = 0; i < 3; i++) {
        expect_eq(mix_connect(mix, client, server, &session), i > 0, "%s: %d",
                  mix->label, i);
    }
    wr_tls_backend_get()->session_free(session);
    tls_contexts_unref(client, server);
}

static void mix_run_all(size_t piece)
{
    const struct weir_tls_options options = {
        .size = sizeof(options),
        .server = true,
        .certificate = {.file = tls_file("rsa.pem")},
        .key = {.file = tls_file("rsa.key")},
    };
    char label[128];

    chosen = tls_context(&options);
    for (unsigned bits = 0; bits < 1u << MIX_BITS; bits++) {
        const struct mix mix = {
            .is_old = bits & 1u,
            .has_alpn = bits >> 1 & 1u,
            .has_auth = bits >> 2 & 1u,
            .chooses = bits >> 3 & 1u,
            .hello_again = bits >> 4 & 1u,
            .can_export = bits >> 5 & 1u,
            .piece = piece,
            .label = label,
        };
        snprintf(label, sizeof(label), "%s%s%s%s%s%s, pieces of %zu",
                 mix.is_old ? "1.2" : "1.3", mix.has_alpn ? " alpn" : "",
                 mix.has_auth ? " auth" : "", mix.chooses ? " chooses" : "",
                 mix.hello_again ? " hello again" : "",
                 mix.can_export ? " export" : "", piece);
        mix_run(&mix);
    }
    weir_tls_context_unref(chosen);
}

UNIT(tls_context_mix, each_mix_of_features_agrees_and_is_resumed)
{
    mix_run_all(0);
}

UNIT(tls_context_mix, each_mix_of_features_comes_in_pieces)
{
    mix_run_all(100);
    mix_run_all(1);
}
