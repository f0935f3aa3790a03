/*
 * Properties of TLS connections that both sides agree on, and that neither side
 * reports earlier.
 *
 * The connections start in plain text, and get TLS once or twice.
 */
#include "tests/contract/starting_rig.h"

static int export_from(const struct side *side, const char *label,
                       const char *context, uint8_t *ret)
{
    return weir_tls_export_keying_material(
        side->t, label, context, context ? strlen(context) : 0, ret, 32);
}

static void expect_exports(struct starting *s)
{
    uint8_t keys[5][32];
    expect_eq(export_from(&s->client, "EXPORTER-one", NULL, keys[0]), 0);
    expect_eq(export_from(&s->server, "EXPORTER-one", NULL, keys[1]), 0);
    expect_eq(export_from(&s->server, "EXPORTER-two", NULL, keys[2]), 0);
    expect_eq(export_from(&s->client, "EXPORTER-one", "x", keys[3]), 0);
    expect_eq(export_from(&s->server, "EXPORTER-one", "x", keys[4]), 0);

    expect(memcmp(keys[0], keys[1], 32) == 0);
    expect(memcmp(keys[3], keys[4], 32) == 0);
    expect(memcmp(keys[0], keys[2], 32) != 0);
    expect(memcmp(keys[0], keys[3], 32) != 0);
}

static void open_exporting(struct starting *s)
{
    s->client_tls.can_export = true;
    s->server_tls.can_export = true;
    starting_upgrade_both(s);
}

STARTING(tls_facts, both_sides_export_the_same_keys, s)
{
    open_exporting(s);
    expect_exports(s);
    starting_end(s);
}

STARTING(tls_facts, both_sides_export_the_same_keys_with_tls_1_2, s)
{
    s->client_tls.context = tls_context_of(false, 12);
    open_exporting(s);
    weir_tls_context_unref(s->client_tls.context);
    expect_exports(s);
    starting_end(s);
}

STARTING(tls_facts, an_export_that_cannot_be_is_refused, s)
{
    uint8_t keys[32];
    uint8_t many[8161];
    expect_eq(export_from(&s->client, "EXPORTER-x", NULL, keys), -EOPNOTSUPP);
    s->client_tls.can_export = true;
    starting_upgrade(&s->client);
    expect_eq(export_from(&s->client, "EXPORTER-x", NULL, keys), -ENOTCONN);
    starting_upgrade(&s->server);
    starting_wait_done(&s->client);
    starting_wait_done(&s->server);

    weir_transport *t = s->client.t;
    expect_eq(export_from(&s->server, "EXPORTER-x", NULL, keys), -EOPNOTSUPP);
    expect_eq(export_from(&s->client, "", NULL, keys), -EINVAL);
    expect_eq(export_from(&s->client, NULL, NULL, keys), -EINVAL);
    expect_eq(weir_tls_export_keying_material(t, "x", NULL, 1, keys, 32),
              -EINVAL);
    expect_eq(weir_tls_export_keying_material(t, "x", NULL, 0, keys, 0),
              -EINVAL);
    expect_eq(
        weir_tls_export_keying_material(t, "x", NULL, 0, many, sizeof(many)),
        -EINVAL);
    starting_end(s);
}

STARTING(tls_facts, a_client_has_the_certificate_of_the_server, s)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    size_t size = 0;
    expect(!weir_tls_get_peer_certificate(s->client.t, 0, &size));
    starting_upgrade(&s->client);
    expect(!weir_tls_get_peer_certificate(s->client.t, 0, &size));
    starting_upgrade(&s->server);
    starting_wait_done(&s->client);
    starting_wait_done(&s->server);

    expect_eq(weir_transport_get_extra_info(s->client.t, "peercert", &info), 0);
    expect(weir_tls_get_peer_certificate(s->client.t, 0, &size) == info.data);
    expect_eq(size, info.len);
    expect(!weir_tls_get_peer_certificate(s->client.t, 100, &size));
    expect(!weir_tls_get_peer_certificate(s->server.t, 0, &size));
    expect_eq(weir_transport_get_extra_info(s->server.t, "peercert", &info),
              -ENOENT);
    expect_ok(weir_transport_get_extra_info(s->server.t, "server_name", &info));
    expect(strcmp(info.text, "localhost") == 0);
    expect_eq(weir_transport_get_extra_info(s->server.t, "cipher", &info), 0);
    expect(info.number == 128 || info.number == 256);
    starting_end(s);
}

