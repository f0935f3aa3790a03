/*
 * Checks the handshake's unencrypted messages: the shares of the key exchange
 * (point.h), the algorithm of a client's signature in TLS 1.2, and malformed
 * messages that wolfSSL accepts, or refuses without an alert. Pure functions.
 *
 * A message that passes these checks may still be invalid; wolfSSL checks the
 * rest.
 */
#ifndef WEIR_LIB_TLS_ENGINE_MESSAGE_H
#define WEIR_LIB_TLS_ENGINE_MESSAGE_H

#include "lib/base/bytes.h"
#include "lib/x509/strength.h"

#include "weir/base.h"

enum {
    WR_TLS_MESSAGE_CLIENT_HELLO = 1,
    WR_TLS_MESSAGE_SERVER_HELLO = 2,
    WR_TLS_MESSAGE_SERVER_KEY = 12,
    WR_TLS_MESSAGE_VERIFY = 15,
    WR_TLS_MESSAGE_CLIENT_KEY = 16,

    WR_TLS_MESSAGE_HEADER = 4, /* bytes: the type, then a 3-byte length */
};

/* Facts from earlier messages. The user of this header sets the fields that are
 * marked "set by the user". */
struct wr_tls_message_facts {
    bool is_server : 1;        /* the reader is a server; set by the user */
    bool is_newest : 1;        /* a ServerHello has chosen TLS 1.3 */
    bool was_asked_again : 1;  /* a HelloRetryRequest was received or sent */
    bool gave_cookie : 1;      /* server: its HelloRetryRequest had a cookie */
    bool owes_hello : 1;       /* server: its next message is its hello */
    bool takes_compressed : 1; /* the own hello lists compressed points */
    bool names_session : 1; /* server: a ticket may be a session identifier */
    /* Server: group of its ServerKeyExchange, or 0; set by the user. */
    uint16_t group;
    uint16_t best;   /* own highest version; set by the user */
    uint16_t scheme; /* server: scheme of the CertificateVerify, or 0 */
    uint16_t suites; /* client: a bit for each suite that its hello offers */
    uint16_t asked_suite; /* client: suite of a HelloRetryRequest */
    uint16_t asked_group; /* server: group of a HelloRetryRequest, or 0 */
    uint64_t types;  /* client: extension types of its hello; 0 if not known */
    uint64_t groups; /* client: groups that its hello offers */
    uint64_t shares; /* client: groups of which its hello has a share */
    /* Server: the body of the client's hello, borrowed until
     * wr_tls_message_note_own() gets the server's hello. After a
     * HelloRetryRequest the user keeps the bytes until the second hello is
     * checked. */
    struct wr_bytes first;
    const uint16_t *own_groups; /* set by the user */
    size_t own_count;
};

struct wr_tls_message_fault {
    uint8_t alert;    /* alert for the peer; 0 if the message is not refused */
    const char *text; /* a sentence */
    int code;         /* an error WEIR_ETLS..., or 0 for a protocol violation */
};

bool wr_tls_message_is_checked(const struct wr_tls_message_facts *facts,
                               uint8_t type);

/* Returns the size of a message, including its header, from the header. */
size_t wr_tls_message_size(const uint8_t *header);

/* Checks a whole message, with its header, of a checked type. */
WEIR_MUST_USE struct wr_tls_message_fault
wr_tls_message_check(struct wr_tls_message_facts *facts, const uint8_t *data,
                     size_t size);

/* Stores the contents of our own hello from @size bytes that are sent. A
 * client's hello that is sent in several parts is ignored, and the server's
 * hello is then not compared with it. */
void wr_tls_message_note_own(struct wr_tls_message_facts *facts,
                             const uint8_t *data, size_t size);

/* Returns the kind of key that signs with a scheme (SignatureScheme of RFC
 * 8446, SignatureAndHashAlgorithm of RFC 5246) over SHA-256 or a longer hash,
 * else WR_X509_KEY_OTHER. */
enum wr_x509_key_kind wr_tls_message_key_of(uint16_t scheme);

/* ---- message_key.c: checks of a body, without the header ---- */

WEIR_MUST_USE struct wr_tls_message_fault
wr_tls_message_check_server_key(const struct wr_tls_message_facts *facts,
                                struct wr_bytes body);
WEIR_MUST_USE struct wr_tls_message_fault
wr_tls_message_check_client_key(const struct wr_tls_message_facts *facts,
                                struct wr_bytes body);
WEIR_MUST_USE struct wr_tls_message_fault
wr_tls_message_check_verify(struct wr_tls_message_facts *facts,
                            struct wr_bytes body);

/* Returns true if the body of a second hello differs from ->first only as the
 * HelloRetryRequest allows: ->asked_group, ->gave_cookie (RFC 8446, 4.1.2).
 * Both must be well-formed. Defined in retry.c. */
WEIR_MUST_USE bool wr_tls_retry_allows(const struct wr_tls_message_facts *facts,
                                       struct wr_bytes second);

#endif
