/*
 * Contexts for the certificates that the build creates; see rig.h.
 *
 * Programs with fake contexts (tests/unit/tls_rig.c) call no function of this
 * file, so the linker leaves it out.
 */
#include "tests/tls/rig.h"

struct weir_tls_options tls_options(bool is_server)
{
    struct weir_tls_options options = {.size = sizeof(options),
                                       .server = is_server};
    if (is_server) {
        options.certificate.file = tls_file("ecdsa.pem");
        options.key.file = tls_file("ecdsa.key");
    } else {
        options.authorities.file = tls_file("ca.pem");
    }
    return options;
}

weir_tls_context *tls_context(const struct weir_tls_options *options)
{
    char text[256] = "";
    weir_tls_context *context = NULL;
    const int err = weir_tls_context_new(options, &context, text, sizeof(text));
    expect_eq(err, 0, "%s: %s", weir_err_name(err), text);
    cr_assert(strncmp(text, "certificate: ", strlen(text) ? 13 : 0) == 0,
              "a notice: %s", text);
    return context;
}

weir_tls_context *tls_context_of(bool is_server, int version)
{
    struct weir_tls_options options = tls_options(is_server);
    if (version != 0) {
        options.min_version = version == 12 ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
        options.max_version = options.min_version;
    }
    return tls_context(&options);
}

void tls_pair_join(struct tls_pair *pair, const struct weir_tls_options *client,
                   const struct weir_tls_options *server,
                   const struct wr_tls_peer_options *how)
{
    const struct wr_tls_peer_options to_localhost = {.server_hostname =
                                                         "localhost"};
    weir_tls_context *client_context =
        client ? tls_context(client) : tls_context_of(false, 0);
    weir_tls_context *server_context =
        server ? tls_context(server) : tls_context_of(true, 0);
    tls_pair_connect(pair, client_context, server_context,
                     how ? how : &to_localhost);
    weir_tls_context_unref(client_context);
    weir_tls_context_unref(server_context);
}

void tls_contexts_unref(weir_tls_context *a, weir_tls_context *b)
{
    weir_tls_context_unref(a);
    weir_tls_context_unref(b);
}

void tls_require_hybrid(void)
{
    const struct wr_tls_backend *backend = wr_tls_backend_get();

    expect_eq(backend->start(), 0);
    if (!backend->has_hybrid || !backend->has_hybrid()) {
        cr_skip_test(
            "the library has no X25519MLKEM768; runs with OpenSSL 3.5, "
            "which Debian 13 has");
    }
}
