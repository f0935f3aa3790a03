/*
 * The seam between weir's TLS and the library that does the cryptography and
 * runs the protocol: a table of functions for each library (a backend), and the
 * functions by which it calls weir.
 *
 *     contexts, engine, filter        weir's: options, files, paths, verdicts,
 *          |            ^             names, ticket keys, states, errors, bytes
 *     wr_tls_backend  wr_tls_events
 *          v            |
 *     lib/tls/wolfssl, lib/tls/openssl
 *
 * No other file names a library. weir alone decides about certificates: a
 * backend has no authorities, hands the peer's chain up, and obeys. weir also
 * reads the client's first message before the backend gets a byte of it, and
 * chooses certificate and protocol by it; a backend chooses neither.
 *
 * Errors: a function returns 0, -ENOMEM, -EINVAL, -EOPNOTSUPP or a WEIR_ETLS
 * code. Nothing needs to be freed after an error. The steps of a connection
 * return less, and leave a code and the library's number in the connection.
 *
 * Threads: contexts and credentials are constant once they are made and shared
 * by connections on several threads, which may also open and close at the same
 * time. A connection belongs to one thread at a time. A session may be freed on
 * any thread. Primitives keep no state and run on any thread.
 */
#ifndef WEIR_LIB_TLS_BACKEND_BACKEND_H
#define WEIR_LIB_TLS_BACKEND_BACKEND_H

#include "lib/x509/strength.h"
#include "uring/block.h"

#include <weir/base.h>

struct wr_tls_account;
struct wr_tls_conn;
struct wr_tls_credential; /* a backend's: certificates and their key */
struct wr_tls_known;      /* a backend's: a session that can be resumed */
struct wr_tls_shared;     /* a backend's: the common part of connections */
struct wr_tls_verdict;

/* Numbers of versions on the wire. */
enum {
    WR_TLS_VERSION_1_2 = 0x0303,
    WR_TLS_VERSION_1_3 = 0x0304,
};

/* Each block of output begins with as many free bytes, in which the filter has
 * its header; and a record that wolfSSL seals in a block begins here. */
#define WR_TLS_OUTPUT_OFFSET 27u

/* The most plaintext bytes of a sent record. The record, its buffer's header
 * and wolfSSL's overhead fit a block of 16 KiB. */
#define WR_TLS_RECORD_MAX ((16u << 10) - 128u)

/* A bit for each task that a backend does itself, or weir without the bit. */
enum {
    /* Skips early data that it cannot open (RFC 8446, 4.2.10), up to 16 KiB;
     * else the engine does, by expand(), open_sealed() and the event
     * secret(). */
    WR_TLS_DOES_SKIP_EARLY = 1 << 0,
    /* Sends the alert that the event chain() names; else the engine replaces
     * the alert that the backend sends, by the event secret(). */
    WR_TLS_DOES_ALERT = 1 << 1,
    /* Server, TLS 1.3: sends a change_cipher_spec behind its first message if
     * the client's hello has a session identifier (RFC 8446, D.4). */
    WR_TLS_DOES_CHANGE = 1 << 2,
    /* Reports secrets, for a key log. */
    WR_TLS_DOES_SECRETS = 1 << 3,
    /* P-521 is among its groups of the key exchange; not every build has it. */
    WR_TLS_DOES_P521 = 1 << 4,
    /* AES runs on instructions of the CPU; else ChaCha20 is preferred. */
    WR_TLS_DOES_FAST_AES = 1 << 5,
};

/* ---- memory ---- */

/* The memory of a loop's connections: the beginning of each backend's own
 * struct, which may count what its library allocates. It belongs to a loop, and
 * outlives its connections. Both fields are set by account_init(). */
struct wr_tls_account {
    const struct weir_allocator *allocator; /* the loop's */
    struct wr_blocks *blocks;
};

/* ---- primitives ---- */

enum { WR_TLS_HASH_MAX = 64 }; /* bytes of a hash, at most */

enum wr_tls_aead_kind {
    WR_TLS_AEAD_AES_128_GCM,
    WR_TLS_AEAD_AES_256_GCM,
    WR_TLS_AEAD_CHACHA20,
};

enum { WR_TLS_AEAD_NONCE = 12, WR_TLS_AEAD_TAG = 16 };

