/*
 * Combinations of TLS features, wherever TLS can start: with a server's
 * connection, by start_tls, and by start_tls inside TLS.
 *
 * Each mix of application protocols (ALPN), a client's certificate, a server
 * chosen by name and a resumed session is tested in all three.
 */
#include "tests/contract/harness.h"
#include "tests/tls/rig.h"

#include <weir/start_tls.h>
#include <weir/stream.h>
#include <weir/task.h>

enum { MIX_BITS = 4, MIX_ENTRIES = 3 };

struct mix {
    bool is_old; /* TLS 1.2, whose sessions a client does not have */
    bool has_alpn;
    bool has_auth;
    bool chooses;
    bool is_sealed;
    bool starts; /* TLS starts with start_tls, if necessary inside that TLS */
    char label[80];
};

static struct mix mix;
static struct weir_tls_settings server_tls;
static struct weir_tls_settings client_tls;
static weir_tls_context *chosen;
static weir_tls_session *session;
static weir_server *server;

static int mix_choose(void *user, const char *name, weir_tls_context **ret)
{
    expect(!user && strcmp(name, "localhost") == 0);
    *ret = weir_tls_context_ref(chosen);
    return 0;
}

static weir_tls_context *mix_server_context(void)
{
    struct weir_tls_options options = tls_options(true);
    options.alpn = mix.has_alpn ? "h2,http/1.1" : NULL;
    options.choose = mix.chooses ? mix_choose : NULL;
    if (mix.has_auth) {
        options.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
        options.authorities.file = tls_file("ca.pem");
    }
    return tls_context(&options);
}

static weir_tls_context *mix_client_context(void)
{
    struct weir_tls_options options = tls_options(false);
    options.max_version = mix.is_old ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
    options.alpn = mix.has_alpn ? "http/1.1,h2" : NULL;
    if (mix.has_auth) {
        options.certificate.file = tls_file("rsa.pem");
        options.key.file = tls_file("rsa.key");
    }
    return tls_context(&options);
}

static int mix_echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    char text[64];
    ssize_t len = 0;
    if (mix.starts) {
        expect_eq(weir_reader_readexactly(reader, text, 6), 6);
        expect_eq(weir_writer_write(writer, "go", 2), 0);
        len = weir_writer_start_tls(writer, &server_tls);
        expect_eq(len, 0, "%s", mix.label);
    }
    struct weir_extra_info info = {.size = sizeof(info)};
    expect_eq(weir_writer_get_extra_info(writer, "peercert", &info) == 0,
              mix.has_auth, "%s", mix.label);
    while (len >= 0 &&
           (len = weir_reader_read(reader, text, sizeof(text))) > 0) {
        weir_writer_write(writer, text, (size_t)len);
        len = weir_writer_drain(writer);
    }
    return (int)len;
}

static void mix_open(weir_loop *loop)
{
    const struct weir_start_server_options options = {
        .size = sizeof(options),
        .server = {.size = sizeof(options.server),
                   .tls = mix.is_sealed ? &server_tls : NULL}};

    server_tls = (struct weir_tls_settings){.size = sizeof(server_tls),
                                            .context = mix_server_context()};
    client_tls = (struct weir_tls_settings){.size = sizeof(client_tls),
                                            .context = mix_client_context(),
                                            .server_hostname = "localhost"};
    expect_ok(
        weir_start_server(loop, mix_echo, "127.0.0.1", 0, &options, &server));
}

static void mix_close(void)
{
    weir_server_close(server);
    expect_eq(weir_server_wait_closed(server), 0);
    weir_server_free(server);
    weir_tls_context_unref(server_tls.context);
    weir_tls_context_unref(client_tls.context);
}

static void mix_expect_facts(weir_transport *t, bool is_resumed)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    const int err = weir_transport_get_extra_info(t, "alpn", &info);

    expect_eq(err == 0, mix.has_alpn, "%s", mix.label);
    if (err == 0) {
        expect(info.len == 2 && memcmp(info.text, "h2", 2) == 0);
    }
    expect_eq(weir_transport_get_extra_info(t, "tls_resumed", &info), 0);
    expect_eq(info.number, is_resumed, "%s", mix.label);
}

static void mix_talk(weir_loop *loop)
{
    const struct weir_open_options options = {
        .size = sizeof(options),
        .connect = {.size = sizeof(options.connect),
                    .tls = mix.is_sealed ? &client_tls : NULL}};
    struct weir_address address;
    weir_reader *reader;
    weir_writer *writer;
    char text[8];

    client_tls.session = session;
    expect(weir_server_get_socket(server, 0, &address) >= 0);
    expect_eq(weir_open_connection(loop, "127.0.0.1",
                                   ntohs(address.storage.inet.sin_port),
                                   &options, &reader, &writer),
              0, "%s", mix.label);
    if (mix.starts) {
        expect_eq(weir_writer_write(writer, "start!", 6), 0);
        expect_eq(weir_reader_readexactly(reader, text, 2), 2);
        expect_eq(weir_writer_start_tls(writer, &client_tls), 0, "%s",
                  mix.label);
    }
    expect_eq(weir_writer_write(writer, "hello", 5), 0);
    expect_eq(weir_reader_readexactly(reader, text, 5), 5, "%s", mix.label);
    weir_transport *t = weir_writer_get_transport(writer);
    mix_expect_facts(t, session != NULL);
    weir_tls_session *next = NULL;
    const int err = weir_tls_get_session(t, &next);
    expect_eq(err, mix.is_old ? -EOPNOTSUPP : 0, "%s", mix.label);
    if (err == 0) {
        weir_tls_session_unref(session);
        session = next;
    }
    weir_writer_close(writer);
    expect_eq(weir_writer_wait_closed(writer), 0);
    weir_writer_unref(writer);
}

static int mix_body(weir_loop *loop, void *arg)
{
    mix_open(loop);
    for (int i = 0; i < 3; i++) {
        mix_talk(loop);
    }
    weir_tls_session_unref(session);
    session = NULL;
    mix_close();
    return 0;
}

static void mix_run(unsigned bits, int entry)
{
    mix = (struct mix){
        .is_old = bits & 1u,
        .has_alpn = bits >> 1 & 1u,
        .has_auth = bits >> 2 & 1u,
        .chooses = bits >> 3 & 1u,
        .is_sealed = entry != 1,
        .starts = entry != 0,
    };
    snprintf(mix.label, sizeof(mix.label), "%s%s%s%s%s%s",
             mix.is_old ? "1.2" : "1.3", mix.has_alpn ? " alpn" : "",
             mix.has_auth ? " auth" : "", mix.chooses ? " chooses" : "",
             mix.is_sealed ? " sealed" : "", mix.starts ? " starts" : "");
    expect_eq(weir_run(NULL, mix_body, NULL), 0);
}

UNIT(tls_mix, each_mix_of_features_agrees_wherever_tls_begins)
{
    tls_require();
    chosen = tls_context(
        &(struct weir_tls_options){.size = sizeof(struct weir_tls_options),
                                   .server = true,
                                   .certificate = {.file = tls_file("rsa.pem")},
                                   .key = {.file = tls_file("rsa.key")}});
    for (unsigned bits = 0; bits < 1u << MIX_BITS; bits++) {
        for (int entry = 0; entry < MIX_ENTRIES; entry++) {
            mix_run(bits, entry);
        }
    }
    weir_tls_context_unref(chosen);
}
