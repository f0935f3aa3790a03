/**
 * @file tls.h
 * TLS contexts: keys, certificates and rules of TLS connections.
 *
 * A context is made once, for servers or for clients, and shared by any number
 * of connections, loops and threads. It never changes; for a new certificate
 * make a new context.
 *
 * The defaults are strict: TLS 1.2 and 1.3, suites with authenticated
 * encryption and forward secrecy, strong keys and signatures; a client verifies
 * the server's certificate and its name. The WEIR_ETLS... codes of error.h
 * distinguish the faults of certificates.
 *
 * Only the names in a certificate's subjectAltName are compared. A wildcard
 * must be the whole first label, followed by at least two labels.
 *
 * A peer may send its certificates in any order, mixed with unrelated
 * certificates. weir searches for a path to an authority, and verifies each
 * signature of the path, whose algorithm must fit the issuer's key. The
 * constraints of each issuer, including the authority, apply to all
 * certificates below it: the length of the path, and constraints of DNS, IP,
 * mail and directory names. A certificate is refused if a name of another kind
 * is constrained. A peer that sends more than 10 certificates is refused with
 * WEIR_ETLSPATHLEN (more than 9 if wolfSSL was built with its default limit).
 *
 * TLS is in a separate library, libweir-tls (`pkg-config weir-tls`), built with
 * wolfSSL or OpenSSL 3; include/guide/tls-reference.md has the differences.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread any
 * @suspends no
 */
#ifndef WEIR_TLS_H
#define WEIR_TLS_H

#include "base.h"

WEIR_BEGIN_DECLS

/** Versions of TLS. */
enum weir_tls_version {
    /** The default: TLS 1.2 as min_version, TLS 1.3 as max_version. */
    WEIR_TLS_VERSION_DEFAULT = 0,
    /** TLS 1.2 (RFC 5246). */
    WEIR_TLS_1_2,
    /** TLS 1.3 (RFC 8446). */
    WEIR_TLS_1_3,
};

/** A server's policy for client certificates. */
enum weir_tls_client_auth {
    /** Do not request a certificate. */
    WEIR_TLS_CLIENT_AUTH_NONE = 0,
    /** Request a certificate, and verify it if the client has one. */
    WEIR_TLS_CLIENT_AUTH_OPTIONAL,
    /** Request a certificate. A client without one is refused with
     * WEIR_ETLSNOCERT. */
    WEIR_TLS_CLIENT_AUTH_REQUIRED,
};

/** Text in the PEM format, in a file or in memory. Certificates are in blocks
 * named CERTIFICATE or X509 CERTIFICATE; a text with a block named TRUSTED
 * CERTIFICATE, as OpenSSL makes it, is refused. */
struct weir_tls_pem {
    /** Path of a file; NULL if the text is in memory, or there is no text. */
    const char *file;
    /** The text. */
    const void *data;
    /** Number of bytes of the text. */
    size_t size;
};

/** Kinds of signatures. */
enum weir_tls_signature {
    /** ECDSA (FIPS 186-4). The signature is an ECDSA-Sig-Value in DER (RFC
     * 3279). */
    WEIR_TLS_SIGNATURE_ECDSA = 1,
    /** RSASSA-PSS (RFC 8017), with the same hash for the mask, and a salt as
     * long as the hash. */
    WEIR_TLS_SIGNATURE_RSA_PSS,
    /** RSASSA-PKCS1-v1_5 (RFC 8017); only with TLS 1.2. */
    WEIR_TLS_SIGNATURE_RSA_PKCS1,
};

/** The hash that a weir_tls_sign_fn signs. */
struct weir_tls_to_sign {
    size_t size;
    /** The kind of the signature. */
    enum weir_tls_signature kind;
    /** The hash, of SHA-256, SHA-384 or SHA-512; hash_size shows which. For
     * RSASSA-PKCS1-v1_5 it has no DigestInfo. Borrowed. */
    const void *hash;
    /** Number of bytes of the hash: 32, 48 or 64. */
    size_t hash_size;
    /** The public key, a SubjectPublicKeyInfo in DER. Borrowed. */
    const void *public_key;
    /** Number of bytes of the public key. */
    size_t public_key_size;
};

