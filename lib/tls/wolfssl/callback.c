/*
 * wolfSSL's callbacks, translated to events: bytes in and out, certificates,
 * tickets, secrets.
 *
 * wolfSSL has no authorities. It reads the certificates from the last to the
 * leaf, and calls weir for each. weir overrules wolfSSL's own error, an unknown
 * signer. If wolfSSL is built with WOLFSSL_PUBLIC_ASN, as tools/deps does, weir
 * overrules every other error, too, and wolfSSL gets only the key of a leaf
 * that it cannot parse.
 *
 * During the calls for the other certificates of an accepted peer, wolfSSL's
 * verify mode is off. Otherwise wolfSSL would add each issuer to the context,
 * which threads share, and verify signatures with those keys once more. The
 * call for the leaf, the last one, restores the mode.
 */
#include "lib/x509/path.h"
#include "wolfssl.h"

#include <weir/error.h>

#include <string.h>

#ifdef WOLFSSL_PUBLIC_ASN
#include "lib/x509/bare.h"

#include <wolfssl/wolfcrypt/asn.h>
#endif

#if !defined(WOLFSSL_ALWAYS_VERIFY_CB) || !defined(WOLFSSL_VERIFY_CB_ALL_CERTS)
#error "this wolfSSL does not show good certificates to the verify callback"
#endif
#ifdef KEEP_PEER_CERT
#error "this wolfSSL accepts a leaf unseen if it has no memory for a copy"
#endif

/* For callbacks without a user argument. */
static struct wr_tls_conn *callback_conn(WOLFSSL *ssl)
{
    struct wr_tls_conn *conn = wolfSSL_GetIOReadCtx(ssl);

    wr_debug_assert(conn && conn->ssl == ssl);
    return conn;
}

int wr_wolfssl_on_recv(WOLFSSL *ssl, char *buf, int size, void *arg)
{
    struct wr_tls_conn *conn = arg;

    (void)ssl;
    wr_debug_assert(ssl == conn->ssl && size > 0);
    const int ret = conn->events->take(conn, (uint8_t *)buf, (size_t)size);
    return ret > 0                    ? ret
           : ret == WR_TLS_TAKE_WAITS ? WOLFSSL_CBIO_ERR_WANT_READ
                                      : WOLFSSL_CBIO_ERR_GENERAL;
}

/* Stores the first fatal alert. wolfSSL reports only the last one, and
 * sometimes sends a second one with another number. */
static void callback_note_alert(struct wr_tls_conn *conn)
{
    WOLFSSL_ALERT_HISTORY history;

    wr_assert(conn->ssl != NULL);
    if (!(conn->flags & WR_WOLFSSL_SENT_ALERT) &&
        wolfSSL_get_alert_history(conn->ssl, &history) == WOLFSSL_SUCCESS &&
        history.last_tx.level == alert_fatal) {
        conn->flags |=
            WR_WOLFSSL_SENT_ALERT | (uint32_t)(uint8_t)history.last_tx.code
                                        << WR_WOLFSSL_ALERT_SHIFT;
    }
}

int wr_wolfssl_on_send(WOLFSSL *ssl, char *buf, int size, void *arg)
{
    struct wr_tls_conn *conn = arg;

    (void)ssl;
    wr_debug_assert(ssl == conn->ssl && size > 0);
    return conn->events->put(conn, (uint8_t *)buf, (size_t)size) == 0
               ? size
               : WOLFSSL_CBIO_ERR_GENERAL;
}

int wr_wolfssl_on_send_first(WOLFSSL *ssl, char *buf, int size, void *arg)
{
    struct wr_tls_conn *conn = arg;

    wr_assert(ssl == conn->ssl);
    callback_note_alert(conn);
    return wr_wolfssl_on_send(ssl, buf, size, arg);
}

/* Returns true if weir itself has checked what wolfSSL's error for the leaf is
 * about. Other errors are final, for example an unusable key. */
