/*
 * The check of the handshake's unsealed messages by weir: of the shares of the
 * key exchange (point.h), of the algorithm of a client's signature in TLS 1.2,
 * and of forms that wolfSSL accepts, or refuses without an alert. Pure.
 *
 * A message that passes here is not thereby right; wolfSSL reads all of it.
 */
#ifndef WEIR_LIB_TLS_ENGINE_MESSAGE_H
#define WEIR_LIB_TLS_ENGINE_MESSAGE_H

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
    bool is_server : 1;       /* the reader is; set by the user */
    bool was_asked_again : 1; /* client: a HelloRetryRequest came */
    bool names_session : 1;   /* server: a ticket in a hello of the client's may
                               * be an identifier of a session */
    /* server: of its ServerKeyExchange; set by the user, 0: none was sent */
    uint16_t group;
    uint16_t best;   /* server: its highest version; set by the user */
    uint16_t scheme; /* server: of a CertificateVerify; 0: none came */
    uint16_t suites; /* client: a bit for each that its hello offers */
    uint64_t types;  /* client: of its hello's extensions; 0: not known */
};

/* Why a message is refused. */
struct wr_tls_message_fault {
    uint8_t alert;    /* for the peer; 0: it is not refused */
    const char *text; /* a sentence */
    bool is_version;  /* there is no version in common; else a breach */
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

/* Notes what the client's own hello offers, from @size bytes that it sends. One
 * that comes in several parts is passed over: then its peer's hello is not held
 * against it. */
void wr_tls_message_note_own(struct wr_tls_message_facts *facts,
                             const uint8_t *data, size_t size);

/* The kind of key that signs by a scheme (SignatureScheme of RFC 8446, and
 * SignatureAndHashAlgorithm of RFC 5246) over SHA-256 or a longer hash;
 * WR_X509_KEY_OTHER: none. */
enum wr_x509_key_kind wr_tls_message_key_of(uint16_t scheme);

#endif
