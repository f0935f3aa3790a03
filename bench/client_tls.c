/*
 * One TLS connection of the client. OpenSSL reads ahead from the socket, and
 * writes into memory, so that the messages of a step leave together.
 *
 * The client trusts exactly one certificate, the server's. The key exchange is
 * X25519 and the suite AES-128-GCM with SHA-256 for all servers; P-256 is
 * offered, too, because TLS 1.2 also selects the certificate's curve by it.
 */
#include "bench/client_tls.h"

#include "bench/bench.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Size of a read from the socket: more than a record. */
#define READ_AHEAD (64 * 1024)

static void die(const char *what)
{
    fprintf(stderr, "%s: ", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

/* Called with each ticket. Returns 1 to take the reference. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_conn *c = SSL_get_app_data(ssl);

    c->k->tickets++;
    if (!c->k->options.resumes) {
        return 0;
    }
    SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

static void choose_suite(SSL_CTX *context, bool is_tls12)
{
    int version = is_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;

    if (SSL_CTX_set_min_proto_version(context, version) != 1 ||
        SSL_CTX_set_max_proto_version(context, version) != 1 ||
        SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-GCM-SHA256:"
                                         "ECDHE-RSA-AES128-GCM-SHA256") != 1 ||
        SSL_CTX_set1_groups_list(context, "X25519:P-256") != 1) {
        die("the suite");
    }
}

SSL_CTX *tls_context_new(const struct client *k)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (context == NULL) {
        die("SSL_CTX_new");
    }
    choose_suite(context, k->options.is_tls12);
    if (k->options.trusted == NULL ||
        SSL_CTX_load_verify_file(context, k->options.trusted) != 1) {
        die("--trusted");
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD);
    /* A server may end the connection without close_notify. */
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT |
                                                SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    return context;
}

bool tls_open(struct tls_conn *c, SSL_CTX *context, uint32_t index)
{
    BIO *in = NULL;
    BIO *out = NULL;

    c->fd = client_connect(c->k, index);
    if (c->fd < 0) {
        return false;
    }
    c->is_done = false;
    c->must_resume = c->k->options.resumes && c->k->is_measuring;
    c->ssl = SSL_new(context);
    in = BIO_new_socket(c->fd, BIO_NOCLOSE);
    out = BIO_new(BIO_s_mem());
    if (c->ssl == NULL || in == NULL || out == NULL) {
        die("SSL_new");
    }
    SSL_set_bio(c->ssl, in, out);
    SSL_set_app_data(c->ssl, c);
    SSL_set_connect_state(c->ssl);
    if (c->session != NULL && SSL_set_session(c->ssl, c->session) != 1) {
        die("SSL_set_session");
    }
    return true;
}

void tls_close(struct tls_conn *c)
{
    if (c->fd >= 0) {
        /* Without this, OpenSSL marks a new session as not resumable. */
        SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(c->ssl);
        close(c->fd);
        c->ssl = NULL;
        c->fd = -1;
    }
}

bool tls_flush(struct tls_conn *c)
{
    char *data = NULL;
    long len = BIO_get_mem_data(SSL_get_wbio(c->ssl), &data);

    if (len <= 0) {
        return true;
    }
    /* Requests are small and one at a time, so a send is never partial. */
    if (send(c->fd, data, (size_t)len, MSG_NOSIGNAL) != (ssize_t)len ||
        BIO_reset(SSL_get_wbio(c->ssl)) != 1) {
        c->k->errors[CLIENT_BROKEN]++;
        return false;
    }
    return true;
}

/* Checks version, suite, group, certificate and resumption. */
static bool is_as_agreed(const struct tls_conn *c)
{
    bool is_tls12 = c->k->options.is_tls12;
    const char *suite = SSL_get_cipher_name(c->ssl);

    if (SSL_get_verify_result(c->ssl) != X509_V_OK ||
        SSL_get0_peer_certificate(c->ssl) == NULL) {
        return false;
    }
    if (SSL_version(c->ssl) != (is_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) ||
        strstr(suite, is_tls12 ? "AES128-GCM-SHA256"
                               : "TLS_AES_128_GCM_SHA256") == NULL) {
        return false;
    }
    if (SSL_session_reused(c->ssl) != 1) {
        return !c->must_resume &&
               SSL_get_negotiated_group(c->ssl) == NID_X25519;
    }
    return c->k->options.resumes;
}

bool tls_shake(struct tls_conn *c)
{
    int ret = SSL_do_handshake(c->ssl);
    int error = SSL_get_error(c->ssl, ret);

    if (ret != 1 && error != SSL_ERROR_WANT_READ) {
        ERR_print_errors_fp(stderr);
        c->k->errors[CLIENT_BROKEN]++;
        return false;
    }
    if (ret != 1) {
        return true;
    }
    c->is_done = true;
    if (!is_as_agreed(c)) {
        c->k->errors[CLIENT_MISMATCH]++;
        return false;
    }
    return true;
}