STARTING(tls_facts, a_client_alone_has_a_session, s)
{
    weir_tls_session *session = NULL;
    starting_upgrade_both(s);
    expect_eq(weir_tls_get_session(s->server.t, &session), -EOPNOTSUPP);
    expect(!session);
    starting_end(s);
}

static void expect_context(const struct side *side,
                           const weir_tls_context *context)
{
    expect(weir_tls_get_context(side->t) == context);
    expect(!weir_tls_get_context(side->plain));
}

STARTING(tls_facts, a_context_is_that_of_the_settings_from_the_upgrade_on, s)
{
    expect_context(&s->client, NULL);
    starting_upgrade(&s->client);
    starting_upgrade(&s->server);
    expect_context(&s->client, s->client_context); /* no byte was sent yet */
    expect_context(&s->server, s->server_context);

    starting_wait_done(&s->client);
    starting_wait_done(&s->server);
    expect_context(&s->client, s->client_context);
    expect_context(&s->server, s->server_context);

    starting_end(s);
    expect_context(&s->client, s->client_context);
    expect_context(&s->server, s->server_context);
}

STARTING(tls_facts, a_context_lives_as_long_as_the_transport, s)
{
    weir_tls_context *own = tls_context_of(false, 13);
    s->client_tls.context = own;
    starting_upgrade_both(s);
    weir_tls_context_unref(own);
    starting_end(s);

    expect_context(&s->client, own);
    expect(weir_tls_context_ref(own) == own); /* it is not freed memory */
    weir_tls_context_unref(own);
}

STARTING(tls_facts, an_outer_tls_and_the_inner_one_have_contexts_of_their_own,
         s)
{
    weir_tls_context *inner = tls_context_of(false, 12);
    starting_upgrade_both(s);
    weir_transport *outer = weir_transport_ref(s->client.t);
    s->client.done_count = s->server.done_count = 0;
    s->client_tls.context = inner;
    starting_upgrade_both(s);

    expect_context(&s->client, inner);
    expect(weir_tls_get_context(outer) == s->client_context);
    weir_transport_unref(outer);
    weir_tls_context_unref(inner);
    starting_end(s);
}

static void expect_cipher(const struct side *side, const char *suite,
                          const char *version)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    expect_eq(weir_transport_get_extra_info(side->t, "cipher", &info), 0);
    expect(strcmp(info.text, suite) == 0);
    expect_eq(info.len, strlen(suite));
    expect_eq(info.number, 256);
    expect_eq(weir_transport_get_extra_info(side->t, "tls_version", &info), 0);
    expect(strcmp(info.text, version) == 0);
}

static void expect_suite(struct starting *s, const char *suite,
                         const char *version)
{
    struct weir_tls_options options = tls_options(false);
    options.ciphers = suite;
    s->client_tls.context = tls_context(&options);
    starting_upgrade_both(s);
    weir_tls_context_unref(s->client_tls.context);
    expect_cipher(&s->client, suite, version);
    expect_cipher(&s->server, suite, version);
    starting_end(s);
}

STARTING(tls_facts, both_sides_have_the_iana_name_of_a_suite_of_tls_1_3, s)
{
    expect_suite(s, "TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3");
}

STARTING(tls_facts, both_sides_have_the_iana_name_of_a_suite_of_tls_1_2, s)
{
    expect_suite(s, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLSv1.2");
}

STARTING(tls_facts, facts_of_an_outer_tls_are_not_those_of_the_inner_one, s)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    starting_upgrade_both(s);
    expect_ok(weir_transport_get_extra_info(s->server.t, "server_name", &info));
    s->client.done_count = s->server.done_count = 0;
    s->client_tls.server_hostname = NULL;
    s->client_tls.no_hostname_check = true;
    starting_upgrade_both(s);

    expect_eq(weir_transport_get_extra_info(s->server.t, "server_name", &info),
              -ENOENT);
    expect_eq(weir_transport_get_extra_info(s->server.t, "socket", &info), 0);
    starting_end(s);
}