/* One message that is sealed or opened; @in and @out may be the same. */
struct wr_tls_aead {
    enum wr_tls_aead_kind kind;
    const uint8_t *key; /* 16 bytes with AES-128, else 32 */
    const uint8_t *nonce;
    struct wr_bytes beside; /* authenticated, not sealed */
    const uint8_t *in;
    uint8_t *out;
    size_t size;  /* of both */
    uint8_t *tag; /* written by seal(), read by open_sealed() */
};

/* Ways from a password to a key. */
enum wr_tls_derive_kind {
    WR_TLS_DERIVE_MD5,         /* EVP_BytesToKey() of OpenSSL, of one round */
    WR_TLS_DERIVE_PBKDF2_SHA1, /* RFC 8018, 5.2 */
    WR_TLS_DERIVE_PBKDF2_SHA256,
    WR_TLS_DERIVE_PBKDF2_SHA384,
    WR_TLS_DERIVE_PBKDF2_SHA512,
};

enum { WR_TLS_DERIVED_MAX = 32, WR_TLS_CBC_BLOCK = 16 };

struct wr_tls_derive {
    enum wr_tls_derive_kind kind;
    struct wr_bytes password;
    struct wr_bytes salt;
    uint32_t rounds;
    uint8_t *out;
    size_t size; /* at most WR_TLS_DERIVED_MAX */
};

/* A signature that is verified. The key is of the signature's kind, which was
 * compared before. */
struct wr_tls_signed {
    const struct wr_x509_signature_kind *kind;
    struct wr_bytes key_info;       /* a SubjectPublicKeyInfo with its header */
    struct wr_x509_rsa_numbers rsa; /* of an RSA key; else empty */
    struct wr_bytes message;        /* the hash; with Ed25519 the whole body */
    struct wr_bytes bits;           /* the signature; with ECDSA in DER */
};

/* A key that is not here: weir's, for a backend that signs by it. The struct
 * outlives the credentials that have it. */
struct wr_tls_signer {
    /* Signs @hash as @kind says, with a salt as long as the hash and the same
     * hash for the mask if it is PSS. Returns the bytes of the signature, at
     * most @size, which was verified; or WEIR_ETLSSIGN, with which the
     * handshake ends. It may take long. */
    int (*sign)(struct wr_tls_signer *signer,
                const struct wr_x509_signature_kind *kind, struct wr_bytes hash,
                uint8_t *ret, size_t size);
};

/* ---- settings of contexts and connections ---- */

/* All that connections have in common. The context keeps none of the pointers
 * but @credential, which outlives it. */
struct wr_tls_settings {
    bool is_server;
    bool has_1_2; /* the versions that may be agreed on: one of them, or both */
    bool has_1_3;
    /* IANA's names of cipher suites, separated by colons, the preferred first;
     * of suites.h, and at least one for each version above. A server takes the
     * first one of its own list that the client has. */
    const char *suites;
    /* Groups for the key exchange, IANA's numbers, the preferred first. A
     * client sends a share for the first one, and if that is a hybrid one for
     * the first classical one, too. */
    const uint16_t *groups;
    size_t group_count;
    /* The event chain() is called; false: no certificate is asked for (server),
     * or any is taken, and chain() is not called (client). */
    bool verifies;
    /* Server that verifies: a client without a certificate is refused
     * (WEIR_ETLSNOCERT). */
    bool demands_certificate;
    /* Server: tickets are issued, one for each connection, both in TLS 1.2 and
     * 1.3, and taken; else neither. A client always takes tickets of TLS 1.3;
     * TLS 1.2's are asked for as well. Sessions are resumed only with a new key
     * exchange (psk_dhe_ke); there is no cache and no session identifier. */
    bool has_tickets;
    uint32_t ticket_lifetime; /* seconds */
    /* The event secret() is called for each secret of a key log. */
    bool logs_keys;
    /* A connection may show certificates whose key is a signer's. */
    bool has_signers;
    /* The certificates that a server shows unless show() says another one, and
     * that a client shows if asked. NULL: none; only a client's. */
    struct wr_tls_credential *credential;
};

/* One connection's own settings; borrowed during open(). */
struct wr_tls_peer {
    struct wr_tls_shared *shared;
    /* As in the settings of @shared. */
    struct wr_tls_credential *credential;
    bool verifies;
    bool demands_certificate;
    bool logs_keys;
    /* Client: the name to ask for (SNI), without a dot at its end, not a
     * literal address; NULL: none. */
    const char *name;
    /* Client: application protocols that are offered, names separated by
     * commas (1 to 32 of them, of 1 to 255 bytes each); NULL: none. If the
     * server chooses another one, the handshake fails (WEIR_ETLSALPN). */
    const char *protocols;
    /* Client: a session to resume; it is copied. NULL: none. One that is too
     * old is no error: a full handshake follows. */
    const struct wr_tls_known *session;
};