/**
 * Sign with a key that is elsewhere: in another process, or in hardware.
 *
 * Called once in each handshake that sends the certificate, on the thread of
 * the connection's loop; on several threads at once if their loops share the
 * context. All connections of the loop wait for the function, so it should
 * limit its time; weir_tls_context_get_signatures() returns its duration. It
 * must not call weir. Resumed sessions need no signature.
 *
 * weir verifies each signature with the certificate. After a wrong signature or
 * an error the handshake fails with WEIR_ETLSSIGN, and the peer gets the alert
 * internal_error; no alert is sent with TLS 1.3 and a wolfSSL that was built
 * without secret callbacks.
 *
 * @param user       the sign_user of the certificate; borrowed
 * @param job        the hash to sign; borrowed
 * @param signature  memory for the signature
 * @param size       size of @p signature in bytes. This is the size of the
 *                   modulus for RSA, and the longest signature of the curve for
 *                   ECDSA: 72 for P-256, 104 for P-384, 139 for P-521
 * @return           number of bytes of the signature, or a negative error
 */
typedef int weir_tls_sign_fn(void *user, const struct weir_tls_to_sign *job,
                             void *signature, size_t size);

/** A certificate and its key. */
struct weir_tls_identity {
    size_t size;
    /** The chain of certificates, beginning with the leaf. */
    struct weir_tls_pem certificate;
    /** The leaf's private key; by default it is in the text of the certificate.
     * An encrypted key needs the passphrase of the options. */
    struct weir_tls_pem key;
    /** A function that signs instead of the key, with the rules of
     * weir_tls_options.sign; may be NULL. */
    weir_tls_sign_fn *sign;
    /** The first argument of sign; borrowed for the life of the context. */
    void *sign_user;
};

/**
 * Choose a server's certificate by the name that a client requests.
 *
 * Called once in each handshake, on the thread of the connection's loop; on
 * several threads at once if their loops share the context. It must not block,
 * because the loop waits for it. It may call weir_tls_context_new(), _ref() and
 * _unref(), but no other function of weir.
 *
 * The connection sends a certificate of the returned context: the identity for
 * the name and for the kinds of keys that the client supports, or else the
 * first certificate, unless that context refuses unknown names. All other
 * settings are still those of the connection's own context: versions, suites,
 * application protocols, client_auth and session tickets. No certificate is
 * sent when a session is resumed. The connection keeps a reference to the
 * returned context; weir_tls_get_context() then returns this context.
 *
 * @param user  the choose_user of the options; borrowed
 * @param name  the requested name as the client has written it, borrowed; NULL
 *              if the client has requested none
 * @param ret   set it to a server context. weir takes over one reference to
 *              the context, so a program that keeps the context passes the
 *              result of weir_tls_context_ref(). If @p ret remains NULL, the
 *              connection's own context is used
 * @return      0, or a negative error, which ends the handshake. The alert for
 *              WEIR_ETLSNONAME is unrecognized_name, for all other errors
 *              internal_error
 */
typedef int weir_tls_choose_fn(void *user, const char *name,
                               weir_tls_context **ret);

/**
 * Return the passphrase of an encrypted key. Called by weir_tls_context_new(),
 * on its thread, for each encrypted key. It may block. weir wipes the
 * passphrase before weir_tls_context_new() returns.
 *
 * @param user  the passphrase_user of the options; borrowed
 * @param file  the path of the key's file, borrowed; NULL if the key is in
 *              memory
 * @param buf   memory for the passphrase
 * @param size  size of @p buf in bytes, 1024
 * @return      number of bytes of the passphrase, at least 1; or a negative
 *              error, which weir_tls_context_new() returns
 */
typedef int weir_tls_passphrase_fn(void *user, const char *file, char *buf,
                                   size_t size);

