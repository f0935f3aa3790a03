/*
 * The interface between weir's TLS and the library that does the cryptography
 * and runs the protocol: a table of functions for each library (a backend), and
 * functions of weir that the backend calls (events).
 *
 *     contexts, engine, filter        weir's: options, files, paths, verdicts,
 *          |            ^             names, ticket keys, states, errors, bytes
 *     wr_tls_backend  wr_tls_events
 *          v            |
 *     lib/tls/wolfssl, lib/tls/openssl
 *
 * Only weir accepts or refuses certificates. weir also reads the client's first
 * message before the backend gets a byte of it, and chooses certificate and
 * protocol.
 *
 * Errors: functions return 0, -ENOMEM, -EINVAL, -EOPNOTSUPP, -EBADMSG or a
 * WEIR_ETLS code. After a failed constructor there is nothing to free. The
 * steps of a connection return WR_TLS_STEP_* and store weir's code and the
 * library's error number in the connection.
 *
 * Threads: contexts and credentials are constant once they are created.
 * Connections on several threads share them, and may open and close at the same
 * time. A connection belongs to one thread at a time. A session may be freed on
 * any thread. Primitives keep no state and may be called on any thread.
 */
#ifndef WEIR_LIB_TLS_BACKEND_BACKEND_H
#define WEIR_LIB_TLS_BACKEND_BACKEND_H

#include "lib/x509/strength.h"
#include "uring/block.h"

#include <weir/base.h>

struct wr_tls_account;
struct wr_tls_conn;
struct wr_tls_credential; /* of the backend: certificates and their key */
struct wr_tls_known;      /* of the backend: a session that can be resumed */
struct wr_tls_shared;     /* of the backend: common part of connections */
struct wr_tls_verdict;

enum {
    WR_TLS_VERSION_1_2 = 0x0303,
    WR_TLS_VERSION_1_3 = 0x0304,
};

/* Each output block begins with this many free bytes, in which the filter
 * stores a struct filter_record. wolfSSL seals a record in a block at this
 * offset. */
#define WR_TLS_OUTPUT_OFFSET 27u

/* Maximum plaintext bytes of a sent record. The record, its buffer's header and
 * wolfSSL's overhead fit a block of 16 KiB. */
#define WR_TLS_RECORD_MAX ((16u << 10) - 128u)

enum {
    /* The backend skips early data that it cannot open (RFC 8446, 4.2.10), up
     * to 16 KiB. Without this bit the engine skips the data, using expand(),
     * open_sealed() and the event secret(). */
    WR_TLS_DOES_SKIP_EARLY = 1 << 0,
    /* The backend sends the alert that the event chain() returns. Without this
     * bit the engine replaces the backend's own alert, using the event
     * secret(). */
    WR_TLS_DOES_ALERT = 1 << 1,
    /* Server, TLS 1.3: the backend sends a change_cipher_spec after its first
     * message if the client's hello has a session identifier (RFC 8446, D.4).
     * Without this bit the engine sends it. */
    WR_TLS_DOES_CHANGE = 1 << 2,
    /* The backend can report the secrets of a key log. */
    WR_TLS_DOES_SECRETS = 1 << 3,
    /* The library is built with the key exchange group P-521. */
    WR_TLS_DOES_P521 = 1 << 4,
    /* The library uses the CPU's AES instructions. Without this bit weir
     * prefers ChaCha20. */
    WR_TLS_DOES_FAST_AES = 1 << 5,
};

/* The memory source of a loop's connections, which it outlives. A backend's
 * account struct starts with this one, and may also count what the library
 * allocates. account_init() sets both fields. */
struct wr_tls_account {
    const struct weir_allocator *allocator; /* the loop's */
    struct wr_blocks *blocks;
};

enum { WR_TLS_HASH_MAX = 64 };

enum wr_tls_aead_kind {
    WR_TLS_AEAD_AES_128_GCM,
    WR_TLS_AEAD_AES_256_GCM,
    WR_TLS_AEAD_CHACHA20,
};