static bool callback_overrules(struct wr_tls_conn *conn, int error)
{
    static const int others[] = {
        0,
        ASN_NO_SIGNER_E,
        ASN_SELF_SIGNED_E,
        ASN_PATHLEN_SIZE_E,
    };

    wr_assert(error <= 0);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        if (others[i] == error) {
            return true;
        }
    }
    const int err = wr_wolfssl_code_of(error);
    conn->events->refused(conn,
                          err == WEIR_ETLSPROTOCOL ? WEIR_ETLSBADCERT : err,
                          wr_wolfssl_text_of(error));
    return false;
}

/* @error is wolfSSL's, or 0 if wolfSSL accepts the certificate. */
static bool callback_judge(struct wr_tls_conn *conn,
                           const WOLFSSL_X509_STORE_CTX *store, int error)
{
    struct wr_bytes certs[WR_X509_CHAIN_MAX + 1];
    const size_t count =
        wr_min_u64((unsigned)store->totalCerts, WR_X509_CHAIN_MAX + 1);
    uint8_t alert = 0; /* the engine replaces wolfSSL's alert */

    for (size_t i = 0; i < count; i++) {
        certs[i] = (struct wr_bytes){.data = store->certs[i].buffer,
                                     .size = store->certs[i].length};
    }
    if (!conn->events->chain(conn, certs, count, &alert)) {
        return false;
    }
    wr_assert(store->error_depth >= 0);
    const bool is_last = store->error_depth == 0;
    const bool verifies = conn->flags & WR_WOLFSSL_VERIFIES;
    const bool demands = conn->flags & WR_WOLFSSL_DEMANDS;
    wolfSSL_set_verify(wr_wolfssl_of(conn),
                       is_last ? wr_wolfssl_mode(verifies, demands)
                               : WOLFSSL_VERIFY_NONE,
                       wr_wolfssl_on_certificate);
    return !is_last || callback_overrules(conn, error);
}

int wr_wolfssl_on_certificate(int is_good, WOLFSSL_X509_STORE_CTX *store)
{
    struct wr_tls_conn *conn = store->userCtx;
    uint8_t alert = 0;

    wr_assert(is_good || store->error != 0);
    if (store->totalCerts > 0) {
        return callback_judge(conn, store, is_good ? 0 : store->error);
    }
    /* chain() accepts a client without a certificate. If the settings demand a
     * certificate, wolfSSL refuses the client, with TLS 1.2 later. */
    return is_good && conn->events->chain(conn, NULL, 0, &alert);
}

#ifdef WOLFSSL_PUBLIC_ASN

/* wolfSSL does not install the header that declares this function. */
void wolfSSL_CTX_SetProcessPeerCertCb(WOLFSSL_CTX *ctx,
                                      int (*callback)(WOLFSSL *,
                                                      DecodedCert *));

/* Replaces a certificate that wolfSSL cannot parse by a minimal certificate
 * with only the key. */
static void callback_replace(DecodedCert *cert)
{
    static __thread uint8_t bare[WR_X509_BARE_MAX]; /* until the next call */
    struct wr_x509 x509;
    void *heap = cert->heap;

    wr_assert(cert->source != NULL);
    if (wr_x509_read(&x509, cert->source, cert->maxIdx) < 0 ||
        x509.key_info.size > WR_X509_BARE_KEY_MAX) {
        return; /* weir refuses the certificate if a path needs it */
    }
    const size_t size = wr_x509_bare_make(bare, x509.key_info);
    wc_FreeDecodedCert(cert);
    wc_InitDecodedCert(cert, bare, (word32)size, heap);
    wr_ignore(wc_ParseCert(cert, CERT_TYPE, NO_VERIFY, NULL) != 0);
}