/** Options of a context. */
struct weir_tls_options {
    size_t size;
    /** True for a server context, false for a client context. */
    bool server;
    /** Client: accept every certificate, even a forged one. Only for tests. */
    bool no_verify;
    /** Client: do not trust the system's authorities. They are never trusted if
     * authorities or authority_folder is given. */
    bool no_system_authorities;
    /** Server: issue no session tickets, so that no session is resumed. */
    bool no_tickets;
    /** Server: the policy for client certificates. A resumed session has the
     * certificates of its full handshake, which are verified again, with the
     * current time, authorities and lists. If they would be refused, the
     * session is not resumed, and the client sends its certificate in a full
     * handshake. This happens at least once in each ticket_lifetime_ns.
     *
     * For this the context remembers the certificates of the last 1024 clients,
     * at most 16 KiB each, 16 MiB in all; the memory is from malloc(), not from
     * a weir_allocator. Clients that the context has forgotten, and clients of
     * another context, make a full handshake, even if the contexts have the
     * same ticket_keys. */
    enum weir_tls_client_auth client_auth;
    /** The lowest version that is accepted. */
    enum weir_tls_version min_version;
    /** The highest version that is offered or accepted. */
    enum weir_tls_version max_version;
    /** The chain of certificates, beginning with the leaf; a server needs
     * it. */
    struct weir_tls_pem certificate;
    /** The leaf's private key; by default it is in the text of the certificate.
     * An encrypted key needs a passphrase. Two kinds of encryption are
     * supported, others fail with WEIR_ETLSFILE: PKCS #8 with PBES2 (AES-CBC,
     * and PBKDF2 of at most 10,000,000 rounds with SHA-1, SHA-256, SHA-384 or
     * SHA-512), and the older form of OpenSSL (DEK-Info) with AES-CBC. */
    struct weir_tls_pem key;
    /** Authorities that are trusted to issue the peers' certificates. The
     * search for a path verifies at most 16 signatures, which allows for
     * several issuers with the same name. Slower keys have a lower limit: 8
     * signatures with P-384, 5 with P-521 or with RSA with an exponent above 17
     * bits. A peer that needs more signatures is refused with
     * WEIR_ETLSPATHLEN. */
    struct weir_tls_pem authorities;
    /** Certificate revocation lists (CRL) as PEM. If they are given, every
     * certificate of a path below the authority is checked against the lists of
     * its issuer. The issuer must have a current list that it has signed, and
     * must be allowed to sign lists (keyUsage: cRLSign); otherwise the peer is
     * refused with WEIR_ETLSNOCRL. An authority is not checked, unless another
     * authority has issued and revoked it.
     *
     * A context cannot be made with these lists:
     * - a list that is not current, unless its issuer has a current list;
     * - a list in the name of an authority that has not signed it, or may not
     *   sign lists (keyUsage);
     * - an incomplete list (delta, issuingDistributionPoint), or a list of
     *   another issuer's certificates;
     * - a list with an unknown critical extension.
     *
     * If no certificate is verified, lists are refused with -EINVAL: for a
     * server without client_auth, and with no_verify.
     *
     * A client with lists resumes no sessions: each handshake is a full
     * handshake. */
    struct weir_tls_pem revocations;
    /** Application protocols (ALPN), separated by commas, the preferred first,
     * as in "h2,http/1.1": 1 to 32 names of 1 to 255 bytes. NULL means no ALPN.
     * A server selects the first name of its list that the client offers. If
     * there is no common name, it refuses the client with the alert
     * no_application_protocol. A client without ALPN is accepted. */
    const char *alpn;
    /** Cipher suites by their IANA names, separated by colons, the preferred
     * first. By default all supported suites are allowed, which are:
     * - TLS 1.3: TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384,
     *   TLS_CHACHA20_POLY1305_SHA256;
     * - TLS 1.2, if the server's key is on a curve (ECDSA, Ed25519):
     *   TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
     *   TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
     *   TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;
     * - TLS 1.2, if the server's key is RSA:
     *   TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
     *   TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
     *   TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256.
     *
     * Other names, like OpenSSL's ECDHE-RSA-AES128-GCM-SHA256, are refused with
     * WEIR_ETLSCIPHERS, and the error text lists the supported names. A list
     * without suites of TLS 1.3 makes TLS 1.2 the highest version, and a list
     * without suites of TLS 1.2 makes TLS 1.3 the lowest version. */
    const char *ciphers;
    /** Server: further certificates with their keys. For a requested name (SNI)
     * the server uses the first certificate for this name whose key the client
     * supports, beginning with `certificate`. A client supports a key by its
     * signature algorithms, and with TLS 1.2 also by its suites and curves; so
     * an ECDSA and an RSA certificate for one name serve all clients. If no
     * certificate matches, or the client requests no name, the server uses
     * `certificate`, or another certificate with one of the same names. */
    const struct weir_tls_identity *const *identities;
    /** Number of elements in identities. */
    size_t identity_count;
    /** Server: refuse a client that requests a name for which there is no
     * certificate, with WEIR_ETLSNONAME and the alert unrecognized_name. A name
     * with a NUL, or of more than 255 bytes, is always refused in this way. */
    bool refuse_unknown_names;
    /** Server: how long a session can be resumed, in nanoseconds, rounded down
     * to seconds; default 2 hours, at most 7 days. */
    uint64_t ticket_lifetime_ns;
    /** Server: keys that encrypt session tickets, copied: 1 to 4 keys of 48
     * random bytes each (16 for a name, 32 for a secret). With the same keys
     * several processes or machines can resume each other's sessions, if they
     * have the same version of the library. The first key encrypts, all keys
     * decrypt. A ticket is valid only for the server name of the connection
     * that got it. An attacker who has the keys can read the TLS 1.2
     * connections that were resumed with them, so change the keys often, with a
     * new context. NULL means a key that the context makes, and replaces after
     * each ticket_lifetime_ns. */
    const void *ticket_keys;
    /** Number of bytes at ticket_keys. */
    size_t ticket_keys_size;
    /** Called with each secret of each connection, as a line in NSS key log
     * format without its newline. With these lines a program such as Wireshark
     * can decrypt captured traffic. The function is called inside the
     * handshake, on the thread of the connection's loop; it must not call weir,
     * and must lock shared data. With wolfSSL, sessions that a server resumes
     * with TLS 1.2 are not logged. May be NULL. */
    void (*keylog)(void *user, const char *line);
    /** The first argument of keylog; borrowed for the life of the context. */
    void *keylog_user;
    /** Server: a function that chooses a certificate in each handshake, if the
     * certificates are not known beforehand. With NULL `identities` is used. */
    weir_tls_choose_fn *choose;
    /** The first argument of choose; borrowed for the life of the context. */
    void *choose_user;
    /** Path of a folder of PEM files, with or without the links of OpenSSL's
     * rehash. The certificates in the files are authorities, in addition to
     * `authorities`, and the system's authorities are not trusted. Files
     * without certificates, or with certificates that are not valid now, are
     * skipped; at least one file must be valid. Later changes of the folder
     * have no effect. */
    const char *authority_folder;
    /** Groups of the key exchange, separated by colons, the preferred first. By
     * default all supported groups are allowed: X25519MLKEM768 (with OpenSSL
     * 3.5 or later), X25519, P-256, P-384, P-521 (unless wolfSSL was built
     * without it). Other names, like secp256r1 or prime256v1, are refused with
     * WEIR_ETLSGROUPS, and the error text lists the supported names.
     *
     * A client sends a key share for the first group. If this is
     * X25519MLKEM768, which only TLS 1.3 has, the client sends a second key
     * share for the next group. A server that wants another group requests it,
     * which costs a round trip. Without a common group the handshake fails: on
     * a server with WEIR_ETLSGROUP, on a client with an alert, usually
     * handshake_failure. With TLS 1.2 a client's list also limits the curves of
     * the server's certificate. A server with a list must have TLS 1.3 as its
     * min_version; otherwise it is refused with WEIR_ETLSGROUPS. */
    const char *groups;
    /** The required TLS library, "openssl" or "wolfssl", in upper or lower
     * case, for programs that may be used with only one of them. NULL accepts
     * both. If libweir-tls was built with the other library, the call fails
     * with -EOPNOTSUPP, and the error text names the library. */
    const char *library;
    /** Require OpenSSL in FIPS mode, which means `fips=yes` among the default
     * properties of openssl.cnf and a loaded FIPS module. Otherwise the call
     * fails with -EOPNOTSUPP. wolfSSL is never in FIPS mode. */
    bool fips;
    /** The passphrase of all encrypted keys, including the keys of identities.
     * It is the first line of this text, without LF or CR LF, and has 1 to 1024
     * bytes. */
    struct weir_tls_pem passphrase;
    /** A function that returns the passphrase of each encrypted key, if
     * `passphrase` is not set. If neither is set, an encrypted key fails with
     * WEIR_ETLSPASSWORD. */
    weir_tls_passphrase_fn *passphrase_callback;
    /** The first argument of passphrase_callback; borrowed. */
    void *passphrase_user;
    /** A function that signs instead of the key; NULL means that the key signs.
     * If both are set, the call fails with -EINVAL. The certificate's key must
     * be RSA of 2048 to 4096 bits, or on P-256, P-384 or P-521. Other kinds of
     * keys, and RSA with a wolfSSL that was built without libcrypto
     * (-Drsa=wolfssl), fail with -EOPNOTSUPP; other sizes of RSA fail with
     * WEIR_ETLSFILE. The first call is in the first handshake, so a key that
     * does not match the certificate is detected only then. */
    weir_tls_sign_fn *sign;
    /** The first argument of sign; borrowed for the life of the context. */
    void *sign_user;
};

