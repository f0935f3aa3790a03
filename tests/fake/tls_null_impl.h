/*
 * Declarations shared by the files of the backend without cryptography:
 * tls_null.c has the handshakes and the table, tls_null_record.c the bytes and
 * the steps behind the handshake, tls_null_key.c sums, keys and certificates.
 */
#ifndef WEIR_TESTS_FAKE_TLS_NULL_IMPL_H
#define WEIR_TESTS_FAKE_TLS_NULL_IMPL_H

#include "tests/fake/tls_null.h"

enum {
    NULL_CHANGE = 20, /* types of records */
    NULL_ALERT = 21,
    NULL_HANDSHAKE = 22,
    NULL_DATA = 23,

    NULL_CLOSE_NOTIFY = 0, /* alerts */
    NULL_UNEXPECTED = 10,
    NULL_BAD_RECORD = 20,
    NULL_OVERFLOW = 22,
    NULL_REFUSED = 40,
    NULL_BAD_CERTIFICATE = 42,
    NULL_ILLEGAL = 47,
    NULL_MALFORMED = 50,
    NULL_DECRYPT = 51,
    NULL_VERSION = 70,
    NULL_INTERNAL = 80,
    NULL_NO_CERTIFICATE = 116,
    NULL_NO_PROTOCOL = 120,

    NULL_HEADER = 5,
    NULL_BODY = (16 << 10) + 256, /* the most of a record */
    NULL_PLAIN = 16 << 10,        /* and of what is in it */
    NULL_WARNINGS = 5,
    NULL_PROOF = 32,  /* of a Finished, a signature, a ticket */
    NULL_SECRET = 48, /* the longest one */
    NULL_GROUP = 29,
    NULL_SUITES = 9,
    NULL_CERTIFICATES = 8, /* of a chain */
    NULL_CHAIN = 15 << 10, /* bytes of a chain: it fits one record */
};

enum {
    NULL_EXTENSION_NAME = 0,
    NULL_EXTENSION_GROUPS = 10,
    NULL_EXTENSION_POINTS = 11,
    NULL_EXTENSION_SCHEMES = 13,
    NULL_EXTENSION_PROTOCOLS = 16,
    NULL_EXTENSION_MASTER = 23,
    NULL_EXTENSION_SHARED_KEY = 41,
    NULL_EXTENSION_EARLY = 42,
    NULL_EXTENSION_VERSION = 43,
    NULL_EXTENSION_MODES = 45,
    NULL_EXTENSION_SHARES = 51,

    NULL_TICKET_FRONT =
        WR_TLS_TICKET_NAME + WR_TLS_TICKET_IV + WR_TLS_TICKET_TAG,
    NULL_TICKET_CLIENT = NULL_SECRET + 2, /* a flag, and who the client is */
    NULL_TICKET_DATA = NULL_TICKET_CLIENT + 1 + WR_TLS_TICKET_CLIENT,
};

struct wr_tls_credential {
    struct wr_bytes certs[NULL_CERTIFICATES]; /* malloc()'s */
    size_t count;
    size_t chain_bytes;
    struct wr_bytes key_info; /* of the leaf */
    enum wr_x509_key_kind kind;
    bool has_key;
    struct wr_tls_signer *signer;
};

struct wr_tls_shared {
    struct wr_tls_settings settings; /* without its pointers */
    uint16_t suites[NULL_SUITES];    /* ended by 0 */
};

struct wr_tls_known {
    uint8_t secret[NULL_SECRET];
    uint16_t suite;
    size_t size;
    uint8_t ticket[512];
};

struct null_account {
    struct wr_tls_account account; /* first */
    struct wr_block *sealing;      /* the record that put() is given */
    struct wr_block *claimed;
};

/* The keys of one direction. */
struct null_keys {
    bool is_on;
    size_t secret_size;
    uint8_t secret[NULL_SECRET];
    uint8_t key[32];
    uint8_t iv[WR_TLS_AEAD_NONCE];
    uint64_t number; /* of the next record */
};