enum { WR_TLS_AEAD_NONCE = 12, WR_TLS_AEAD_TAG = 16 };

struct wr_tls_aead {
    enum wr_tls_aead_kind kind;
    const uint8_t *key; /* 16 bytes for AES-128, else 32 */
    const uint8_t *nonce;
    struct wr_bytes beside; /* additional authenticated data */
    const uint8_t *in;
    uint8_t *out;
    size_t size;
    uint8_t *tag; /* written by seal(), read by open_sealed() */
};

enum wr_tls_derive_kind {
    WR_TLS_DERIVE_MD5,         /* OpenSSL's EVP_BytesToKey() with one round */
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

struct wr_tls_signed {
    const struct wr_x509_signature_kind *kind;
    struct wr_bytes key_info;       /* a SubjectPublicKeyInfo with its header */
    struct wr_x509_rsa_numbers rsa; /* numbers of an RSA key, else empty */
    struct wr_bytes message;        /* the hash; the whole body for Ed25519 */
    struct wr_bytes bits;           /* the signature; DER for ECDSA */
};

/* A private key outside weir, which signs for a backend. weir owns the struct,
 * which outlives the credentials that use it. */
struct wr_tls_signer {
    /* Signs @hash with the algorithm @kind. PSS uses a salt as long as the
     * hash, and the same hash for the mask. Returns the size of the signature,
     * at most @size, or WEIR_ETLSSIGN, which must end the handshake. Before it
     * returns, weir verifies the signature. The call may block for long. */
    int (*sign)(struct wr_tls_signer *signer,
                const struct wr_x509_signature_kind *kind, struct wr_bytes hash,
                uint8_t *ret, size_t size);
};

/* Common settings of connections. Of the pointers shared_new() keeps only
 * @credential, which outlives its result. */
struct wr_tls_settings {
    bool is_server;
    bool has_1_2; /* enabled versions: one or both */
    bool has_1_3;
    /* IANA's names of cipher suites from suites.h, separated by colons, the
     * preferred first. There is at least one for each enabled version. A server
     * selects the first suite of this list that the client offers. */
    const char *suites;
    /* IANA's numbers of the key exchange groups, the preferred first. A client
     * sends a share for the first group and, if that is a hybrid group, for the
     * first classical group, too. */
    const uint16_t *groups;
    size_t group_count;
    /* If false, a server requests no certificate, and a client accepts any
     * certificate; chain() is not called. */
    bool verifies;
    /* Server that verifies: refuses a client without a certificate
     * (WEIR_ETLSNOCERT). */
    bool demands_certificate;
    /* Server: issues one ticket for each connection, with TLS 1.2 and 1.3, and
     * accepts tickets. A client always accepts TLS 1.3 tickets, and requests
     * TLS 1.2 tickets as well. Sessions are resumed only with a new key
     * exchange (psk_dhe_ke); there is no cache and no session identifier. */
    bool has_tickets;
    uint32_t ticket_lifetime; /* in seconds */
    bool logs_keys;
    bool has_signers;
    /* The certificates that a server presents unless show() is called, and that
     * a client presents on request. Only a client may have NULL. */
    struct wr_tls_credential *credential;
};

/* Settings of one connection; borrowed during open(). */
struct wr_tls_peer {
    struct wr_tls_shared *shared;
    /* These four fields replace the same fields in the settings of @shared. */
    struct wr_tls_credential *credential;
    bool verifies;
    bool demands_certificate;
    bool logs_keys;
    /* Client: the name to request (SNI), without a final dot, or NULL. Never a
     * literal address. */
    const char *name;
    /* Client: the application protocols to offer, 1 to 32 names of 1 to 255
     * bytes, separated by commas, or NULL. If the server chooses another
     * protocol, the handshake fails with WEIR_ETLSALPN. */
    const char *protocols;
    /* Client: a session to resume, or NULL. open() copies it. If it is too old,
     * a full handshake follows without an error. */
    const struct wr_tls_known *session;
};

/* The first member of a connection's engine (engine.h). The engine sets the
 * first fields before open(); the backend owns the others. */
struct wr_tls_conn {
    const struct wr_tls_backend *backend;
    const struct wr_tls_events *events;
    struct wr_tls_account *account;
    struct wr_tls_verdict *verdict;
    bool is_server;
    bool can_export; /* export_keys() may be called */