/**
 * Make a context. The call reads the files, so it may wait for a disk: make
 * contexts before a loop runs, or in an executor's job. In a task the call
 * needs 48 KiB of stack.
 *
 * @param options     the options; borrowed
 * @param ret         set to the context, given; end with
 *                    weir_tls_context_unref()
 * @param error_text  memory for a line of text, borrowed; may be NULL. After a
 *                    failure it describes the error, with the file's name if a
 *                    file is the cause. After a success it is empty, or a
 *                    warning that a certificate of the options is not valid
 *                    now, or is not followed by its issuer's certificate
 * @param error_size  size of @p error_text in bytes
 * @return            0, or a negative error; if a file cannot be read, it may
 *                    be any -errno of open(2) or read(2)
 * @retval -EINVAL         an option is out of range, or a server has no
 *                         certificate
 * @retval -EOPNOTSUPP     the required library or FIPS mode is missing, wolfSSL
 *                         was built without secret callbacks and keylog is set,
 *                         or the library cannot use a sign function
 * @retval -ENOENT         a file or the folder does not exist
 * @retval -EMFILE         there is no free descriptor for a file, the folder or
 *                         the system's authorities; -ENFILE has the same
 *                         meaning
 * @retval WEIR_ETLSFILE   a text is invalid, or authorities or the folder have
 *                         no certificate of an authority
 * @retval WEIR_ETLSEXPIRED  the authorities or a revocation list have expired
 * @retval WEIR_ETLSNOTYET   authorities or a revocation list are not valid yet
 * @retval WEIR_ETLSPASSWORD  the key is encrypted, and the passphrase is
 *                            missing or wrong
 * @retval WEIR_ETLSNOKEY  a certificate has no key
 * @retval WEIR_ETLSMISMATCH  the key does not match the certificate
 * @retval WEIR_ETLSCIPHERS  a name in ciphers is unknown, or ciphers has no
 *                           suite for an allowed version
 * @retval WEIR_ETLSVERSION  the configuration of OpenSSL (MinProtocol,
 *                           MaxProtocol) does not allow the versions
 * @retval WEIR_ETLSGROUPS  a name in groups is unknown, or groups is set for a
 *                          server that accepts TLS 1.2
 */