/* ---- connections ---- */

/* The beginning of the engine of a connection (engine.h). The engine sets the
 * first fields before open(); a backend owns the others. */
struct wr_tls_conn {
    const struct wr_tls_backend *backend;
    const struct wr_tls_events *events;
    struct wr_tls_account *account;
    struct wr_tls_verdict *verdict; /* the context's, on the peer */
    bool is_server;
    bool can_export; /* export_keys() may be called */

    /* Set by a step that returns WR_TLS_STEP_FAILED. */
    bool lacks_memory; /* an allocation has failed; else by `code` */
    int code;          /* a WEIR_ETLS code, or -ENOMEM */
    int number;        /* the library's, for text_of(); 0: it has no text */

    void *ssl;      /* the library's connection; NULL: not open */
    void *own;      /* a backend's own */
    uint32_t flags; /* a backend's own */
};

/* Results of the steps, besides 0 and numbers of bytes. */
enum {
    WR_TLS_STEP_WANTS = -1,  /* the event take() has nothing: wants input */
    WR_TLS_STEP_ENDED = -2,  /* the peer's close_notify was read */
    WR_TLS_STEP_FAILED = -3, /* `code` and `number` say why; for ever */
};

/* Beside the number of an alert: its level is a warning, or none. */
enum { WR_TLS_ALERT_WARNS = 1 << 8 };

/* Results of the event take(). */
enum {
    WR_TLS_TAKE_WAITS = -1,   /* no bytes now */
    WR_TLS_TAKE_REFUSED = -2, /* none any more: the step fails at once, sends
                               * nothing, and its code does not matter */
};

enum wr_tls_secret_kind {
    WR_TLS_SECRET_MASTER, /* TLS 1.2, of 48 bytes */
    WR_TLS_SECRET_CLIENT_HANDSHAKE,
    WR_TLS_SECRET_SERVER_HANDSHAKE,
    WR_TLS_SECRET_CLIENT_DATA,
    WR_TLS_SECRET_SERVER_DATA,
    WR_TLS_SECRET_EXPORTER,
};

/* Bytes of the parts of a ticket, and of the keys that seal them. */
enum {
    WR_TLS_TICKET_NAME = 16, /* of a key */
    WR_TLS_TICKET_SECRET = 32,
    WR_TLS_TICKET_KEY = 32, /* that is derived from a secret */
    WR_TLS_TICKET_NONCE = 12,
    WR_TLS_TICKET_IV = 16, /* the nonce and the time of sealing */
    WR_TLS_TICKET_TAG = 16,
    WR_TLS_TICKET_DIGEST = 32, /* of the name that a client asks for */
    WR_TLS_TICKET_CLIENT = 32, /* who the client is */
};

/* The keys by which a backend that seals tickets by itself does so, derived
 * from the secret of one of weir's keys. */
struct wr_tls_ticket_pair {
    uint8_t cipher[WR_TLS_TICKET_KEY];
    uint8_t mac[WR_TLS_TICKET_KEY];
};

/* A ticket whose parts weir fills, or opens. */
struct wr_tls_ticket {
    uint8_t *name; /* WR_TLS_TICKET_NAME */
    uint8_t *iv;   /* WR_TLS_TICKET_IV */
    uint8_t *tag;  /* WR_TLS_TICKET_TAG */
    uint8_t *data; /* sealed and opened in place */
    size_t size;
    const uint8_t *host; /* WR_TLS_TICKET_DIGEST, not in the ticket; weir's */
    bool has_client;     /* not in the ticket; weir's */
};

/* A backend's calls up, all of them from within a function of the connection,
 * on its thread. They may call show(), choose_protocol(), hear_secrets() and
 * facts of the same connection, nothing else of it. */
struct wr_tls_events {
    /* ---- the wire ---- */