struct null_own {
    const struct wr_tls_shared *shared;
    const struct wr_tls_credential *credential;
    bool verifies;
    bool demands;
    bool tells_secrets;
    bool is_open;
    bool is_asked; /* client: for a certificate */
    bool is_resumed;
    bool has_ended; /* the peer's close_notify was read */
    bool lacks;     /* put() or take() has failed */
    uint32_t wants; /* a bit for each message that may come */
    uint16_t version;
    uint16_t suite;
    uint16_t suites[NULL_SUITES];
    uint64_t transcript;
    uint8_t randoms[2][32]; /* the client's, the server's */
    uint8_t session[32];
    size_t session_size;
    struct wr_tls_known known; /* used or offered; size 0: none */
    char name[256];            /* "": none */
    const char *protocols;     /* a client's offer, or a server's choice */
    size_t protocols_len;
    char protocol[256]; /* the one that was chosen */
    size_t protocol_len;
    struct wr_bytes leaf; /* the peer's key, malloc()'s */
    struct null_keys in;
    struct null_keys out;
    unsigned warnings; /* one behind the other */
    int16_t alert_received;
    int16_t alert_sent;
    /* The present record. */
    uint8_t header[NULL_HEADER];
    size_t header_fill;
    size_t body_size;
    size_t body_fill;
    uint8_t *body; /* NULL: none at hand */
    size_t plain_at;
    size_t plain_left;
};

static inline struct null_own *null_own_of(const struct wr_tls_conn *conn)
{
    return conn->own;
}

/* ---- tls_null_key.c ---- */

/* A sum goes on with these bytes; bytes made from a sum. */
uint64_t null_sum(uint64_t sum, const void *data, size_t size);
void null_fill(uint64_t sum, uint8_t *ret, size_t size);
/* Bytes that both sides make, of a connection's randoms and a label. */
void null_derive(const struct null_own *own, const char *label, uint8_t *ret,
                 size_t size);
bool null_is_rsa_suite(uint16_t suite);
size_t null_secret_size(uint16_t suite);
enum wr_tls_aead_kind null_kind_of(uint16_t suite);
/* Writes the numbers of IANA's names; false: there are none. */
bool null_read_suites(const char *names, uint16_t ret[NULL_SUITES]);

WR_TLS_BACKEND_ENTRIES(WR_TLS_BACKEND_DECLARE, null)

/* ---- tls_null_record.c ---- */

/* Uses a secret for a direction, from the next record on. */
void null_use(struct null_own *own, struct null_keys *keys,
              const uint8_t *secret, size_t size);
/* Sends bytes in records of this type. */
bool null_send(struct wr_tls_conn *conn, uint8_t type, const void *data,
               size_t len);
/* Sends an alert, and fails by @code. */
int null_fail(struct wr_tls_conn *conn, uint8_t alert, int code);
/* Reads one record of the peer: > 0: its type, with the body at ->body +
 * ->plain_at; else the result of a step. */
int null_take_record(struct wr_tls_conn *conn);

/* ---- tls_null.c ---- */

/* Takes the messages of a record: 0 or WR_TLS_STEP_FAILED. */
int null_take_messages(struct wr_tls_conn *conn);
/* ---- tls_null_send.c: false: there is no memory, or ->code says why ---- */

bool null_send_client_hello(struct wr_tls_conn *conn);
bool null_send_server_flight(struct wr_tls_conn *conn, bool has_master);
/* The flight that ends a side's part of the handshake. */
bool null_send_last_flight(struct wr_tls_conn *conn);
/* Sends a KeyUpdate, and uses the keys behind it. */
bool null_send_update(struct wr_tls_conn *conn, bool asks);

/* Makes a secret, reports it, and uses it for @keys unless they are NULL. */
bool null_change_secret(struct wr_tls_conn *conn, enum wr_tls_secret_kind kind,
                        struct null_keys *keys);
/* TLS 1.2: uses the keys behind a change_cipher_spec. */
void null_use_master(struct null_own *own, struct null_keys *keys,
                     bool of_server);

/* True if this is the proof of all messages so far, by this key. */
bool null_is_proof(const struct null_own *own, const char *label,
                   struct wr_bytes key, struct wr_bytes sent);
bool null_is_signature(const struct null_own *own, struct wr_bytes body);

#endif
