/*
 * Open, steps and close of a connection: an SSL whose bytes weir moves.
 *
 * The BIO stores whether a step failed because it needed bytes, so
 * SSL_get_error() is not called. libssl sets the flag SSL_RECEIVED_SHUTDOWN at
 * the peer's close_notify, but also at a fatal alert.
 *
 * After the handshake libssl accepts no data for sending while a ticket or a
 * KeyUpdate has arrived in part. If such a message arrives in several records,
 * and data is sent between them, the connection ends.
 */
#include "openssl.h"

#include "lib/base/bytes.h"
#include "uring/alloc.h"
#include "uring/check.h"

#include <weir/error.h>

#include <openssl/ssl.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

/* libssl does not read an alert that is a client's first record. */
static void ssl_note_first(struct wr_openssl_own *own)
{
    const uint8_t alert[] = {21, 3, 3, 0, 2, SSL3_AL_FATAL};

    wr_assert(own->first_len <= sizeof(own->first));
    if (own->alert_received < 0 && own->first_len == sizeof(own->first) &&
        own->first[0] == alert[0] && own->first[1] == alert[1] &&
        memcmp(own->first + 3, alert + 3, sizeof(alert) - 3) == 0) {
        own->alert_received = own->first[6];
    }
}

/* Returns weir's code for OpenSSL's error @number. If the error only reports
 * that a record was refused, the code depends on the alert that was sent. */
static int ssl_code_of(const struct wr_openssl_own *own, unsigned long number)
{
    if (!wr_openssl_is_vague(number)) {
        return wr_openssl_code_of(number);
    }
    switch (own->alert_sent) {
    case -1: /* no alert after our close_notify; usually a bad MAC */
    case SSL_AD_BAD_RECORD_MAC:
        return WEIR_ETLSRECORD;
    case SSL_AD_PROTOCOL_VERSION:
        return WEIR_ETLSVERSION;
    default:
        return WEIR_ETLSPROTOCOL;
    }
}

static int ssl_fail(struct wr_tls_conn *conn,
                    const struct wr_openssl_errors *errors)
{
    struct wr_openssl_own *own = wr_openssl_own_of(conn);
    const bool lacks_signature = wr_openssl_take_sign_failure();

    wr_assert(own != NULL);
    if (conn->is_server) {
        ssl_note_first(own);
    }
    conn->lacks_memory |= errors->lacks_memory;
    conn->number = (int)(unsigned)errors->newest;
    conn->code = ssl_code_of(own, errors->newest);
    if (conn->lacks_memory) {
        conn->code = -ENOMEM;
    } else if (own->alert_received >= 0) {
        conn->code = WEIR_ETLSALERT;
    } else if (own->wants_bytes) {
        conn->code = WEIR_ETLSPROTOCOL; /* a message is incomplete */
    } else if (lacks_signature) {
        conn->code = WEIR_ETLSSIGN;
        conn->number = 0; /* OpenSSL's text would mislead */
    }
    return WR_TLS_STEP_FAILED;
}

static int ssl_translate(struct wr_tls_conn *conn,
                         const struct wr_openssl_errors *errors)
{
    const struct wr_openssl_own *own = wr_openssl_own_of(conn);

    wr_assert(conn->ssl);
    if (own->wants_bytes && !conn->lacks_memory) {
        return WR_TLS_STEP_WANTS;
    }
    if (errors->newest == 0 && own->alert_received < 0 && !conn->lacks_memory &&
        (SSL_get_shutdown(conn->ssl) & SSL_RECEIVED_SHUTDOWN)) {
        return WR_TLS_STEP_ENDED;
    }
    return ssl_fail(conn, errors);
}

static void ssl_enter(struct wr_tls_conn *conn,
                      struct wr_openssl_errors *errors)
{
    wr_assert(conn->ssl);
    wr_openssl_own_of(conn)->wants_bytes = false;
    wr_openssl_own_of(conn)->has_buffers = true;
    wr_openssl_enter(errors);
}