    /* Copies up to @size received bytes to @buf: > 0: as many; or a result
     * above. A backend asks for a record's header of exactly 5 bytes, then for
     * exactly its body, in one call or several, and reads nothing ahead: weir
     * counts records, and refuses them, by these calls. (A header may come
     * changed, so that the backend refuses the record.) The end of the stream
     * is not reported: the engine sees it. */
    int (*take)(struct wr_tls_conn *conn, uint8_t *buf, size_t size);

    /* Takes @size bytes for the peer, all or nothing. 0 or -ENOMEM, and then
     * each later call fails. A backend without WR_TLS_DOES_ALERT or
     * WR_TLS_DOES_CHANGE puts each record by a call of its own, and the bytes
     * may be changed in place before they are copied. */
    int (*put)(struct wr_tls_conn *conn, uint8_t *data, size_t size);

    /* ---- the peer's certificates; only if the settings verify ---- */

    /* The certificates as the peer sent them, DER, the leaf first; borrowed.
     * @count 0: a client has sent none, though it was asked; this must be said.
     * Called before a signature by the leaf's key is verified, and not if a
     * session is resumed; it may be called again with the same chain, and
     * answers the same. True: accepted. False: the handshake fails by the alert
     * of this number, or, if that is 0, by the backend's own. Of an accepted
     * leaf a backend verifies nothing but that its key has signed the
     * handshake. */
    bool (*chain)(struct wr_tls_conn *conn, const struct wr_bytes *certs,
                  size_t count, uint8_t *ret_alert);

    /* The library cannot use the leaf that chain() accepted, for a reason of
     * its own: a code, and a text. Returns the alert by which the handshake
     * fails. */
    uint8_t (*refused)(struct wr_tls_conn *conn, int code, const char *text);

    /* ---- tickets; server ---- */

    /* For a backend that lets weir seal whole tickets: sealed and opened in
     * place. 0 or an error; false: not opened, a full handshake follows. */
    int (*ticket_seal)(struct wr_tls_conn *conn,
                       const struct wr_tls_ticket *ticket);
    bool (*ticket_open)(struct wr_tls_conn *conn,
                        const struct wr_tls_ticket *ticket);

    /* For a backend that seals by itself: the name of the key that seals now
     * and what is derived from it (0 or an error), or from the key of a name
     * (false: none). Not of one that was sealed longer ago than the ticket's
     * lifetime; a backend checks that. A ticket is good only for the name that
     * the client asked for when it was issued: a backend puts the digest below
     * into it, sealed or authenticated, and compares. */
    int (*ticket_key)(struct wr_tls_conn *conn,
                      uint8_t name[WR_TLS_TICKET_NAME],
                      struct wr_tls_ticket_pair *ret);
    bool (*ticket_find)(struct wr_tls_conn *conn,
                        const uint8_t name[WR_TLS_TICKET_NAME],
                        struct wr_tls_ticket_pair *ret);
    /* The digest of the name that this client asks for; zeros: none. 0, or an
     * error, with which no ticket is taken, and none is issued that ever
     * would be. */
    int (*ticket_host)(struct wr_tls_conn *conn, bool seals,
                       uint8_t ret[WR_TLS_TICKET_DIGEST]);

    /* If the settings verify: the bytes that a backend seals with a ticket, and
     * hands back when it has opened one. 0, or an error, with which no ticket
     * is issued; false: the ticket is not taken. It may take any of the tickets
     * that were taken, at any time, or none: all are of one client. */
    int (*ticket_client)(struct wr_tls_conn *conn,
                         uint8_t ret[WR_TLS_TICKET_CLIENT]);
    bool (*ticket_known)(struct wr_tls_conn *conn,
                         const uint8_t client[WR_TLS_TICKET_CLIENT]);

    /* ---- the rest ---- */

    /* Client: a ticket has come (@size > 0), which session_take() gives. */
    void (*ticket_came)(struct wr_tls_conn *conn, size_t size);

    /* A secret of the connection, if its settings log keys, or after
     * hear_secrets(). 0, or an error that ends the handshake. */
    int (*secret)(struct wr_tls_conn *conn, enum wr_tls_secret_kind kind,
                  const uint8_t *secret, size_t size);
};

/* ---- the table ---- */

struct wr_tls_export {
    const char *label;
    const void *context; /* NULL: none */
    size_t context_size;
    void *out;
    size_t size;
};

struct wr_tls_backend {
    const char *name;    /* "wolfSSL", "OpenSSL" */
    uint32_t does;       /* WR_TLS_DOES_* */
    size_t account_size; /* of its struct; at least struct wr_tls_account */