/* Called when wolfSSL has parsed a certificate, or failed to. wolfSSL needs
 * nothing of an issuer, and only the key of the leaf. Whatever this function
 * returns, wolfSSL calls wr_wolfssl_on_certificate() next if it verifies the
 * peer at all. */
static int callback_read(WOLFSSL *ssl, DecodedCert *cert)
{
    wr_assert(ssl && cert);
    if (!(callback_conn(ssl)->flags & WR_WOLFSSL_VERIFIES)) {
        return NOT_COMPILED_IN; /* keep wolfSSL's result */
    }
    if (!cert->publicKey) {
        callback_replace(cert);
    }
    return ASN_NO_SIGNER_E;
}

void wr_wolfssl_use_chain(WOLFSSL_CTX *ctx)
{
    wolfSSL_CTX_SetProcessPeerCertCb(ctx, callback_read);
}

#else

void wr_wolfssl_use_chain(WOLFSSL_CTX *ctx)
{
    wr_assert(ctx != NULL);
}

#endif

/* Must be set, because wolfSSL stores the name that a client requests only if
 * there is a callback. */
int wr_wolfssl_on_name(WOLFSSL *ssl, int *ret_alert, void *arg)
{
    (void)ret_alert;
    (void)arg;
    wr_assert(ssl);
    return 0;
}

_Static_assert((int)WR_TLS_TICKET_NAME == WOLFSSL_TICKET_NAME_SZ,
               "the name of a key has its place in a ticket");
_Static_assert((int)WR_TLS_TICKET_IV == WOLFSSL_TICKET_IV_SZ,
               "nonce and time have their place in a ticket");
_Static_assert((int)WR_TLS_TICKET_TAG <= WOLFSSL_TICKET_MAC_SZ,
               "a tag has its place in a ticket");

/* If the settings verify clients, tickets also contain the client's identifier,
 * after wolfSSL's part. */
static bool callback_knows_clients(const struct wr_tls_conn *conn)
{
    wr_assert(conn->is_server);
    return conn->flags & WR_WOLFSSL_VERIFIES;
}

static bool callback_open_ticket(struct wr_tls_conn *conn,
                                 const struct wr_tls_ticket *ticket,
                                 int *ret_size)
{
    if (ticket->size == 0 || !conn->events->ticket_open(conn, ticket)) {
        return false;
    }
    if (!callback_knows_clients(conn)) {
        return true;
    }
    if (ticket->size <= WR_TLS_TICKET_CLIENT) {
        return false;
    }
    const size_t size = ticket->size - WR_TLS_TICKET_CLIENT;
    *ret_size = (int)size;
    return conn->events->ticket_known(conn, ticket->data + size);
}

static int callback_seal_ticket(struct wr_tls_conn *conn,
                                const struct wr_tls_ticket *ticket, int room,
                                int *ret_size)
{
    struct wr_tls_ticket whole = *ticket;
    const bool has_client = callback_knows_clients(conn);

    wr_assert(ticket->size > WR_TLS_TICKET_CLIENT);
    if (has_client &&
        (room < (int)WR_TLS_TICKET_CLIENT ||
         conn->events->ticket_client(conn, ticket->data + ticket->size) < 0)) {
        /* wolfSSL was built with less space (WOLFSSL_TICKET_EXTRA_PADDING_SZ),
         * or memory ran out. An error would end the handshake. Instead, zeros
         * make the ticket unusable: the time in it is older than any
         * lifetime. */
        memset(ticket->data, 0, ticket->size);
    } else if (has_client) {
        whole.size += WR_TLS_TICKET_CLIENT;
        *ret_size = (int)whole.size;
    }
    return conn->events->ticket_seal(conn, &whole);
}

/* After a refused ticket a full handshake follows. The size of a ticket to open
 * comes from the client and may be 0. */