WEIR_API WEIR_MUST_USE int
weir_tls_context_new(const struct weir_tls_options *options,
                     weir_tls_context **ret, char *error_text,
                     size_t error_size);

/** Take another reference to a context. */
WEIR_API weir_tls_context *weir_tls_context_ref(weir_tls_context *context);

/** Release a reference to a context. The last release frees the context.
 * Connections have their own references. */
WEIR_API void weir_tls_context_unref(weir_tls_context *context);

/** The keys of a context's session tickets, and their age. They are secret,
 * because they can decrypt the TLS 1.2 connections that were resumed with
 * them. */
struct weir_tls_ticket_keys {
    size_t size;
    /** The keys. Only weir_tls_context_set_ticket_keys() of the same version of
     * the library, on this machine, accepts them. */
    unsigned char data[208];
};

/**
 * Get the keys of a context's session tickets, to use them in a context that
 * replaces this one in this or another process, for example with a renewed
 * certificate.
 *
 * @param context  a context for servers; borrowed
 * @param ret      set to the keys; overwrite them after use (explicit_bzero())
 * @retval -ENOENT  the context issues no tickets: it is for clients, or has
 *                  no_tickets
 * @retval -EINVAL  @p context or @p ret is NULL
 */
WEIR_API WEIR_MUST_USE int
weir_tls_context_get_ticket_keys(weir_tls_context *context,
                                 struct weir_tls_ticket_keys *ret);