    /* ---- the library ---- */

    /* Starts the library for the process, once; any thread, any number of
     * calls. Precedes all other calls but version() and account_init(). 0 or
     * WEIR_ETLSENGINE. Afterwards no first use writes to variables of the
     * library that threads share. Nothing runs at exit(): threads may still
     * run. */
    int (*start)(void);
    /* Why start() has failed, static; NULL, or a result of NULL: nothing is
     * known. */
    const char *(*start_text)(void);
    const char *(*version)(void); /* of the library that runs: "5.7.2" */
    /* After start(): true if X25519MLKEM768 (4588) is among its groups. NULL:
     * it is not. */
    bool (*has_hybrid)(void);
    /* Of the source package that a library inside was built from; NULL: the
     * library is the system's. */
    const char *source;
    /* After start(): true if the configuration makes the library use a FIPS
     * module for all that it does. NULL: it has no such mode. */
    bool (*is_fips)(void);

    /* ---- accounts: no allocation of their own ---- */

    void (*account_init)(struct wr_tls_account *account,
                         struct wr_blocks *blocks);
    void (*account_fini)(struct wr_tls_account *account);
    void (*account_check)(const struct wr_tls_account *account);
    /* NULL, both: sealed records are copied. True if the record at @data, which
     * put() was just given, lies in a block of its own at WR_TLS_OUTPUT_OFFSET;
     * the block is then given by take_claimed() once the library has freed it,
     * which is before it seals the next record or returns. */
    bool (*claim)(struct wr_tls_account *account, const void *data);
    struct wr_block *(*take_claimed)(struct wr_tls_account *account);

    /* ---- primitives ---- */

    /* Returns the size of the hash, or -ENOMEM, -EOPNOTSUPP. */
    int (*hash)(enum wr_x509_hash kind, struct wr_bytes data,
                uint8_t ret[WR_TLS_HASH_MAX]);
    /* 0; -ENOMEM; -EOPNOTSUPP: the library lacks the algorithm; -EBADMSG: the
     * key has not signed this, or is none, or the library cannot tell which of
     * these. */
    int (*verify)(const struct wr_tls_signed *job);
    /* 0 or an error; open_sealed(): -EBADMSG if the message was not sealed so;
     * another error tells nothing about that. */
    int (*seal)(const struct wr_tls_aead *job);
    int (*open_sealed)(const struct wr_tls_aead *job);
    /* HKDF-Expand-Label of TLS 1.3, with "tls13 " before the label and no
     * context (RFC 8446, 7.1): SHA-256 or SHA-384. 0 or an error. */
    int (*expand)(enum wr_x509_hash kind, struct wr_bytes secret,
                  const char *label, uint8_t *ret, size_t size);

    /* For encrypted keys: 0, -ENOMEM, or -EOPNOTSUPP. */
    int (*derive)(const struct wr_tls_derive *job);
    /* Opens whole blocks in place by AES of 16, 24 or 32 bytes; padding stays.
     * 0, -ENOMEM, or -EOPNOTSUPP. */
    int (*open_cbc)(struct wr_bytes key, const uint8_t iv[WR_TLS_CBC_BLOCK],
                    uint8_t *data, size_t size);

    /* ---- own certificates ---- */

    /* Makes one of PEM texts, in this order: credential_new(), use_chain(),
     * use_key(), and check(). After an error of any of them it is freed. RSA of
     * less than 2048 bits and curves of less than 256 bits are refused
     * (WEIR_ETLSFILE). The texts are borrowed during the call. A key that is
     * kept is wiped when it is freed; a library may leave copies of it in freed
     * memory where it decodes the text. */
    int (*credential_new)(struct wr_tls_credential **ret); /* 0, -ENOMEM */
    /* The leaf first, then its issuers, which are sent as they stand. 0,
     * -ENOMEM or WEIR_ETLSFILE. */
    int (*credential_use_chain)(struct wr_tls_credential *credential,
                                const uint8_t *pem, size_t size);
    /* PKCS #8, or the older forms of RSA and EC. 0, -ENOMEM, WEIR_ETLSPASSWORD
     * for an encrypted key (no terminal is asked), WEIR_ETLSNOKEY. */
    int (*credential_use_key)(struct wr_tls_credential *credential,
                              const uint8_t *pem, size_t size);
    /* In the place of use_key(): the key is a signer's, and @key_info is the
     * leaf's SubjectPublicKeyInfo, of RSA or of a curve; both borrowed, the
     * signer for the life of the credential. 0, -ENOMEM, WEIR_ETLSFILE; or
     * -EOPNOTSUPP: the build cannot sign so by this kind of key. */
    int (*credential_use_signer)(struct wr_tls_credential *credential,
                                 struct wr_tls_signer *signer,
                                 struct wr_bytes key_info);
    /* 0; -ENOMEM; WEIR_ETLSMISMATCH: the key is not the leaf's; WEIR_ETLSENGINE
     * or WEIR_ETLSSIGN: it cannot sign; WEIR_ETLSWEAK: the library's own level
     * of security forbids it. What passes can be shown. */
    int (*credential_check)(struct wr_tls_credential *credential);
    void (*credential_free)(struct wr_tls_credential *credential); /* or NULL */