/* Returns true once TLS 1.3 is agreed on. SSL_version() returns TLS 1.3 even
 * before, while libssl ignores warnings. */
static bool ssl_is_newest(const SSL *ssl)
{
    return SSL_version(ssl) == TLS1_3_VERSION &&
           SSL_get_ssl_method(ssl) !=
               SSL_CTX_get_ssl_method(SSL_get_SSL_CTX(ssl));
}

/* libssl calls this for alerts, and for each state of a handshake. @number has
 * the level and the alert. Two alerts of TLS 1.3 are not fatal. */
static void ssl_note(const SSL *ssl, int where, int number)
{
    struct wr_openssl_own *own;
    const int16_t alert = (int16_t)(number & UINT8_MAX);
    const bool is_close =
        alert == SSL_AD_CLOSE_NOTIFY || alert == SSL_AD_USER_CANCELLED;

    if (!(where & SSL_CB_ALERT) ||
        (number >> 8 != SSL3_AL_FATAL && (is_close || !ssl_is_newest(ssl)))) {
        return;
    }
    own = wr_openssl_own_of(wr_openssl_conn_of(ssl));
    if (where & SSL_CB_READ) {
        own->alert_received = alert;
    } else if (own->alert_sent < 0) {
        own->alert_sent = alert;
    }
}

/* Selects the protocol that weir chose from the ClientHello. If the client
 * offers none of weir's protocols, weir has set its whole list, and the
 * handshake is refused. */
/* NOLINTNEXTLINE(readability-function-size): OpenSSL sets the parameters */
static int ssl_take_protocol(SSL *ssl, const unsigned char **ret,
                             unsigned char *ret_len, const unsigned char *list,
                             unsigned size, void *arg)
{
    const struct wr_openssl_own *own =
        wr_openssl_own_of(wr_openssl_conn_of(ssl));
    const uint8_t *name = (const uint8_t *)own->protocol;

    (void)arg;
    wr_assert(list && size > 0);
    if (!name) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    if (memchr(name, ',', own->protocol_len) || /* the whole list */
        own->protocol_len > UINT8_MAX ||
        !wr_bytes_list_has((struct wr_bytes){list, size},
                           (struct wr_bytes){name, own->protocol_len})) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *ret = name;
    *ret_len = (unsigned char)own->protocol_len;
    return SSL_TLSEXT_ERR_OK;
}

/* The body of the extension server_name (RFC 6066, 3). */
static bool ssl_find_name(const uint8_t *data, size_t size,
                          struct wr_bytes *ret)
{
    struct wr_bytes body = {.data = data, .size = size};
    struct wr_bytes list;
    size_t type = 0;

    wr_assert(data != NULL);
    return wr_bytes_take_vector(&body, 2, &list) &&
           wr_bytes_take_number(&list, 1, &type) && type == 0 &&
           wr_bytes_take_vector(&list, 2, ret) && ret->size > 0 &&
           ret->size <= UINT8_MAX && !memchr(ret->data, '\0', ret->size);
}

/* Reads the name here, because libssl opens tickets, which are valid for one
 * name, before it reads the name. For a client without a session identifier,
 * disables the messages for old middleboxes. */