/**
 * Use the keys of another context for session tickets, so that sessions of the
 * other context can be resumed. Call this before the first connection of this
 * context.
 *
 * Keys that the library has made keep their age, and are still replaced by new
 * keys after ticket_lifetime_ns.
 *
 * @param context  a context for servers; borrowed
 * @param keys     the keys, from weir_tls_context_get_ticket_keys(); copied
 * @return         0; after an error the keys are unchanged
 * @retval -ENOENT  the context issues no tickets: it is for clients, or has
 *                  no_tickets
 * @retval -EINVAL  a parameter is NULL, or @p keys has no valid keys
 * @retval WEIR_EOPTIONSIZE  the size of @p keys is wrong
 */
WEIR_API WEIR_MUST_USE int
weir_tls_context_set_ticket_keys(weir_tls_context *context,
                                 const struct weir_tls_ticket_keys *keys);

/** Number and duration of the calls of a context's sign functions. */
struct weir_tls_signatures {
    size_t size;
    /** Number of calls. */
    uint64_t count;
    /** Number of calls that returned an error or a wrong signature. */
    uint64_t failed;
    /** Duration of all calls together, in nanoseconds. The loops of the
     * connections have waited for this time. */
    uint64_t total_ns;
    /** Duration of the longest call, in nanoseconds. */
    uint64_t longest_ns;
};

/**
 * Get the number and the duration of calls of a context's sign functions.
 *
 * @param context  a context; borrowed
 * @param ret      filled in, up to its size; borrowed
 * @retval -EINVAL  @p context or @p ret is NULL
 */
WEIR_API int weir_tls_context_get_signatures(weir_tls_context *context,
                                             struct weir_tls_signatures *ret);

/** The TLS library that libweir-tls uses. */
struct weir_tls_library {
    size_t size;
    /** The name of the library, "wolfSSL" or "OpenSSL". */
    const char *name;
    /** The version of the running library, such as "5.7.2". */
    const char *version;
    /** The version of the source package from which the library inside
     * libweir-tls was built, such as "5.7.2-0.1+deb13u2"; the distribution's
     * revision in it identifies fixes. NULL if the library is the system's
     * package. */
    const char *source;
    /** True if the configuration of the library sets FIPS mode. The call
     * initialises the library, which then reads its configuration. */
    bool fips;
};

/**
 * Get the name and the version of the TLS library. SECURITY.md, in weir's
 * source, lists the fixes of each version. The texts live as long as the
 * process.
 *
 * @param ret  filled in, up to its size; borrowed
 * @retval -EINVAL           @p ret is NULL
 */
WEIR_API int weir_tls_get_library(struct weir_tls_library *ret);

WEIR_END_DECLS

#endif