/* NOLINTNEXTLINE(readability-function-size): wolfSSL sets the parameters */
int wr_wolfssl_on_ticket(WOLFSSL *ssl, unsigned char *name, unsigned char *iv,
                         unsigned char *mac, int seals, unsigned char *data,
                         int size, int *ret_size, void *arg)
{
    struct wr_tls_conn *conn = callback_conn(ssl);
    const struct wr_tls_ticket ticket = {
        .name = name,
        .iv = iv,
        .tag = mac,
        .data = data,
        .size = (size_t)size,
    };

    (void)arg;
    wr_assert(size >= 0 && (size > 0 || !seals));
    const int room = *ret_size - size; /* space after a sealed ticket */
    *ret_size = size;
    if (!seals) {
        return callback_open_ticket(conn, &ticket, ret_size)
                   ? WOLFSSL_TICKET_RET_OK
                   : WOLFSSL_TICKET_RET_REJECT;
    }
    memset(mac, 0, WOLFSSL_TICKET_MAC_SZ);
    return callback_seal_ticket(conn, &ticket, room, ret_size) == 0
               ? WOLFSSL_TICKET_RET_OK
               : WOLFSSL_TICKET_RET_FATAL;
}

int wr_wolfssl_on_session(WOLFSSL *ssl, const unsigned char *ticket, int size,
                          void *arg)
{
    struct wr_tls_conn *conn = arg;

    (void)ticket;
    wr_assert(ssl == conn->ssl && size >= 0);
    conn->events->ticket_came(conn, (size_t)size);
    return 0;
}

#ifdef HAVE_SECRET_CALLBACK

/* Reports TLS 1.3 secrets, except those of early data, which weir does not
 * send. */
static int callback_secret(WOLFSSL *ssl, int id, const unsigned char *secret,
                           int size, void *arg)
{
    static const struct {
        int id;
        enum wr_tls_secret_kind kind;
    } kinds[] = {
        {CLIENT_HANDSHAKE_TRAFFIC_SECRET, WR_TLS_SECRET_CLIENT_HANDSHAKE},
        {SERVER_HANDSHAKE_TRAFFIC_SECRET, WR_TLS_SECRET_SERVER_HANDSHAKE},
        {CLIENT_TRAFFIC_SECRET, WR_TLS_SECRET_CLIENT_DATA},
        {SERVER_TRAFFIC_SECRET, WR_TLS_SECRET_SERVER_DATA},
        {EXPORTER_SECRET, WR_TLS_SECRET_EXPORTER},
    };
    struct wr_tls_conn *conn = arg;

    wr_assert(ssl == conn->ssl && size >= 0);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (kinds[i].id == id) {
            return conn->events->secret(conn, kinds[i].kind, secret,
                                        (size_t)size);
        }
    }
    return 0;
}

static int callback_master(WOLFSSL *ssl, void *secret, int size, void *arg)
{
    struct wr_tls_conn *conn = arg;

    wr_assert(ssl == conn->ssl && size >= 0);
    return conn->events->secret(conn, WR_TLS_SECRET_MASTER, secret,
                                (size_t)size);
}

void wr_wolfssl_hear_secrets(struct wr_tls_conn *conn)
{
    wr_ignore(wolfSSL_set_tls13_secret_cb(wr_wolfssl_of(conn), callback_secret,
                                          conn) !=
              WOLFSSL_SUCCESS); /* fails only for NULL */
}

int wr_wolfssl_log_keys(struct wr_tls_conn *conn)
{
    wr_wolfssl_hear_secrets(conn);
    return wolfSSL_set_secret_cb(wr_wolfssl_of(conn), callback_master, conn) ==
                   WOLFSSL_SUCCESS
               ? 0
               : WEIR_ETLSENGINE;
}

#else

void wr_wolfssl_hear_secrets(struct wr_tls_conn *conn)
{
    wr_assert(conn->ssl);
}

int wr_wolfssl_log_keys(struct wr_tls_conn *conn)
{
    wr_assert(conn->ssl);
    return WEIR_ETLSENGINE;
}

#endif