static int ssl_read_hello(SSL *ssl, int *ret_alert, void *arg)
{
    struct wr_tls_conn *conn = wr_openssl_conn_of(ssl);
    struct wr_openssl_own *own = wr_openssl_own_of(conn);
    const unsigned char *data = NULL;
    struct wr_bytes name;
    size_t size = 0;

    (void)arg;
    if (SSL_client_hello_get0_session_id(ssl, &data) == 0) {
        SSL_clear_options(ssl, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    }
    if (own->name ||
        SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) !=
            1 ||
        size == 0 || !ssl_find_name(data, size, &name)) {
        return SSL_CLIENT_HELLO_SUCCESS;
    }
    own->name = wr_alloc(conn->account->allocator, name.size + 1);
    if (!own->name) {
        conn->lacks_memory = true;
        *ret_alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    memcpy(own->name, name.data, name.size);
    own->name[name.size] = '\0';
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Makes the server confirm in its hello that it has used the requested name, by
 * which weir has selected the certificate. */
static int ssl_take_name(SSL *ssl, int *ret_alert, void *arg)
{
    (void)ssl;
    (void)ret_alert;
    (void)arg;
    return SSL_TLSEXT_ERR_OK;
}

/* Called when a ticket has arrived. Returns 1 to take ownership of the
 * session. */
static int ssl_take_session(SSL *ssl, SSL_SESSION *session)
{
    struct wr_tls_conn *conn = wr_openssl_conn_of(ssl);
    struct wr_openssl_own *own = wr_openssl_own_of(conn);

    wr_assert(!conn->is_server);
    if (!SSL_SESSION_has_ticket(session)) {
        return 0;
    }
    SSL_SESSION_free(own->session);
    own->session = session;
    conn->events->ticket_came(conn, 1);
    return 1;
}

void wr_openssl_use_callbacks(SSL_CTX *ctx, bool is_server)
{
    wr_assert(ctx != NULL);
    SSL_CTX_set_info_callback(ctx, ssl_note);
    if (is_server) {
        SSL_CTX_set_alpn_select_cb(ctx, ssl_take_protocol, NULL);
        SSL_CTX_set_tlsext_servername_callback(ctx, ssl_take_name);
        SSL_CTX_set_client_hello_cb(ctx, ssl_read_hello, NULL);
    } else {
        SSL_CTX_sess_set_new_cb(ctx, ssl_take_session);
    }
}

static int ssl_offer_protocols(struct wr_tls_conn *conn, const char *list)
{
    struct wr_openssl_own *own = wr_openssl_own_of(conn);
    const size_t size = strlen(list) + 1;

    wr_assert(!own->offered);
    own->offered = wr_alloc(conn->account->allocator, size);
    if (!own->offered) {
        return -ENOMEM;
    }
    own->offered_size = size;
    for (size_t at = 0; at < size;) {
        const size_t len = strcspn(list + at, ",");
        wr_assert(len > 0 && len <= UINT8_MAX);
        own->offered[at] = (uint8_t)len;
        memcpy(own->offered + at + 1, list + at, len);
        at += len + 1;
    }
    return SSL_set_alpn_protos(conn->ssl, own->offered, (unsigned)size) == 0
               ? 0
               : -ENOMEM;
}

/* The connection gets a copy, because libssl writes to a connection's session
 * and other threads may use @session. */
static int ssl_use_session(SSL *ssl, const struct wr_tls_known *session)
{
    SSL_SESSION *copy = SSL_SESSION_dup((const SSL_SESSION *)session);

    wr_assert(ssl && session);
    if (!copy) {
        return -ENOMEM;
    }
    const bool is_set = SSL_set_session(ssl, copy) == 1;
    SSL_SESSION_free(copy);
    return is_set ? 0 : -ENOMEM;
}

static int ssl_open_client(struct wr_tls_conn *conn,
                           const struct wr_tls_peer *peer)
{
    wr_assert(!conn->is_server);
    SSL_set_connect_state(conn->ssl);
    if (peer->name && SSL_set_tlsext_host_name(conn->ssl, peer->name) != 1) {
        return -ENOMEM;
    }
    int err = peer->protocols ? ssl_offer_protocols(conn, peer->protocols) : 0;
    if (err == 0 && peer->session) {
        err = ssl_use_session(conn->ssl, peer->session);
    }
    return err;
}

static int ssl_open(struct wr_tls_conn *conn, const struct wr_tls_peer *peer)
{
    wr_assert(peer->shared->ctx);
    SSL *ssl = SSL_new(peer->shared->ctx);
    BIO *bio = ssl ? wr_openssl_new_bio(conn) : NULL;

    conn->ssl = ssl;
    if (!bio) {
        return -ENOMEM;
    }
    SSL_set_bio(ssl, bio, bio);
    if (SSL_set_app_data(ssl, conn) != 1) {
        return -ENOMEM;
    }
    if (conn->is_server) {
        SSL_set_accept_state(ssl);
        return 0;
    }
    return ssl_open_client(conn, peer);
}

int wr_openssl_open(struct wr_tls_conn *conn, const struct wr_tls_peer *peer)
{
    struct wr_openssl_errors errors;
    struct wr_openssl_own *own =
        wr_alloc(conn->account->allocator, sizeof(*own));

    if (!own) {
        return -ENOMEM;
    }
    *own = (struct wr_openssl_own){
        .alert_received = -1,
        .alert_sent = -1,
        .verifies = peer->verifies,
    };
    conn->own = own;
    wr_openssl_enter(&errors);
    const int err = ssl_open(conn, peer);
    wr_openssl_leave(&errors);
    if (err < 0) {
        wr_openssl_close(conn);
    }
    return err;
}

void wr_openssl_close(struct wr_tls_conn *conn)
{
    struct wr_openssl_own *own = wr_openssl_own_of(conn);

    wr_assert(own != NULL);
    SSL_free(conn->ssl);
    SSL_SESSION_free(own->session);
    wr_openssl_forget_key(conn);
    wr_free(conn->account->allocator, own->offered, own->offered_size);
    wr_free(conn->account->allocator, own->name,
            own->name ? strlen(own->name) + 1 : 0);
    wr_free(conn->account->allocator, own, sizeof(*own));
    conn->ssl = NULL;
    conn->own = NULL;
}

static bool ssl_fits_protocol(const struct wr_tls_conn *conn)
{
    const struct wr_openssl_own *own = wr_openssl_own_of(conn);
    const unsigned char *name = NULL;
    unsigned len = 0;

    wr_assert(conn->ssl);
    SSL_get0_alpn_selected(conn->ssl, &name, &len);
    return conn->is_server || len == 0 ||
           wr_bytes_list_has((struct wr_bytes){own->offered, own->offered_size},
                             (struct wr_bytes){name, len});
}

/* Finishes a handshake that libssl has completed. libssl calls no callback for
 * a client that sent no certificate, so weir decides here. */
static int ssl_finish(struct wr_tls_conn *conn)
{
    struct wr_openssl_own *own = wr_openssl_own_of(conn);
    uint8_t alert = 0;

    wr_assert(SSL_is_init_finished(conn->ssl));
    /* The callback would be called for each record. */
    SSL_set_msg_callback(conn->ssl, NULL);
    conn->code = 0;
    if (own->is_failed) {
        conn->code = WEIR_ETLSENGINE;
    } else if (!ssl_fits_protocol(conn)) {
        conn->code = WEIR_ETLSALPN;
    } else if (own->verifies && conn->is_server && !own->is_judged &&
               !SSL_get0_peer_certificate(conn->ssl) &&
               SSL_session_reused(conn->ssl) != 1) {
        own->is_judged = true;
        conn->code =
            conn->events->chain(conn, NULL, 0, &alert) ? 0 : WEIR_ETLSNOCERT;
    }
    return conn->code < 0 ? WR_TLS_STEP_FAILED : 0;
}

int wr_openssl_handshake(struct wr_tls_conn *conn)
{
    struct wr_openssl_errors errors;

    ssl_enter(conn, &errors);
    const int ret = SSL_do_handshake(conn->ssl);
    wr_openssl_leave(&errors);
    return ret == 1 ? ssl_finish(conn) : ssl_translate(conn, &errors);
}

/* Responds to the peer's request for new keys. libssl would respond in the next
 * write, which would then make two records. */
static bool ssl_answer(SSL *ssl)
{
    if (WR_LIKELY(SSL_get_key_update_type(ssl) == SSL_KEY_UPDATE_NONE) ||
        (SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN) || SSL_in_init(ssl)) {
        return true;
    }
    wr_assert(SSL_version(ssl) == TLS1_3_VERSION);
    return SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
           SSL_do_handshake(ssl) == 1;
}

int wr_openssl_read(struct wr_tls_conn *conn, void *buf, size_t size)
{
    struct wr_openssl_errors errors;
    size_t count = 0;

    wr_assert(size > 0 && buf);
    wr_assert(size <= INT_MAX);
    ssl_enter(conn, &errors);
    const int ret = SSL_read_ex(conn->ssl, buf, size, &count);
    const bool is_answered = ssl_answer(conn->ssl);
    wr_openssl_leave(&errors);
    if (!is_answered) {
        return ssl_fail(conn, &errors);
    }
    return ret == 1 ? (int)count : ssl_translate(conn, &errors);
}

size_t wr_openssl_pending(const struct wr_tls_conn *conn)
{
    const int count = SSL_pending(conn->ssl);

    wr_assert(count >= 0);
    return (size_t)count;
}

int wr_openssl_write(struct wr_tls_conn *conn, const void *data, size_t len)
{
    struct wr_openssl_errors errors;
    size_t count = 0;

    wr_assert(conn->ssl && data);
    wr_assert(len > 0);
    wr_assert(len <= WR_TLS_RECORD_MAX);
    ssl_enter(conn, &errors);
    const int ret = SSL_write_ex(conn->ssl, data, len, &count);
    wr_openssl_leave(&errors);
    if (ret != 1) {
        return ssl_fail(conn, &errors);
    }
    wr_assert(count == len);
    return 0;
}

int wr_openssl_shutdown(struct wr_tls_conn *conn)
{
    struct wr_openssl_errors errors;

    wr_assert(!(SSL_get_shutdown(conn->ssl) & SSL_SENT_SHUTDOWN));
    ssl_enter(conn, &errors);
    const int ret = SSL_shutdown(conn->ssl);
    wr_openssl_leave(&errors);
    return ret >= 0 && !conn->lacks_memory ? 0 : ssl_fail(conn, &errors);
}

int wr_openssl_update_keys(struct wr_tls_conn *conn)
{
    struct wr_openssl_errors errors;

    wr_assert(!(SSL_get_shutdown(conn->ssl) & SSL_SENT_SHUTDOWN));
    if (SSL_version(conn->ssl) != TLS1_3_VERSION) {
        return -EOPNOTSUPP;
    }
    ssl_enter(conn, &errors);
    const bool is_done =
        SSL_key_update(conn->ssl, SSL_KEY_UPDATE_REQUESTED) == 1 &&
        SSL_do_handshake(conn->ssl) == 1;
    wr_openssl_leave(&errors);
    return is_done ? 0 : ssl_fail(conn, &errors);
}

/* Releases libssl's buffers, 16 KiB for each direction. Does so only after a
 * step, because libssl searches 32 pipelines for buffers. Before 3.0.14, 3.1.6,
 * 3.2.2 and 3.3.1 libssl freed them too early after a record's header, or with
 * plaintext left (CVE-2024-4741); this function is never called then. */
void wr_openssl_rest(struct wr_tls_conn *conn)
{
    struct wr_openssl_own *own = wr_openssl_own_of(conn);

    wr_assert(conn->ssl);
    own->has_buffers = own->has_buffers && SSL_free_buffers(conn->ssl) != 1;
}

/* libssl itself selects a suite for the kind of key, so @suites is ignored. */
int wr_openssl_show(struct wr_tls_conn *conn,
                    struct wr_tls_credential *credential, const char *suites)
{
    struct wr_openssl_errors errors;

    (void)suites;
    wr_assert(conn->is_server);
    wr_assert(credential->leaf && credential->key);
    wr_openssl_enter(&errors);
    SSL_certs_clear(conn->ssl);
    const bool is_shown =
        SSL_use_cert_and_key(conn->ssl, credential->leaf, credential->key,
                             credential->issuers, 1) == 1;
    wr_openssl_leave(&errors);
    /* credential_check() has found all other errors before. */
    return is_shown ? 0 : -ENOMEM;
}

int wr_openssl_choose_protocol(struct wr_tls_conn *conn, const char *name,
                               size_t len)
{
    struct wr_openssl_own *own = wr_openssl_own_of(conn);

    wr_assert(conn->is_server && len > 0);
    own->protocol = name;
    own->protocol_len = len;
    return 0;
}