    /* ---- contexts ---- */

    /* 0, -ENOMEM; WEIR_ETLSCIPHERS, WEIR_ETLSGROUPS if the library has none of
     * a list; WEIR_ETLSVERSION if its configuration forbids the versions;
     * WEIR_ETLSENGINE. */
    int (*shared_new)(const struct wr_tls_settings *settings,
                      struct wr_tls_shared **ret);
    void (*shared_free)(struct wr_tls_shared *shared); /* or NULL */

    /* ---- a connection's life ---- */

    /* 0, -ENOMEM, WEIR_ETLSENGINE. After an error there is nothing to close. */
    int (*open)(struct wr_tls_conn *conn, const struct wr_tls_peer *peer);
    void (*close)(struct wr_tls_conn *conn); /* sends nothing */

    /* ---- steps. After each, also a failed one, output was put ---- */

    /* 0: done; else a result. */
    int (*handshake)(struct wr_tls_conn *conn);
    /* > 0: bytes of one record at most; else a result. @size is at most
     * INT_MAX. Tickets, key updates and the like are handled on the way. */
    int (*read)(struct wr_tls_conn *conn, void *buf, size_t size);
    /* Bytes of plaintext that read() gives without take(). */
    size_t (*pending)(const struct wr_tls_conn *conn);
    /* Seals one record, and puts it: 0 or WR_TLS_STEP_FAILED. @len is 1 to
     * WR_TLS_RECORD_MAX. To a client that asked for shorter records, of 512
     * bytes at least (max_fragment_length, RFC 6066, 4), it may be several. */
    int (*write)(struct wr_tls_conn *conn, const void *data, size_t len);
    /* Puts a close_notify, and does not wait for the peer's; reads go on. 0 or
     * WR_TLS_STEP_FAILED. Called once. */
    int (*shutdown)(struct wr_tls_conn *conn);
    /* TLS 1.3: new keys for sending at once, and asks the peer for its own. 0,
     * -EOPNOTSUPP with TLS 1.2, WR_TLS_STEP_FAILED. */
    int (*update_keys)(struct wr_tls_conn *conn);
    /* No step follows at once: gives buffers back. NULL: there are none. Called
     * at the end of each turn in which the connection was stepped, also in the
     * handshake and after a failure, but neither within a record nor while
     * plaintext is pending. */
    void (*rest)(struct wr_tls_conn *conn);

    /* ---- server: by the client's first message. Both are called within
     * take(), before the backend gets a byte of that message ---- */

    /* The connection shows these certificates from now on, which outlive it;
     * they may be another context's. @suites: names as in the settings, which
     * replace the connection's list, because the others are for another kind
     * of key; NULL: all stay. 0, -ENOMEM, WEIR_ETLSCIPHER. */
    int (*show)(struct wr_tls_conn *conn, struct wr_tls_credential *credential,
                const char *suites);
    /* The connection takes this application protocol; the client offers it. Or
     * @name is the whole list of the server (with commas), none of which the
     * client offers: the handshake fails with no_application_protocol
     * (WEIR_ETLSALPN) if the client offers any. @name is borrowed for the
     * connection's life. 0 or -ENOMEM. */
    int (*choose_protocol)(struct wr_tls_conn *conn, const char *name,
                           size_t len);
    /* Reports secrets of TLS 1.3 from now on; called before the handshake or
     * within take(), only with WR_TLS_DOES_SECRETS and without
     * WR_TLS_DOES_SKIP_EARLY or WR_TLS_DOES_ALERT. */
    void (*hear_secrets)(struct wr_tls_conn *conn);