    bool lacks_memory;
    int code;   /* a WEIR_ETLS code, or -ENOMEM */
    int number; /* the library's error for text_of(), or 0 */

    void *ssl;
    void *own;
    uint32_t flags;
};

enum {
    WR_TLS_STEP_WANTS = -1,  /* more input is needed: take() had nothing */
    WR_TLS_STEP_ENDED = -2,  /* the peer's close_notify was read */
    WR_TLS_STEP_FAILED = -3, /* permanent; see `code` and `number` */
};

/* Added to the number of an alert whose level is "warning". */
enum { WR_TLS_ALERT_WARNS = 1 << 8 };

enum {
    WR_TLS_TAKE_WAITS = -1,
    WR_TLS_TAKE_REFUSED = -2, /* no more bytes: the step fails now, sends
                               * nothing, and its code is ignored */
};

enum wr_tls_secret_kind {
    WR_TLS_SECRET_MASTER, /* TLS 1.2, 48 bytes */
    WR_TLS_SECRET_CLIENT_HANDSHAKE,
    WR_TLS_SECRET_SERVER_HANDSHAKE,
    WR_TLS_SECRET_CLIENT_DATA,
    WR_TLS_SECRET_SERVER_DATA,
    WR_TLS_SECRET_EXPORTER,
};

enum {
    WR_TLS_TICKET_NAME = 16, /* bytes of a key's name */
    WR_TLS_TICKET_SECRET = 32,
    WR_TLS_TICKET_KEY = 32, /* derived from a secret */
    WR_TLS_TICKET_NONCE = 12,
    WR_TLS_TICKET_IV = 16, /* the nonce and the time of sealing */
    WR_TLS_TICKET_TAG = 16,
    WR_TLS_TICKET_DIGEST = 32, /* of the name that a client requests */
    WR_TLS_TICKET_CLIENT = 32, /* identifies the client */
};

/* Keys for a backend that seals tickets itself, derived from one of weir's
 * secrets. */
struct wr_tls_ticket_pair {
    uint8_t cipher[WR_TLS_TICKET_KEY];
    uint8_t mac[WR_TLS_TICKET_KEY];
};

/* A ticket that weir seals or opens. ->host and ->has_client are authenticated
 * with the ticket, but not sent in it. */
struct wr_tls_ticket {
    uint8_t *name; /* WR_TLS_TICKET_NAME bytes */
    uint8_t *iv;   /* WR_TLS_TICKET_IV bytes */
    uint8_t *tag;  /* WR_TLS_TICKET_TAG bytes */
    uint8_t *data; /* sealed and opened in place */
    size_t size;
    const uint8_t *host; /* digest of the requested name; set by weir */
    bool has_client;     /* set by weir */
};

/* Functions of weir that a backend calls, only within a function of the
 * connection, on its thread. An event may call show(), choose_protocol(),
 * hear_secrets() and the getters of the same connection, but no other function
 * of it. */
struct wr_tls_events {
    /* Copies up to @size received bytes to @buf. Returns their number, or
     * WR_TLS_TAKE_*. A backend asks for a record's header of exactly 5 bytes,
     * then for exactly its body, in one or several calls, and never reads
     * ahead: weir counts and refuses records in these calls. weir may change a
     * header so that the backend refuses the record. The engine handles the end
     * of the stream, which take() does not report. */
    int (*take)(struct wr_tls_conn *conn, uint8_t *buf, size_t size);

