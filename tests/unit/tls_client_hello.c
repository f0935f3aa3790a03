/*
 * The hellos of weir's own clients, as a proxy reads them (client_hello.h).
 *
 * They have the name, the protocols and the version of the client's options,
 * both whole and in records of one byte.
 */
#include "tests/tls/rig.h"

#include <errno.h>
#include <weir/client_hello.h>
#include <weir/tls.h>

enum { CLIENT_HELLO_ROOM = 32 << 10 };

static struct tls_pair pair;
static uint8_t sent[CLIENT_HELLO_ROOM];
static size_t sent_len;

/* Keeps the first bytes that a client with these options sends. */
static void client_begin(struct weir_tls_options *options, const char *name)
{
    const struct wr_tls_peer_options how = {.server_hostname = name};
    struct weir_tls_options other = {.size = sizeof(other), .server = true};

    options->size = sizeof(*options);
    options->authorities.file = tls_file("ca.pem");
    other.certificate.file = tls_file("ecdsa.pem");
    other.key.file = tls_file("ecdsa.key");
    weir_tls_context *client = tls_context(options);
    weir_tls_context *server = tls_context(&other);
    tls_pair_open(&pair, client, server, &how);
    wr_ignore(wr_tls_engine_handshake(&pair.client.engine));
    struct wr_block *block = wr_tls_engine_take_output(&pair.client.engine);
    sent_len = block->used;
    memcpy(sent, wr_tls_engine_output_of(block), sent_len);
    wr_block_give(&pair.account.blocks, block);
    tls_pair_disconnect(&pair);
    tls_contexts_unref(client, server);
}

static struct weir_client_hello client_parsed(void)
{
    static uint8_t scratch[CLIENT_HELLO_ROOM];
    static uint8_t pieces[6 * CLIENT_HELLO_ROOM];
    struct weir_client_hello hello = {.size = sizeof(hello)};
    struct weir_client_hello again = {.size = sizeof(again)};
    size_t used = 0;

    for (size_t len = 0; len < sent_len; len++) {
        expect_eq(weir_client_hello_parse(sent, len, NULL, NULL, 0, &hello),
                  -EAGAIN);
    }
    expect_eq(weir_client_hello_parse(sent, sent_len, NULL, NULL, 0, &hello),
              (int)sent_len);
    for (size_t i = 5; i < sent_len; i++) {
        memcpy(pieces + used, (uint8_t[]){22, 3, 1, 0, 1, sent[i]}, 6);
        used += 6;
    }
    expect_eq(weir_client_hello_parse(pieces, used, NULL, scratch,
                                      sizeof(scratch), &again),
              (int)used);
    expect_str_eq(again.server_name, hello.server_name);
    expect_eq(again.version, hello.version);
    expect_eq(again.protocols.len, hello.protocols.len);
    return hello;
}

UNIT(tls_client_hello, the_name_and_the_protocols_of_a_client_are_read)
{
    struct weir_tls_options options = {.alpn = "h2,http/1.1"};

    client_begin(&options, "www.example.org");
    const struct weir_client_hello hello = client_parsed();
    expect_str_eq(hello.server_name, "www.example.org");
    expect_eq(hello.version, 0x0304);
    cr_assert(weir_client_hello_alpn_has(&hello.protocols, "h2"));
    cr_assert(weir_client_hello_alpn_has(&hello.protocols, "http/1.1"));
    cr_assert(!weir_client_hello_alpn_has(&hello.protocols, "h3"));
}

UNIT(tls_client_hello, a_client_without_a_name_and_with_one_version)
{
    struct weir_tls_options options = {.max_version = WEIR_TLS_1_2};

    client_begin(&options, "192.0.2.1");
    const struct weir_client_hello hello = client_parsed();
    expect_str_eq(hello.server_name, "");
    expect_eq(hello.version, 0x0303);
    expect_eq(hello.protocols.len, 0);
}
