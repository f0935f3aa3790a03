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
 * Only names in subjectAltName are compared. A wildcard is a whole first label,
 * followed by two labels or more.
 *
 * A peer may send its certificates in any order, mixed with unrelated
 * certificates: weir searches for a path to an authority, and verifies each
 * signature of the path, whose algorithm must fit the issuer's key. Every
 * certificate of the path must satisfy these rules. The constraints of each
 * issuer, including the authority, apply to all certificates below it: names
 * (DNS, IP, mail and directory names; constrained names of other kinds are
 * refused) and the length of the path. At most 10 certificates of a peer are
 * read (9 if wolfSSL was built with its default limit).
 *
 * TLS is a separate library, libweir-tls (`pkg-config weir-tls`), built with
 * wolfSSL or OpenSSL 3; include/guide/tls.md has the differences. libweir calls
 * it through functions in the context.
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
    /** The default: 1.2 as the minimum, 1.3 as the maximum. */
    WEIR_TLS_VERSION_DEFAULT = 0,
    /** TLS 1.2 (RFC 5246). */
    WEIR_TLS_1_2,
    /** TLS 1.3 (RFC 8446). */
    WEIR_TLS_1_3,
};

/** A server's policy for client certificates. */
enum weir_tls_client_auth {
    /** No certificate is requested. */
    WEIR_TLS_CLIENT_AUTH_NONE = 0,
    /** Request a certificate, and verify it if the client has one. */
    WEIR_TLS_CLIENT_AUTH_OPTIONAL,
    /** A client must have a valid certificate, otherwise WEIR_ETLSNOCERT. */
    WEIR_TLS_CLIENT_AUTH_REQUIRED,
};

/** Text in the PEM format: in a file, or in memory. Certificates are in blocks
 * called CERTIFICATE or X509 CERTIFICATE; a text with OpenSSL's TRUSTED
 * CERTIFICATE is refused. */
struct weir_tls_pem {
    /** Path of a file; NULL if the text is in memory, or there is no text. */
    const char *file;
    /** The text. */
    const void *data;
    /** Bytes of the text. */
    size_t size;
};

/** Kinds of signatures. */
enum weir_tls_signature {
    /** ECDSA (FIPS 186-4): an ECDSA-Sig-Value in DER (RFC 3279). */
    WEIR_TLS_SIGNATURE_ECDSA = 1,
    /** RSASSA-PSS (RFC 8017), with the same hash for the mask, and a salt as
     * long as the hash. */
    WEIR_TLS_SIGNATURE_RSA_PSS,
    /** RSASSA-PKCS1-v1_5 (RFC 8017); only with TLS 1.2. */
    WEIR_TLS_SIGNATURE_RSA_PKCS1,
};

/** The hash that a key signs. */
struct weir_tls_to_sign {
    size_t size;
    /** The kind of the signature. */
    enum weir_tls_signature kind;
    /** The hash of SHA-256, SHA-384 or SHA-512, depending on its size; for
     * RSASSA-PKCS1-v1_5 without the DigestInfo. Borrowed. */
    const void *hash;
    /** Bytes of the hash: 32, 48 or 64. */
    size_t hash_size;
    /** The public key: a SubjectPublicKeyInfo in DER. Borrowed. */
    const void *public_key;
    /** Bytes of the public key. */
    size_t public_key_size;
};

/**
 * Sign with a key that is elsewhere: in another process, or in hardware.
 *
 * Called once in each handshake that shows the certificate, on the thread of
 * the connection's loop, on several threads at once if their loops share the
 * context. All connections of the loop wait for it, so it should limit its
 * time; weir_tls_context_get_signatures() measures it. It must not call weir.
 * Resumed sessions need no signature.
 *
 * weir verifies each signature with the certificate. A wrong signature, or an
 * error, ends the handshake with the alert internal_error and WEIR_ETLSSIGN.
 * With TLS 1.3 and a wolfSSL without secret callbacks (and so without keylog)
 * the connection ends without an alert.
 *
 * @param user       sign_user of the certificate; borrowed
 * @param job        the hash to sign; borrowed
 * @param signature  receives the signature
 * @param size       bytes of @p signature: for ECDSA the maximum, 72, 104 or
 *                   139 depending on the curve; for RSA the size of the modulus
 * @return           bytes of the signature, or a negative error
 */