    /* Sends @size bytes to the peer, all or nothing. Returns 0 or -ENOMEM,
     * after which each later call fails. A backend without WR_TLS_DOES_ALERT or
     * WR_TLS_DOES_CHANGE passes each record in its own call, and weir may
     * change the bytes in place before it copies them. */
    int (*put)(struct wr_tls_conn *conn, uint8_t *data, size_t size);

    /* ---- the peer's certificates; only if the settings verify ---- */

    /* Verifies the certificates as the peer sent them, in DER, the leaf first;
     * borrowed. Returns true if the peer is accepted. Otherwise the handshake
     * fails with the alert *ret_alert, or with the backend's own if that is 0.
     *
     * Called before the signature of the leaf's key is verified. Called with
     * @count 0 if a client sends no certificate on request. Not called if a
     * session is resumed. A second call with the same chain returns the same
     * result. For an accepted leaf a backend verifies only that its key has
     * signed the handshake. */
    bool (*chain)(struct wr_tls_conn *conn, const struct wr_bytes *certs,
                  size_t count, uint8_t *ret_alert);

    /* Called if the library, for a reason of its own, cannot use the leaf that
     * chain() accepted. @code and @text become the error. Returns the alert
     * with which the handshake fails. */
    uint8_t (*refused)(struct wr_tls_conn *conn, int code, const char *text);

    /* ---- tickets; server ---- */

    /* For a backend that lets weir seal whole tickets in place. ticket_seal()
     * returns 0 or an error. If ticket_open() returns false, a full handshake
     * follows. */
    int (*ticket_seal)(struct wr_tls_conn *conn,
                       const struct wr_tls_ticket *ticket);
    bool (*ticket_open)(struct wr_tls_conn *conn,
                        const struct wr_tls_ticket *ticket);

    /* For a backend that seals tickets itself. ticket_key() stores the name of
     * the current key and the keys derived from it, and returns 0 or an error.
     * ticket_find() stores the keys for a name and returns true, or returns
     * false if there are none. The backend must refuse tickets that were sealed
     * longer ago than their lifetime. A ticket is valid only for the name that
     * the client requested when it was issued: the backend stores the digest of
     * ticket_host() in it, sealed or authenticated, and compares the digest. */
    int (*ticket_key)(struct wr_tls_conn *conn,
                      uint8_t name[WR_TLS_TICKET_NAME],
                      struct wr_tls_ticket_pair *ret);
    bool (*ticket_find)(struct wr_tls_conn *conn,
                        const uint8_t name[WR_TLS_TICKET_NAME],
                        struct wr_tls_ticket_pair *ret);
    /* Computes the digest of the name that this client requests; the digest is
     * all zeros if the client requests no name. @seals is true if a ticket is
     * being issued. Returns 0 or an error. After an error the backend must
     * accept no ticket, and never accept the ticket that it issues. */
    int (*ticket_host)(struct wr_tls_conn *conn, bool seals,
                       uint8_t ret[WR_TLS_TICKET_DIGEST]);

    /* If the settings verify: ticket_client() stores the bytes that a backend
     * seals into a ticket, and returns 0 or an error; after an error no ticket
     * is issued. ticket_known() gets these bytes from an opened ticket, and
     * returns true if the ticket is accepted. Of several accepted tickets the
     * backend may resume any or none, because all are of one client. */
    int (*ticket_client)(struct wr_tls_conn *conn,
                         uint8_t ret[WR_TLS_TICKET_CLIENT]);
    bool (*ticket_known)(struct wr_tls_conn *conn,
                         const uint8_t client[WR_TLS_TICKET_CLIENT]);

    /* Client: a ticket has arrived (@size > 0). session_take() returns its
     * session. */
    void (*ticket_came)(struct wr_tls_conn *conn, size_t size);