    /* ---- facts; after the handshake, and after the end, unless they say
     * otherwise ---- */

    /* WR_TLS_VERSION_*; before it is agreed on: the highest one. */
    uint16_t (*get_version)(const struct wr_tls_conn *conn);
    /* IANA's number; also in the handshake, once it is chosen. */
    uint16_t (*get_suite)(const struct wr_tls_conn *conn);
    /* IANA's number of the group of the key exchange; 0: not known yet. In the
     * handshake a server's is known once its ServerKeyExchange was put. */
    uint16_t (*get_group)(const struct wr_tls_conn *conn);
    bool (*was_resumed)(const struct wr_tls_conn *conn);
    /* As long as the connection; NULL: none. */
    const char *(*get_protocol)(const struct wr_tls_conn *conn,
                                size_t *ret_len);
    /* Server: the name that the client asked for, ended by a NUL; as soon as
     * the hello was read. NULL: none. */
    const char *(*get_name)(const struct wr_tls_conn *conn);
    /* Of the newest alert that was received, with WR_TLS_ALERT_WARNS if it is
     * an error that its level calls no fatal one and that the library has
     * passed over; and of the first fatal one that was sent; -1: none. */
    void (*get_alerts)(const struct wr_tls_conn *conn, int *ret_received,
                       int *ret_sent);
    bool (*get_client_random)(const struct wr_tls_conn *conn, uint8_t ret[32]);
    /* RFC 5705 and RFC 8446, 7.5; only with can_export. weir has checked the
     * extended master secret of TLS 1.2. 0, -ENOMEM; -EINVAL also for a
     * reserved label. */
    int (*export_keys)(struct wr_tls_conn *conn,
                       const struct wr_tls_export *job);

    /* ---- sessions; client ---- */

    /* The newest session, after ticket_came(): 0 or -ENOMEM. Its memory is
     * malloc()'s; it may outlive the connection, and be used by several. */
    int (*session_take)(struct wr_tls_conn *conn, struct wr_tls_known **ret);
    void (*session_free)(struct wr_tls_known *session);

    /* ---- errors ---- */

    /* A text for a connection's `number`, static. */
    const char *(*text_of)(int number);
};

/* ---- the backends ---- */

/* The entries that each backend has, with a function of its own:
 * wr_wolfssl_open() and wr_openssl_open() are those of open(). Its header
 * declares them, with the types above, and its table names them. The program
 * that formats code would indent each entry behind the one before. */
/* clang-format off */
#define WR_TLS_BACKEND_ENTRIES(X, backend)                                    \
    X(backend, hash) X(backend, verify) X(backend, seal)                      \
    X(backend, open_sealed) X(backend, expand) X(backend, derive)             \
    X(backend, open_cbc) X(backend, credential_new)                           \
    X(backend, credential_use_chain) X(backend, credential_use_key)           \
    X(backend, credential_use_signer) X(backend, credential_check)            \
    X(backend, credential_free) X(backend, shared_new)                        \
    X(backend, shared_free) X(backend, open) X(backend, close)                \
    X(backend, handshake) X(backend, read) X(backend, pending)                \
    X(backend, write) X(backend, shutdown) X(backend, update_keys)            \
    X(backend, show) X(backend, choose_protocol) X(backend, get_version)      \
    X(backend, get_suite) X(backend, get_group) X(backend, was_resumed)       \
    X(backend, get_protocol) X(backend, get_name) X(backend, get_alerts)      \
    X(backend, get_client_random) X(backend, export_keys)                     \
    X(backend, session_take) X(backend, session_free) X(backend, text_of)
/* clang-format on */
#define WR_TLS_BACKEND_DECLARE(backend, entry)                                 \
    __typeof__(*wr_tls_##backend.entry) wr_##backend##_##entry;
#define WR_TLS_BACKEND_NAME(backend, entry) .entry = wr_##backend##_##entry,

extern const struct wr_tls_backend wr_tls_wolfssl; /* lib/tls/wolfssl */
extern const struct wr_tls_backend wr_tls_openssl; /* lib/tls/openssl */

/* The table that contexts, accounts and primitives take, the same one for the
 * whole life of the process: by_wolfssl.c or by_openssl.c, for which a test's
 * own file may stand. */
const struct wr_tls_backend *wr_tls_backend_get(void);

#endif