typedef int weir_tls_sign_fn(void *user, const struct weir_tls_to_sign *job,
                             void *signature, size_t size);

/** A certificate and its key. */
struct weir_tls_identity {
    size_t size;
    /** The chain of certificates, beginning with the leaf. */
    struct weir_tls_pem certificate;
    /** The leaf's private key; default: in the text of the certificate. An
     * encrypted key needs the passphrase of the options. */
    struct weir_tls_pem key;
    /** Signs instead of the key, as sign of the options does. */
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
 * The connection shows a certificate of the returned context: the identity for
 * the name and the client's kinds of keys, else the first certificate, unless
 * that context refuses unknown names. All other settings are still taken from
 * the connection's own context: versions, suites, application protocols,
 * client_auth, session tickets. No certificate is shown when a session is
 * resumed. The connection keeps a reference to the returned context, which
 * weir_tls_get_context() returns.
 *
 * @param user  choose_user of the options; borrowed
 * @param name  the requested name, as the client wrote it, or NULL; borrowed
 * @param ret   receives a server context, given to weir: a program that keeps
 *              the context stores weir_tls_context_ref(context). If it stays
 *              NULL the connection's own context is used
 * @return      0, or a negative error, which ends the handshake:
 *              WEIR_ETLSNONAME with the alert unrecognized_name, any other
 *              error with internal_error
 */
typedef int weir_tls_choose_fn(void *user, const char *name,
                               weir_tls_context **ret);

/**
 * Return the passphrase of an encrypted key. Called by weir_tls_context_new(),
 * on its thread, for each encrypted key. It may block. weir wipes the
 * passphrase before weir_tls_context_new() returns.
 *
 * @param user  passphrase_user of the options; borrowed
 * @param file  path of the key's file, or NULL for text in memory; borrowed
 * @param buf   receives the passphrase
 * @param size  bytes of @p buf: 1024
 * @return      bytes of the passphrase, not 0, or a negative error, which
 *              weir_tls_context_new() returns
 */
typedef int weir_tls_passphrase_fn(void *user, const char *file, char *buf,
                                   size_t size);

/** Options of a context. */
struct weir_tls_options {
    size_t size;
    /** True for a server context, false for a client context. */
    bool server;
    /** Client: accept every certificate, even a forged one. For tests. */
    bool no_verify;
    /** Client: do not trust the system's authorities, which is also the case if
     * authorities or an authority_folder is given. */
    bool no_system_authorities;
    /** Server: no session tickets, so that no session is resumed. */
    bool no_tickets;
    /** Server: the policy for client certificates. A resumed session has the
     * certificates of its full handshake; they are verified again, with the
     * current time, authorities and lists. If they would be refused the session
     * is not resumed, and the client sends its certificate in a full handshake,
     * as it does at least once in each ticket_lifetime_ns. The context
     * remembers 1024 clients with at most 16 KiB of certificates, so at most 16
     * MiB of malloc(), which no weir_allocator counts. Clients that it has
     * forgotten, and clients of another context, make a full handshake,
     * whatever ticket_keys are. */
    enum weir_tls_client_auth client_auth;
    /** The lowest accepted version. */
    enum weir_tls_version min_version;
    /** The highest offered version. */
    enum weir_tls_version max_version;
    /** The chain of certificates, the leaf first; a server needs it. */
    struct weir_tls_pem certificate;
    /** The leaf's private key; default: in the text of the certificate. An
     * encrypted key needs a passphrase: PKCS #8 with PBES2 (PBKDF2 of at most
     * 10,000,000 rounds with SHA-1, SHA-256, SHA-384 or SHA-512; AES-CBC), or
     * the older form of OpenSSL with AES-CBC (DEK-Info). Other encryptions fail
     * with WEIR_ETLSFILE. */
    struct weir_tls_pem key;
    /** Authorities that are trusted to issue the peers' certificates. At most
     * 10 certificates of a peer are read, and at most 16 signatures are
     * verified in the search for a path; this allows for issuers with the same
     * name. Slower keys have a lower limit: 8 signatures with P-384, 5 with
     * P-521 or with RSA with an exponent above 17 bits. A peer that needs more
     * is refused with WEIR_ETLSPATHLEN. */
    struct weir_tls_pem authorities;
    /** Certificate revocation lists (CRL), PEM. If they are given, every
     * certificate of a path below the authority is checked against the lists of
     * its issuer. The issuer must have a current list that it has signed and
     * may sign (keyUsage: cRLSign), otherwise WEIR_ETLSNOCRL. An authority is
     * not checked, unless another authority has issued it and lists it.
     *
     * The context is refused with
     * - a list that is not current, unless its issuer has a current one;
     * - a list in the name of an authority that has not signed it, or may not
     *   sign lists (keyUsage);
     * - an incomplete list (delta, issuingDistributionPoint), or a list of
     *   another issuer's certificates;
     * - a list with an unknown critical extension.
     *
     * Lists are -EINVAL if nothing is verified: for a server without
     * client_auth, and with no_verify.
     *
     * A client with lists resumes no sessions: each handshake is a full
     * handshake. */
    struct weir_tls_pem revocations;
    /** Application protocols (ALPN), separated by commas, the preferred first,
     * as in "h2,http/1.1": 1 to 32 names of 1 to 255 bytes; NULL means no ALPN.
     * A server selects the first name of its list that the client offers;
     * without a common name it refuses the client with the alert
     * no_application_protocol. A client without ALPN is accepted.
     */
    const char *alpn;
    /** Cipher suites by their IANA names, separated by colons, the preferred
     * first; default all supported suites, which are:
     * - TLS 1.3: TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384,
     *   TLS_CHACHA20_POLY1305_SHA256;
     * - TLS 1.2, server's key on a curve (ECDSA, Ed25519):
     *   TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
     *   TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
     *   TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;
     * - TLS 1.2, server's key of RSA: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
     *   TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
     *   TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256.
     *
     * Other names, like OpenSSL's ECDHE-RSA-AES128-GCM-SHA256, are refused with
     * WEIR_ETLSCIPHERS, and the error text has these names. A list without
     * suites of TLS 1.3 makes TLS 1.2 the highest version, and a list without
     * suites of TLS 1.2 makes TLS 1.3 the lowest. */
    const char *ciphers;
    /** Server: further certificates with their keys. For a requested name (SNI)
     * the server uses the first certificate for this name, beginning with the
     * certificate above, whose key the client supports with its signature
     * algorithms, and with TLS 1.2 with its suites and curves: an ECDSA and an
     * RSA certificate for one name serve all clients. If no certificate
     * matches, or the client requests no name, it uses the certificate above,
     * or another certificate with one of its names. */
    const struct weir_tls_identity *const *identities;
    /** Number of the identities. */
    size_t identity_count;
    /** Server: refuse a client that requests a name without a certificate, with
     * WEIR_ETLSNONAME and the alert unrecognized_name. A name with a NUL, or of
     * more than 255 bytes, is always refused in this way. */
    bool refuse_unknown_names;
    /** Server: how long a session can be resumed, in nanoseconds, rounded down
     * to seconds; default 2 hours, at most 7 days. */
    uint64_t ticket_lifetime_ns;
    /** Server: keys that encrypt session tickets, for processes or machines of
     * the same version that resume each other's sessions: 1 to 4 keys of 48
     * random bytes (16 for a name, 32 for a secret), copied. The first key
     * encrypts, all decrypt. With the keys an attacker can read the TLS 1.2
     * connections that they resume; change them often, with a new context. A
     * ticket is valid only for the server name of the connection that got it.
     * NULL means a key that the context makes and renews every lifetime. */
    const void *ticket_keys;
    /** Bytes at ticket_keys. */
    size_t ticket_keys_size;
    /** Called with each secret of each connection, as a line in NSS key log
     * format without its newline. With the line captured traffic can be
     * decrypted, for example by Wireshark. Called on the thread of the
     * connection's loop, within the handshake: it must not call weir, and must
     * lock shared data. Sessions that a server resumes with TLS 1.2 are not
     * logged. May be NULL.
     */
    void (*keylog)(void *user, const char *line);
    /** The first argument of keylog; borrowed for the life of the context. */
    void *keylog_user;
    /** Server: chooses a certificate in each handshake, if identities are not
     * known beforehand; NULL means that identities are used. */
    weir_tls_choose_fn *choose;
    /** The first argument of choose; borrowed for the life of the context. */
    void *choose_user;
    /** Path of a folder of PEM files, plain or made by OpenSSL's rehash. Its
     * certificates are authorities, in addition to `authorities`, and the
     * system's authorities are not trusted. Files without certificates, or with
     * certificates that are not valid now, are skipped; at least one must be
     * valid. Later changes of the folder have no effect. */
    const char *authority_folder;
    /** Groups of the key exchange, separated by colons, the preferred first;
     * default all supported groups: X25519MLKEM768 (with OpenSSL 3.5 or later),
     * X25519, P-256, P-384, P-521 (unless wolfSSL was built without it). Other
     * names, like secp256r1 or prime256v1, are refused with WEIR_ETLSGROUPS,
     * and the error text has these names.
     *
     * A client sends a key share for the first group, and with X25519MLKEM768,
     * which only TLS 1.3 has, a second one for the next group; a server that
     * wants another group requests it, which costs a round trip. Without a
     * common group the handshake fails: on a server with WEIR_ETLSGROUP, on a
     * client with an alert, usually handshake_failure. With TLS 1.2 a client's
     * list also limits the curves of the server's certificate. A server with a
     * list needs TLS 1.3 as its minimum version, otherwise WEIR_ETLSGROUPS. */
    const char *groups;
    /** The required TLS library, "openssl" or "wolfssl", in letters of any
     * case, for programs that may be used with only one of them; NULL accepts
     * both. If libweir-tls has the other one the call fails with -EOPNOTSUPP,
     * and the error text names the library. */
    const char *library;
    /** Require OpenSSL in FIPS mode (`fips=yes` among the default properties of
     * openssl.cnf, and a loaded module), otherwise -EOPNOTSUPP. wolfSSL is
     * never in FIPS mode. */
    bool fips;
    /** The passphrase of all encrypted keys, including the identities': the
     * first line of this text, of 1 to 1024 bytes, without LF or CR LF. */
    struct weir_tls_pem passphrase;
    /** Returns the passphrase of each encrypted key, if `passphrase` is not
     * set; without both an encrypted key fails with WEIR_ETLSPASSWORD. */
    weir_tls_passphrase_fn *passphrase_callback;
    /** The first argument of passphrase_callback; borrowed. */
    void *passphrase_user;
    /** Signs instead of the key, which must not be set then (-EINVAL): for
     * certificates with a key of RSA, of 2048 to 4096 bits, or on P-256, P-384
     * or P-521. Other kinds of keys, and RSA with a wolfSSL without libcrypto
     * (-Drsa=wolfssl), fail with -EOPNOTSUPP; other sizes of RSA with
     * WEIR_ETLSFILE. A key of another certificate is detected in the first
     * handshake, which makes the first call. NULL means that the key signs. */
    weir_tls_sign_fn *sign;
    /** The first argument of sign; borrowed for the life of the context. */
    void *sign_user;
};

/**
 * Make a context. Files are read at once, so this call may wait for a disk:
 * make contexts before a loop runs, or in an executor's job. In a task the call
 * needs 48 KiB of stack.
 *
 * @param options     the options; borrowed
 * @param ret         the context, given: weir_tls_context_unref()
 * @param error_text  receives a line about the failure, with the file's name if
 *                    it is about a file; after success a warning if a
 *                    certificate of the options is not valid now or is not
 *                    followed by its issuer's, else an empty line; borrowed,
 *                    may be NULL
 * @param error_size  bytes of @p error_text
 * @return            0, or a negative error; -errno of a file is passed through
 * @retval -EINVAL         an option is out of range, or a server without a
 *                         certificate
 * @retval -EOPNOTSUPP     the required library or FIPS mode is missing; a
 *                         keylog with a wolfSSL without secret callbacks; a
 *                         sign function that the library cannot use
 * @retval -ENOENT         no such file or folder
 * @retval -EMFILE         no descriptor for a file or a folder, the system's
 *                         authorities among them; -ENFILE, -ENOMEM likewise
 * @retval WEIR_ETLSFILE   a text is invalid, or the folder or the authorities
 *                         have no authority
 * @retval WEIR_ETLSEXPIRED  the authorities or a revocation list have expired
 * @retval WEIR_ETLSNOTYET   authorities or a revocation list are not valid yet
 * @retval WEIR_ETLSPASSWORD  the key is encrypted, and the passphrase is
 *                            missing or wrong
 * @retval WEIR_ETLSNOKEY  a certificate without a key
 * @retval WEIR_ETLSMISMATCH  the key does not match the certificate
 * @retval WEIR_ETLSCIPHERS  a name in ciphers is unknown, or no suite is for an
 *                           allowed version
 * @retval WEIR_ETLSVERSION  the configuration of OpenSSL (MinProtocol,
 *                           MaxProtocol) forbids the versions
 * @retval WEIR_ETLSGROUPS  a name in groups is unknown, or a server with groups
 *                          accepts TLS 1.2
 */
WEIR_API WEIR_MUST_USE int
weir_tls_context_new(const struct weir_tls_options *options,
                     weir_tls_context **ret, char *error_text,
                     size_t error_size);

/** Take one more reference. */
WEIR_API weir_tls_context *weir_tls_context_ref(weir_tls_context *context);

/** Release a reference. The last release frees the context. Connections hold
 * their own references. */
WEIR_API void weir_tls_context_unref(weir_tls_context *context);

/** The keys of a context's session tickets, and their age. They are secret:
 * they can decrypt the TLS 1.2 connections that they resume. */
struct weir_tls_ticket_keys {
    size_t size;
    /** The keys, for weir_tls_context_set_ticket_keys() of the same version of
     * the library, on this machine. */
    unsigned char data[208];
};

/**
 * Get the keys of session tickets, for a context that replaces this one, for
 * example with a renewed certificate, here or in another process.
 *
 * @param context  a context for servers; borrowed
 * @param ret      the keys; overwrite them after use (explicit_bzero())
 * @retval -ENOENT  the context issues no tickets: it is for clients, or has
 *                  no_tickets
 * @retval -EINVAL  @p context or @p ret is NULL
 */
WEIR_API WEIR_MUST_USE int
weir_tls_context_get_ticket_keys(weir_tls_context *context,
                                 struct weir_tls_ticket_keys *ret);

/**
 * Use the keys of another context for session tickets, so that its sessions can
 * be resumed, before the first connection of this context.
 *
 * Keys that the library has made keep their age, and are still replaced by new
 * ones after the lifetime of tickets.
 *
 * @param context  a context for servers; borrowed
 * @param keys     from weir_tls_context_get_ticket_keys(); copied
 * @return         0; after an error the keys are unchanged
 * @retval -ENOENT  the context issues no tickets, as above
 * @retval -EINVAL  a parameter is NULL, or @p keys has no valid keys
 * @retval WEIR_EOPTIONSIZE  the size of @p keys is wrong
 */
WEIR_API WEIR_MUST_USE int
weir_tls_context_set_ticket_keys(weir_tls_context *context,
                                 const struct weir_tls_ticket_keys *keys);

/** Counts of the sign functions of a context. */
struct weir_tls_signatures {
    size_t size;
    /** Calls. */
    uint64_t count;
    /** Calls without a valid signature. */
    uint64_t failed;
    /** The time of all calls, in nanoseconds, in which loops have waited. */
    uint64_t total_ns;
    /** The longest call, in nanoseconds. */
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
    /** Its name: "wolfSSL", "OpenSSL". */
    const char *name;
    /** The version of the running library: "5.7.2". */
    const char *version;
    /** The version of the source package from which the library inside
     * libweir-tls was built, with the distribution's revision, which identifies
     * fixes: "5.7.2-0.1+deb13u2". NULL if the library is the system's
     * package. */
    const char *source;
    /** True if its configuration sets FIPS mode. The call initialises the
     * library, which reads that configuration. */
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