    /* Reports a secret. Called only if the settings log keys, or after
     * hear_secrets(). Returns 0, or an error that ends the handshake. */
    int (*secret)(struct wr_tls_conn *conn, enum wr_tls_secret_kind kind,
                  const uint8_t *secret, size_t size);
};

/* ---- the table ---- */

struct wr_tls_export {
    const char *label;
    const void *context; /* may be NULL */
    size_t context_size;
    void *out;
    size_t size;
};

struct wr_tls_backend {
    const char *name;
    uint32_t does;
    size_t account_size;

    /* Initializes the library, once for the process; may be called on any
     * thread, any number of times. Must precede all other calls except
     * version() and account_init(). Returns 0 or WEIR_ETLSENGINE. Afterwards
     * the library changes no shared variable on first use. Registers nothing
     * with atexit(), because threads may still run in exit(). */
    int (*start)(void);
    /* Returns why start() has failed, a static text or NULL. May itself be
     * NULL. */
    const char *(*start_text)(void);
    /* Returns the version of the running library, such as "5.7.2". */
    const char *(*version)(void);
    /* After start(): returns true if X25519MLKEM768 (4588) is among the groups.
     * A NULL entry means false. */
    bool (*has_hybrid)(void);
    /* Version of the source package from which a bundled library was built;
     * NULL for the system's library. */
    const char *source;
    /* After start(): returns true if OpenSSL's configuration makes it use only
     * a FIPS module. NULL if the library has no such mode. */
    bool (*is_fips)(void);

    /* ---- accounts; these functions allocate nothing ---- */

    void (*account_init)(struct wr_tls_account *account,
                         struct wr_blocks *blocks);
    void (*account_fini)(struct wr_tls_account *account);
    void (*account_check)(const struct wr_tls_account *account);
    /* Both are NULL for a backend whose sealed records are copied. claim()
     * returns true if the record at @data, just passed to put(), is in a block
     * of its own at WR_TLS_OUTPUT_OFFSET. take_claimed() then returns this
     * block, with ownership, once the library has freed it: before the next
     * record is sealed, or before the step returns. */
    bool (*claim)(struct wr_tls_account *account, const void *data);
    struct wr_block *(*take_claimed)(struct wr_tls_account *account);

    /* ---- primitives ---- */

    /* Returns the size of the hash, -ENOMEM or -EOPNOTSUPP. */
    int (*hash)(enum wr_x509_hash kind, struct wr_bytes data,
                uint8_t ret[WR_TLS_HASH_MAX]);
    /* Returns 0, -ENOMEM, -EOPNOTSUPP if the library has no such algorithm, or
     * -EBADMSG (a wrong signature, an invalid key, or another error of the
     * library). */
    int (*verify)(const struct wr_tls_signed *job);
    /* Return 0 or an error. open_sealed() returns -EBADMSG if the message was
     * not sealed with these parameters; after any other error it may have
     * been. */
    int (*seal)(const struct wr_tls_aead *job);
    int (*open_sealed)(const struct wr_tls_aead *job);
    /* HKDF-Expand-Label of TLS 1.3, with "tls13 " before the label and no
     * context (RFC 8446, 7.1), for SHA-256 or SHA-384. Returns 0 or an
     * error. */
    int (*expand)(enum wr_x509_hash kind, struct wr_bytes secret,
                  const char *label, uint8_t *ret, size_t size);

    /* Returns 0, -ENOMEM or -EOPNOTSUPP. */
    int (*derive)(const struct wr_tls_derive *job);
    /* Decrypts whole blocks in place with AES. The key has 16, 24 or 32 bytes.
     * The padding stays in @data. Returns 0, -ENOMEM or -EOPNOTSUPP. */
    int (*open_cbc)(struct wr_bytes key, const uint8_t iv[WR_TLS_CBC_BLOCK],
                    uint8_t *data, size_t size);

