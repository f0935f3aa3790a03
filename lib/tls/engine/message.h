/*
 * The check of the handshake's unsealed messages by weir: of the shares of the
 * key exchange (point.h), of the algorithm of a client's signature in TLS 1.2,
 * and of forms that wolfSSL accepts, or refuses without an alert. Pure.
 *
 * A message that passes here is not thereby right; wolfSSL reads all of it.
 */
#ifndef WEIR_LIB_TLS_ENGINE_MESSAGE_H
#define WEIR_LIB_TLS_ENGINE_MESSAGE_H

#include "lib/base/bytes.h"
#include "lib/x509/strength.h"

#include "weir/base.h"

/* Types of messages. */
enum {
    WR_TLS_MESSAGE_CLIENT_HELLO = 1,
    WR_TLS_MESSAGE_SERVER_HELLO = 2,
    WR_TLS_MESSAGE_SERVER_KEY = 12,
    WR_TLS_MESSAGE_VERIFY = 15,
    WR_TLS_MESSAGE_CLIENT_KEY = 16,

    WR_TLS_MESSAGE_HEADER = 4, /* bytes: the type, and a length of 3 */
};

/* Facts from earlier messages. */
struct wr_tls_message_facts {
    bool is_server : 1;        /* the reader is; set by the user */
    bool is_newest : 1;        /* a hello of the server's has chosen TLS 1.3 */
    bool was_asked_again : 1;  /* a HelloRetryRequest came, or was sent */
    bool gave_cookie : 1;      /* server: with a cookie */
    bool owes_hello : 1;       /* server: its hello is its next message */
    bool takes_compressed : 1; /* the own hello names compressed points */
    bool names_session : 1; /* server: a ticket in a hello of the client's may
                             * be an identifier of a session */
    /* server: of its ServerKeyExchange; set by the user, 0: none was sent */
    uint16_t group;
    uint16_t best;        /* the own highest version; set by the user */
    uint16_t scheme;      /* server: of a CertificateVerify; 0: none came */
    uint16_t suites;      /* client: a bit for each that its hello offers */
    uint16_t asked_suite; /* client: of a HelloRetryRequest */
    uint16_t asked_group; /* server: of a HelloRetryRequest; 0: of none */
    uint64_t types;       /* client: of its hello's extensions; 0: not known */
    uint64_t groups;      /* client: that its hello offers */
    uint64_t shares;      /* client: of which its hello has a share */
    /* Server: the body of the client's hello, borrowed until the server's own
     * hello was noted. If that asks for another one the user keeps the bytes
     * until it was checked. */
    struct wr_bytes first;
    const uint16_t *own_groups; /* set by the user */
    size_t own_count;
};

/* Why a message is refused. */
struct wr_tls_message_fault {
    uint8_t alert;    /* for the peer; 0: it is not refused */
    const char *text; /* a sentence */
    int code;         /* one of WEIR_ETLS; 0: a breach of the protocol */
};

/* True if messages of this type are checked. */
bool wr_tls_message_is_checked(const struct wr_tls_message_facts *facts,
                               uint8_t type);

/* The size of a message with its header, from the header. */
size_t wr_tls_message_size(const uint8_t *header);

/* Checks a whole message, with its header, of a type that is checked. */
WEIR_MUST_USE struct wr_tls_message_fault
wr_tls_message_check(struct wr_tls_message_facts *facts, const uint8_t *data,
                     size_t size);

/* Notes what the own hello says, from @size bytes that are sent. A client's
 * that comes in several parts is passed over: then its peer's hello is not held
 * against it. */
void wr_tls_message_note_own(struct wr_tls_message_facts *facts,
                             const uint8_t *data, size_t size);

/* The kind of key that signs by a scheme (SignatureScheme of RFC 8446, and
 * SignatureAndHashAlgorithm of RFC 5246) over SHA-256 or a longer hash;
 * WR_X509_KEY_OTHER: none. */
enum wr_x509_key_kind wr_tls_message_key_of(uint16_t scheme);

/* ---- message_key.c: of these, without the header ---- */

WEIR_MUST_USE struct wr_tls_message_fault
wr_tls_message_check_server_key(const struct wr_tls_message_facts *facts,
                                struct wr_bytes body);
WEIR_MUST_USE struct wr_tls_message_fault
wr_tls_message_check_client_key(const struct wr_tls_message_facts *facts,
                                struct wr_bytes body);
WEIR_MUST_USE struct wr_tls_message_fault
wr_tls_message_check_verify(struct wr_tls_message_facts *facts,
                            struct wr_bytes body);

/* ---- retry.c ---- */

/* True if the body of a second hello differs from ->first only where the
 * request allows it: ->asked_group, ->gave_cookie (RFC 8446, 4.1.2). Both are
 * well-formed. */
WEIR_MUST_USE bool wr_tls_retry_allows(const struct wr_tls_message_facts *facts,
                                       struct wr_bytes second);

#endif
