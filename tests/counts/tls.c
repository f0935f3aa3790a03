/*
 * Counted: the echo of a protocol over TLS.
 *
 * The peers are wolfSSL clients without weir, one for each connection; the fake
 * machine carries their bytes. All handshakes end before the first turn, so all
 * turns are alike. A TLS 1.3 record is 22 bytes longer than its content.
 * wolfSSL's instructions in the server are not counted. The case does not run
 * with OpenSSL, which has other clients and memory functions.
 */
#include "tests/counts/count.h"

#include "weir/tls.h"
#include "weir/tls_connection.h"
#include "weir/transport.h"

#include <stdlib.h>
#include <string.h>
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#define RECORD_EXTRA 22u

static WOLFSSL_CTX *client_context;
static WOLFSSL *clients[COUNT_CONNS_MAX];
static uint32_t open_count; /* clients whose handshake has ended */

/* ---- the clients ---- */

static int client_recv(WOLFSSL *ssl, char *buf, int size, void *peer)
{
    const ssize_t len = fake_peer_read(peer, buf, (size_t)size);

    count_require(ssl != NULL, "no client");
    return len > 0 ? (int)len : WOLFSSL_CBIO_ERR_WANT_READ;
}

static int client_send(WOLFSSL *ssl, char *buf, int size, void *peer)
{
    count_require(ssl != NULL, "no client");
    count_require(fake_peer_write(peer, buf, (size_t)size) == size,
                  "a record was not taken");
    return size;
}

static void make_clients(struct count *c)
{
    client_context = wolfSSL_CTX_new(wolfTLSv1_3_client_method());
    count_require(client_context != NULL, "no context of the clients");
    wolfSSL_CTX_set_verify(client_context, WOLFSSL_VERIFY_NONE, NULL);
    wolfSSL_CTX_SetIORecv(client_context, client_recv);
    wolfSSL_CTX_SetIOSend(client_context, client_send);
    for (uint32_t i = 0; i < c->conns; i++) {
        clients[i] = wolfSSL_new(client_context);
        count_require(clients[i] != NULL, "no client");
        wolfSSL_SetIOReadCtx(clients[i], c->peers[i]);
        wolfSSL_SetIOWriteCtx(clients[i], c->peers[i]);
    }
}

static void free_clients(struct count *c)
{
    for (uint32_t i = 0; i < c->conns; i++) {
        wolfSSL_free(clients[i]);
    }
    wolfSSL_CTX_free(client_context);
}

/* Continues every handshake. */
static void shake(struct count *c)
{
    for (uint32_t i = 0; i < c->conns; i++) {
        if (wolfSSL_is_init_finished(clients[i])) {
            continue;
        }
        const int ret = wolfSSL_connect(clients[i]);
        count_require(ret == WOLFSSL_SUCCESS ||
                          wolfSSL_get_error(clients[i], ret) ==
                              WOLFSSL_ERROR_WANT_READ,
                      "a handshake failed");
        open_count += ret == WOLFSSL_SUCCESS;
    }
}

/* ---- the turns ---- */

static void exchange(struct count *c, uint32_t index, bool is_first)
{
    uint8_t message[COUNT_MESSAGE] = {(uint8_t)('A' + index)};
    uint8_t answer[COUNT_MESSAGE + 1];

    if (!is_first) {
        const int len = wolfSSL_read(clients[index], answer, sizeof(answer));
        count_require(len == COUNT_MESSAGE, "no whole answer in its turn");
        count_require(memcmp(answer, message, COUNT_MESSAGE) == 0,
                      "a wrong answer");
        c->done++;
    }
    count_require(wolfSSL_write(clients[index], message, COUNT_MESSAGE) ==
                      COUNT_MESSAGE,
                  "a message was not taken");
}

static bool next_turn(struct count *c)
{
    static bool has_begun;

    if (c->port == 0 || c->turns_left == 0) {
        return false;
    }
    if (c->peers[0] == NULL) {
        count_connect(c);
        make_clients(c);
    }
    if (open_count < c->conns) {
        shake(c);
        return true;
    }
    c->turns_left--;
    for (uint32_t i = 0; i < c->conns; i++) {
        exchange(c, i, !has_begun);
    }
    has_begun = true;
    return true;
}

static bool is_over(const struct count *c)
{
    for (uint32_t i = 0; i < c->conns && c->turns_left == 0; i++) {
        if (fake_peer_readable(c->peers[i]) != COUNT_MESSAGE + RECORD_EXTRA) {
            return false;
        }
    }
    return c->turns_left == 0;
}

/* ---- the server ---- */

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct count *c = user;

    c->callbacks++;
    return weir_transport_write(t, buf->data, buf->len);
}

static int make_protocol(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    static const struct weir_protocol echo = {.size = sizeof(echo),
                                              .kind = WEIR_PROTOCOL_STREAM,
                                              .data_received = data_received};
    count_require(t != NULL, "no transport");
    ret->protocol = &echo;
    ret->user = arg;
    return 0;
}

static void start(struct count *c)
{
    const char *folder = getenv("WEIR_TLS_CERTIFICATES");
    char paths[2][256];
    const struct weir_tls_options options = {
        .size = sizeof(options),
        .server = true,
        .no_tickets = true,
        .certificate = {.file = paths[0]},
        .key = {.file = paths[1]},
    };
    struct weir_tls_settings settings = {.size = sizeof(settings)};

    count_require(folder != NULL, "WEIR_TLS_CERTIFICATES is not set");
    snprintf(paths[0], sizeof(paths[0]), "%s/ecdsa.pem", folder);
    snprintf(paths[1], sizeof(paths[1]), "%s/ecdsa.key", folder);
    count_require(weir_tls_context_new(&options, &settings.context, NULL, 0) ==
                      0,
                  "no context of the server");
    c->tls = &settings;
    count_serve(c, make_protocol);
    c->tls = NULL;
    weir_tls_context_unref(settings.context);
}

const struct count_case count_tls = {.name = "tls",
                                     .start = start,
                                     .next_turn = next_turn,
                                     .is_over = is_over,
                                     .end = free_clients};