    /* Call credential_new(), use_chain(), use_key() and check() in this order.
     * After an error of the last three the caller frees the credential. RSA of
     * less than 2048 bits and curves of less than 256 bits are refused
     * (WEIR_ETLSFILE). The texts are borrowed during the call. A stored key is
     * wiped when it is freed. A library may leave copies in freed memory when
     * it decodes the text. */
    int (*credential_new)(struct wr_tls_credential **ret);
    /* Sets the leaf and its issuers, which are sent unchanged. Returns 0,
     * -ENOMEM or WEIR_ETLSFILE. */
    int (*credential_use_chain)(struct wr_tls_credential *credential,
                                const uint8_t *pem, size_t size);
    /* Sets the key: PKCS #8, or the older forms of RSA and EC. Returns 0,
     * -ENOMEM, WEIR_ETLSPASSWORD for an encrypted key (never prompts) or
     * WEIR_ETLSNOKEY. */
    int (*credential_use_key)(struct wr_tls_credential *credential,
                              const uint8_t *pem, size_t size);
    /* Called instead of use_key() if the key is a wr_tls_signer. @key_info is
     * the leaf's SubjectPublicKeyInfo, RSA or elliptic curve. @signer is
     * borrowed for the life of the credential. Returns 0, -ENOMEM,
     * WEIR_ETLSFILE, or -EOPNOTSUPP if the build cannot sign in this way with
     * this kind of key. */
    int (*credential_use_signer)(struct wr_tls_credential *credential,
                                 struct wr_tls_signer *signer,
                                 struct wr_bytes key_info);
    /* Checks that connections can present the credential. Returns 0, -ENOMEM,
     * WEIR_ETLSMISMATCH if the key is not the leaf's, WEIR_ETLSNOKEY if it
     * cannot be read, WEIR_ETLSENGINE or WEIR_ETLSSIGN if it cannot sign, or
     * WEIR_ETLSWEAK if the library's own security level forbids it. */
    int (*credential_check)(struct wr_tls_credential *credential);
    void (*credential_free)(struct wr_tls_credential *credential);

    /* Returns 0, -ENOMEM, WEIR_ETLSCIPHERS or WEIR_ETLSGROUPS (the library
     * cannot use a list), WEIR_ETLSVERSION (its configuration forbids the
     * versions), WEIR_ETLSFILE (it refuses the credential) or
     * WEIR_ETLSENGINE. */
    int (*shared_new)(const struct wr_tls_settings *settings,
                      struct wr_tls_shared **ret);
    void (*shared_free)(struct wr_tls_shared *shared);

    /* Returns 0, -ENOMEM or WEIR_ETLSENGINE. */
    int (*open)(struct wr_tls_conn *conn, const struct wr_tls_peer *peer);
    void (*close)(struct wr_tls_conn *conn); /* sends nothing */

    /* ---- steps; each may put() output, even if it fails ---- */

    /* Returns 0 when the handshake is done, else WR_TLS_STEP_*. */
    int (*handshake)(struct wr_tls_conn *conn);
    /* Returns the number of bytes, all from one record, or WR_TLS_STEP_*. @size
     * is at most INT_MAX. */
    int (*read)(struct wr_tls_conn *conn, void *buf, size_t size);
    size_t (*pending)(const struct wr_tls_conn *conn);
    /* Seals one record of @len bytes, 1 to WR_TLS_RECORD_MAX, and puts it.
     * Returns 0 or WR_TLS_STEP_FAILED. May seal several records of at least 512
     * bytes for a client that requested shorter ones (max_fragment_length, RFC
     * 6066, 4). */
    int (*write)(struct wr_tls_conn *conn, const void *data, size_t len);
    int (*shutdown)(struct wr_tls_conn *conn);
    /* TLS 1.3: changes the sending keys and asks the peer to change its own.
     * Returns 0, -EOPNOTSUPP with TLS 1.2, or WR_TLS_STEP_FAILED. */
    int (*update_keys)(struct wr_tls_conn *conn);
    /* Releases buffers of an idle connection. NULL if the backend has none.
     * Called after one or more steps, including the handshake and after a
     * failure, but neither within a record nor while plaintext is pending. */
    void (*rest)(struct wr_tls_conn *conn);

    /* ---- server: show() and choose_protocol() are called within take(),
     * before the backend gets a byte of the client's first message ---- */

    /* Makes the connection present these certificates, which outlive it and may
     * be another context's. If the key is of another kind, @suites (names as in
     * the settings) replaces the connection's list; NULL keeps the list.
     * Returns 0 or -ENOMEM. */
    int (*show)(struct wr_tls_conn *conn, struct wr_tls_credential *credential,
                const char *suites);
    /* Selects an application protocol that the client offers. If @name is the
     * server's whole list (with commas), the client offers none of it: the
     * handshake then fails with no_application_protocol (WEIR_ETLSALPN) if the
     * client offers any protocol. @name is borrowed for the connection's life.
     * Returns 0 or -ENOMEM. */
    int (*choose_protocol)(struct wr_tls_conn *conn, const char *name,
                           size_t len);
    /* Enables reporting of TLS 1.3 secrets. Called before the handshake or
     * within take(), only for a backend that has WR_TLS_DOES_SECRETS but not
     * both WR_TLS_DOES_SKIP_EARLY and WR_TLS_DOES_ALERT. */
    void (*hear_secrets)(struct wr_tls_conn *conn);

    /* ---- facts; valid from the end of the handshake until close(), unless
     * stated otherwise ---- */

    /* Returns WR_TLS_VERSION_*; before a version is agreed on, the highest
     * enabled one. */
    uint16_t (*get_version)(const struct wr_tls_conn *conn);
    /* Returns IANA's number; valid in the handshake once it is chosen. */
    uint16_t (*get_suite)(const struct wr_tls_conn *conn);
    /* Returns IANA's number of the key exchange group, or 0 if not known yet. A
     * server knows it once it has put its ServerKeyExchange. */
    uint16_t (*get_group)(const struct wr_tls_conn *conn);
    bool (*was_resumed)(const struct wr_tls_conn *conn);
    /* Returns a name valid as long as the connection, or NULL. */
    const char *(*get_protocol)(const struct wr_tls_conn *conn,
                                size_t *ret_len);
    /* Server: returns the name that the client requested, or NULL; valid once
     * the backend has read the hello. */
    const char *(*get_name)(const struct wr_tls_conn *conn);
    /* Returns the newest alert received and the first fatal alert sent, or -1
     * for none. A received alert has WR_TLS_ALERT_WARNS if it is an error with
     * the level "warning" that the library has ignored. */
    void (*get_alerts)(const struct wr_tls_conn *conn, int *ret_received,
                       int *ret_sent);
    bool (*get_client_random)(const struct wr_tls_conn *conn, uint8_t ret[32]);
    /* Exports keying material (RFC 5705; RFC 8446, 7.5). Called only if
     * can_export was set and, with TLS 1.2, the extended master secret is used.
     * Returns 0, -ENOMEM or -EINVAL, including for a reserved label. */
    int (*export_keys)(struct wr_tls_conn *conn,
                       const struct wr_tls_export *job);

    /* Stores the newest session in *ret; called after ticket_came(). Returns 0
     * or -ENOMEM. The session comes from malloc(), may outlive the connection,
     * and several connections may use it. */
    int (*session_take)(struct wr_tls_conn *conn, struct wr_tls_known **ret);
    void (*session_free)(struct wr_tls_known *session);

    /* Returns a static text for a connection's `number`. */
    const char *(*text_of)(int number);
};

/* Entries that each backend implements with a function of its own, such as
 * wr_wolfssl_open(). clang-format would indent each entry more than the
 * previous. */
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

/* Returns the library's table, always the same in a process. Defined in
 * by_wolfssl.c or by_openssl.c. */
const struct wr_tls_backend *wr_tls_backend_get(void);

#endif
