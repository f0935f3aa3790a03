/**
 * @file tls.h
 * TLS contexts: keys, certificates and rules of TLS connections.
 *
 * A context is made once, for servers or for clients, and shared by any number
 * of connections, loops and threads. It never changes; for a new certificate a
 * server makes a new context.
 *
 * The defaults are strict: TLS 1.2 and 1.3, suites with authenticated
 * encryption and forward secrecy, strong keys and signatures; a client verifies
 * the server's certificate and its name. The WEIR_ETLS... codes of error.h
 * distinguish the faults of certificates.
 *
 * Only names in subjectAltName count. A wildcard is a whole first label,
 * followed by two labels or more.
 *
 * A peer may send its certificates in any order, with unrelated ones among
 * them: weir searches for a path to an authority, and verifies each signature
 * of the path itself, by an algorithm of the same kind as the issuer's key.
 * Every certificate of the path must satisfy these rules. The constraints of
 * each issuer, also of the authority, apply to all certificates below it: names
 * (DNS, IP, mail and directory names; constrained names of other kinds are
 * refused) and the length of the path. At most 10 certificates of a peer are
 * read (9 if wolfSSL was built with its default limit).
 *
 * TLS is a separate library, libweir-tls (`pkg-config weir-tls`), by wolfSSL or
 * by OpenSSL 3, as it was built; include/guide/tls.md has the differences.
 * libweir calls it through functions in the context.
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
    /** The default: 1.2 as the lowest, 1.3 as the highest. */
    WEIR_TLS_VERSION_DEFAULT = 0,
    /** TLS 1.2 (RFC 5246). */
    WEIR_TLS_1_2,
    /** TLS 1.3 (RFC 8446). */
    WEIR_TLS_1_3,
};

/** A server's policy for client certificates. */
enum weir_tls_client_auth {
    /** The server does not ask. */
    WEIR_TLS_CLIENT_AUTH_NONE = 0,
    /** The server asks, and verifies the certificate of a client, if any. */
    WEIR_TLS_CLIENT_AUTH_OPTIONAL,
    /** A client must have a good certificate; none is WEIR_ETLSNOCERT. */
    WEIR_TLS_CLIENT_AUTH_REQUIRED,
};

/** Text in the PEM format: in a file, or in memory. Certificates stand in
 * blocks called CERTIFICATE, or X509 CERTIFICATE; a text with a block called
 * TRUSTED CERTIFICATE, which is OpenSSL's own, is refused. */
struct weir_tls_pem {
    /** Path of a file; NULL: the text is in memory, or there is no text. */
    const char *file;
    /** The text. */
    const void *data;
    /** Bytes of the text. */
    size_t size;
};

/** Kinds of signatures that a key is asked for. */
enum weir_tls_signature {
    /** ECDSA (FIPS 186-4): an ECDSA-Sig-Value in DER (RFC 3279). */
    WEIR_TLS_SIGNATURE_ECDSA = 1,
    /** RSASSA-PSS (RFC 8017), with the same hash for the mask, and a salt as
     * long as the hash. */
    WEIR_TLS_SIGNATURE_RSA_PSS,
    /** RSASSA-PKCS1-v1_5 (RFC 8017); with TLS 1.2 alone. */
    WEIR_TLS_SIGNATURE_RSA_PKCS1,
};

/** The hash that a key signs. */
struct weir_tls_to_sign {
    size_t size;
    /** The kind of the signature. */
    enum weir_tls_signature kind;
    /** The hash, by SHA-256, SHA-384 or SHA-512, as its size says;
     * with RSASSA-PKCS1-v1_5 without the DigestInfo. Borrowed. */
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
 * context. All connections of the loop wait for it, so it should have a limit
 * in time of its own: weir_tls_context_get_signatures() has the time. It may
 * call no function of weir. Sessions that are resumed need no signature.
 *
 * weir verifies each signature by the certificate. A wrong one, or an error,
 * ends the handshake with the alert internal_error and WEIR_ETLSSIGN. With TLS
 * 1.3 and a wolfSSL without secret callbacks, which has no keylog either, the
 * peer sees no alert, only the end.
 *
 * @param user       sign_user of the certificate; borrowed
 * @param job        what is to be signed; borrowed
 * @param signature  receives the signature
 * @param size       bytes of @p signature: for ECDSA 72, 104 or 139, by the
 *                   curve, which is the most; for RSA those of the modulus
 * @return           bytes of the signature, or a negative error
 */
typedef int weir_tls_sign_fn(void *user, const struct weir_tls_to_sign *job,
                             void *signature, size_t size);

/** A certificate and its key. */
struct weir_tls_identity {
    size_t size;
    /** The chain of certificates, beginning with the own one. */
    struct weir_tls_pem certificate;
    /** Its private key; default: in the text of the certificate. One that is
     * encrypted is opened by the passphrase of the options. */
    struct weir_tls_pem key;
    /** Signs in the place of the key, as sign of the options does. */
    weir_tls_sign_fn *sign;
    /** The first argument of sign; borrowed for the life of the context. */
    void *sign_user;
};

/**
 * Choose a server's certificate by the name that a client asks for.
 *
 * Called once in each handshake, on the thread of the connection's loop; on
 * several threads at once if their loops share the context. It must not block,
 * as the loop waits for it. It may call weir_tls_context_new(), _ref() and
 * _unref(), but no other function of weir.
 *
 * The connection shows a certificate of the returned context: the identity for
 * the name and the client's kinds of keys, else the first certificate, unless
 * that context refuses unknown names. All other settings stay those of the
 * connection's own context: versions, suites, application protocols,
 * client_auth, session tickets. No certificate is shown when a session is
 * resumed. The connection keeps a reference to the returned context, which
 * weir_tls_get_context() returns.
 *
 * @param user  choose_user of the options; borrowed
 * @param name  the requested name, as the client wrote it; NULL: no name;
 *              borrowed
 * @param ret   receives a server context, given to weir: a program that keeps
 *              the context stores weir_tls_context_ref(context); left NULL: the
 *              connection's own context
 * @return      0, or a negative error, which ends the handshake:
 *              WEIR_ETLSNONAME with the alert unrecognized_name, any other
 *              error with internal_error
 */
typedef int weir_tls_choose_fn(void *user, const char *name,
                               weir_tls_context **ret);

/**
 * Give the passphrase of an encrypted key.
 *
 * Called by weir_tls_context_new(), on its thread, for each encrypted key. It
 * may block. weir wipes the passphrase before weir_tls_context_new() returns.
 *
 * @param user  passphrase_user of the options; borrowed
 * @param file  path of the key's file; NULL: its text is in memory; borrowed
 * @param buf   receives the passphrase
 * @param size  bytes of @p buf: 1024
 * @return      bytes of the passphrase, not 0, or a negative error, which
 *              weir_tls_context_new() returns
 */
typedef int weir_tls_passphrase_fn(void *user, const char *file, char *buf,
                                   size_t size);

/** The parts of a context. */
struct weir_tls_options {
    size_t size;
    /** True: for servers; false: for clients. */
    bool server;
    /** Client: accept every certificate, even a forged one. For tests. */
    bool no_verify;
    /** Client: do not trust the system's authorities. They are not trusted
     * either if authorities or an authority_folder is given. */
    bool no_system_authorities;
    /** Server: no session tickets, so that no session is resumed. */
    bool no_tickets;
    /** Server: the policy for client certificates. A resumed session has those
     * that its client showed in the full handshake; they are verified again, by
     * the time, the authorities and the lists of now. One that would be refused
     * is not resumed: the client shows its certificate in a full handshake, as
     * it does at least once in each ticket_lifetime_ns. The context remembers
     * 1024 clients, of 16 KiB of certificates at most: that are 16 MiB for each
     * context, in the worst case, of malloc(), which no weir_allocator counts.
     * One that it has forgotten makes a full handshake, too, and so does one of
     * another context, whatever ticket_keys are. */
    enum weir_tls_client_auth client_auth;
    /** The lowest accepted version. */
    enum weir_tls_version min_version;
    /** The highest offered version. */
    enum weir_tls_version max_version;
    /** The chain of certificates, beginning with the own one; a server needs
     * it. */
    struct weir_tls_pem certificate;
    /** Its private key; default: in the text of the certificate. It may be
     * encrypted, then it needs a passphrase: PKCS #8 with PBES2 (PBKDF2 of at
     * most 10,000,000 rounds with SHA-1, SHA-256, SHA-384 or SHA-512; AES-CBC),
     * or the older form of OpenSSL with AES-CBC (DEK-Info). A key that is
     * encrypted otherwise is WEIR_ETLSFILE. */
    struct weir_tls_pem key;
    /** Authorities that are trusted to issue the peers' certificates. At most
     * 10 certificates of a peer are read, and at most 16 signatures are
     * verified in the search for a path; this leaves some for issuers with the
     * same name. Keys that take longer count more: 8 signatures by P-384, 5 by
     * P-521 or by RSA with an exponent above 17 bits. A peer that needs more is
     * refused: WEIR_ETLSPATHLEN. */
    struct weir_tls_pem authorities;
    /** Certificate revocation lists (CRL), PEM. If they are given, every
     * certificate of a path below the authority is checked against the lists of
     * its issuer. The issuer must have a current list that it has signed and
     * may sign (keyUsage: cRLSign), else: WEIR_ETLSNOCRL. An authority is not
     * checked, unless another authority has issued it and lists it.
     *
     * The context is not made with
     * - a list that is not current, unless its issuer has another one that is;
     * - a list in the name of an authority that has not signed it, or may not
     *   sign lists (keyUsage);
     * - an incomplete list (delta, issuingDistributionPoint), or a list of
     *   another issuer's certificates;
     * - a list with an unknown critical extension.
     *
     * -EINVAL if nothing is verified: for a server without client_auth, and
     * with no_verify.
     *
     * A client with lists resumes no sessions: each handshake is a full one,
     * with certificates. */
    struct weir_tls_pem revocations;
    /** Application protocols (ALPN), separated by commas, the preferred first,
     * as in "h2,http/1.1": 1 to 32 names of 1 to 255 bytes; NULL: no ALPN. A
     * server takes the first name of its list that the client offers too;
     * without a common name it refuses the client with the alert
     * no_application_protocol. A client without ALPN is accepted.
     */
    const char *alpn;
    /** Cipher suites by their IANA names, separated by colons, the preferred
     * first; NULL: all of these, which are the only ones:
     * - TLS 1.3: TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384,
     *   TLS_CHACHA20_POLY1305_SHA256;
     * - TLS 1.2, server's key on a curve (ECDSA, Ed25519):
     *   TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
     *   TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
     *   TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;
     * - TLS 1.2, server's key of RSA:
     *   TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
     *   TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
     *   TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256.
     *
     * Other names, like OpenSSL's ECDHE-RSA-AES128-GCM-SHA256, are refused:
     * WEIR_ETLSCIPHERS, with these names in the error text. A list without
     * suites of TLS 1.3 makes TLS 1.2 the highest version, and a list without
     * suites of TLS 1.2 makes TLS 1.3 the lowest. */
    const char *ciphers;
    /** Server: further certificates with their keys. For a requested name (SNI)
     * the first certificate for this name is used, beginning with the
     * certificate above, whose key the client can use, by the signature
     * algorithms that it offers, and with TLS 1.2 by its suites and curves: an
     * ECDSA and an RSA certificate for one name serve all clients. The
     * certificate above, or one that shares a name with it, is also used if
     * none is for the name, or if the client asks for no name. */
    const struct weir_tls_identity *const *identities;
    /** Number of the identities. */
    size_t identity_count;
    /** Server: refuse a client that asks for a name without a certificate, with
     * the alert unrecognized_name: WEIR_ETLSNONAME. A name with a NUL, or of
     * more than 255 bytes, is always refused so. */
    bool refuse_unknown_names;
    /** Server: how long a session can be resumed, in nanoseconds, rounded down
     * to seconds. 0: 2 hours; at most 7 days. */
    uint64_t ticket_lifetime_ns;
    /** Server: keys that encrypt session tickets, for processes or machines of
     * the same version that resume each other's sessions: 1 to 4 keys of 48
     * random bytes (16 for a name, 32 for a secret), copied. The first key
     * encrypts, all decrypt. With the keys an attacker can read the TLS 1.2
     * connections that they resume; change them often, with a new context. A
     * ticket is good only for the name that the client asked for when it got
     * the ticket. NULL: a key of the context, a new one every lifetime. */
    const void *ticket_keys;
    /** Bytes at ticket_keys. */
    size_t ticket_keys_size;
    /** Called with each secret of each connection, as a line in NSS key log
     * format without its newline. Anyone with the line can decrypt captured
     * traffic, for example with Wireshark. Called on the thread of the
     * connection's loop, within the handshake: it must not call weir, and must
     * lock shared data. Sessions that a server resumes with TLS 1.2 are not
     * logged. NULL: no log.
     */
    void (*keylog)(void *user, const char *line);
    /** The first argument of keylog; borrowed for the life of the context. */
    void *keylog_user;
    /** Server: chooses a certificate in each handshake, if identities are not
     * known beforehand; NULL: use identities. */
    weir_tls_choose_fn *choose;
    /** The first argument of choose; borrowed for the life of the context. */
    void *choose_user;
    /** Path of a folder of PEM files, plain or made by OpenSSL's rehash. The
     * certificates in its files are authorities, in addition to those above,
     * and the system's are not trusted. Files without certificates, or with
     * certificates that are not valid now, are skipped; at least one must be
     * valid. Later changes of the folder have no effect. */
    const char *authority_folder;
    /** Groups of the key exchange, separated by colons, the preferred first;
     * NULL: all of these, which are the only ones, in this order:
     * X25519MLKEM768 (with OpenSSL 3.5 or later), X25519, P-256, P-384, P-521
     * (unless wolfSSL was built without it). Other names,
     * like secp256r1 or prime256v1, are refused: WEIR_ETLSGROUPS, with these
     * names in the error text.
     *
     * A client sends its key share for the first group, and beside
     * X25519MLKEM768, which TLS 1.3 alone has, one for the first of the
     * others; a server that wants another one asks again, which costs a round
     * trip. Without a common group
     * the handshake fails: on a server with WEIR_ETLSGROUP, on a client by an
     * alert, handshake_failure as a rule. With TLS 1.2 a client's list limits
     * the curves of the server's certificate, too. A server with a list needs
     * TLS 1.3 as its lowest version, else: WEIR_ETLSGROUPS. */
    const char *groups;
    /** The library that must do TLS, "openssl" or "wolfssl", in letters of any
     * case, for programs that may be used with one of them only; NULL: the one
     * of libweir-tls, whichever it is. With another one the context is not
     * made: -EOPNOTSUPP, and the error text names the one that is there. */
    const char *library;
    /** True: make the context only if OpenSSL is in FIPS mode (`fips=yes` among
     * the default properties of openssl.cnf, and a module that is loaded);
     * else: -EOPNOTSUPP. wolfSSL never is. */
    bool fips;
    /** The passphrase of encrypted keys, also of the identities: the first line
     * of this text, of 1 to 1024 bytes, without its end, LF or CR LF. */
    struct weir_tls_pem passphrase;
    /** Gives the passphrase of each encrypted key, if there is none above;
     * NULL: an encrypted key is WEIR_ETLSPASSWORD. */
    weir_tls_passphrase_fn *passphrase_callback;
    /** The first argument of passphrase_callback; borrowed. */
    void *passphrase_user;
    /** Signs in the place of the key, which is not given then (-EINVAL): for
     * certificates with a key of RSA, of 2048 to 4096 bits, or on P-256, P-384
     * or P-521. With another kind of key, and with RSA by a wolfSSL that does
     * without libcrypto (-Drsa=wolfssl): -EOPNOTSUPP; with RSA of other sizes:
     * WEIR_ETLSFILE. It is not called before the first handshake, so a key of
     * another certificate is seen then. NULL: the key signs. */
    weir_tls_sign_fn *sign;
    /** The first argument of sign; borrowed for the life of the context. */
    void *sign_user;
};

/**
 * Make a context.
 *
 * Files are read at once, so this call may wait for a disk: make contexts
 * before a loop runs, or in an executor's job. In a task the call needs 48 KiB
 * of stack, most of it for wolfSSL's comparison of a key with its certificate.
 *
 * @param options     the options; borrowed
 * @param ret         the context, given: weir_tls_context_unref()
 * @param error_text  receives a line about the failure, with the file's name if
 *                    it is about a file; without one a notice if an own
 *                    certificate is not valid now, or has no certificate of its
 *                    issuer behind it, else an empty line; borrowed, may be
 *                    NULL
 * @param error_size  bytes of @p error_text
 * @return            0, or a negative error; -errno of a file is passed through
 * @retval -EINVAL         an option is out of range, or a server without a
 *                         certificate
 * @retval -EOPNOTSUPP     a library or a FIPS mode that is not there; a keylog,
 *                         and wolfSSL was built without secret callbacks; a
 *                         sign function that the library cannot use
 * @retval -ENOENT         no such file or folder
 * @retval -EMFILE         no descriptor for a file or a folder, the system's
 *                         authorities among them; -ENFILE, -ENOMEM likewise
 * @retval WEIR_ETLSFILE   a text is invalid, a folder has no authority, or
 *                         there is none among the authorities
 * @retval WEIR_ETLSEXPIRED  the authorities, or a revocation list, have expired
 * @retval WEIR_ETLSNOTYET   they are not valid yet
 * @retval WEIR_ETLSPASSWORD  the key is encrypted, and no passphrase or another
 *                            one is given
 * @retval WEIR_ETLSNOKEY  a certificate without a key
 * @retval WEIR_ETLSMISMATCH  the key does not match the certificate
 * @retval WEIR_ETLSCIPHERS  a name in ciphers is unknown, or no suite there is
 * for an allowed version
 * @retval WEIR_ETLSVERSION  the configuration of OpenSSL (MinProtocol,
 * MaxProtocol) forbids the versions
 * @retval WEIR_ETLSGROUPS  a name in groups is unknown, or a server with groups
 * accepts TLS 1.2
 */
WEIR_API WEIR_MUST_USE int
weir_tls_context_new(const struct weir_tls_options *options,
                     weir_tls_context **ret, char *error_text,
                     size_t error_size);

/** Take one more reference. */
WEIR_API weir_tls_context *weir_tls_context_ref(weir_tls_context *context);

/**
 * Release a reference.
 *
 * The last release frees the context. Connections hold references of their own.
 */
WEIR_API void weir_tls_context_unref(weir_tls_context *context);

/** The keys of a context's session tickets, and their age. They are secrets:
 * whoever has them can read the TLS 1.2 connections that they resume. */
struct weir_tls_ticket_keys {
    size_t size;
    /** The keys, for weir_tls_context_set_ticket_keys() of the same version of
     * the library, on this machine. */
    unsigned char data[208];
};

/**
 * Get the keys of session tickets, for a context that takes the place of this
 * one, with a renewed certificate for instance, here or in another process.
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
 * Keys that the library has made keep their age, and are replaced by new ones
 * after the lifetime of tickets as if they had been made here.
 *
 * @param context  a context for servers; borrowed
 * @param keys     from weir_tls_context_get_ticket_keys(); copied
 * @return         0; after an error the context has the keys it had
 * @retval -ENOENT  the context issues no tickets, as above
 * @retval -EINVAL  a parameter is NULL, or these are no keys
 * @retval WEIR_EOPTIONSIZE  the size of @p keys is another one
 */
WEIR_API WEIR_MUST_USE int
weir_tls_context_set_ticket_keys(weir_tls_context *context,
                                 const struct weir_tls_ticket_keys *keys);

/** The signatures by the sign functions of a context. */
struct weir_tls_signatures {
    size_t size;
    /** Calls. */
    uint64_t count;
    /** Of these, calls without a good signature. */
    uint64_t failed;
    /** The time in all calls, in nanoseconds, in which loops have waited. */
    uint64_t total_ns;
    /** The longest call, in nanoseconds. */
    uint64_t longest_ns;
};

/**
 * Get how often the sign functions of a context were called, and for how long
 * loops have waited for them.
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
    /** The version that runs, as the library itself tells it: "5.7.2". */
    const char *version;
    /** The version of the source package from which the library inside
     * libweir-tls was built, with the distribution's revision, which tells
     * fixes apart that the version does not show: "5.7.2-0.1+deb13u2". NULL:
     * the library is the system's, and the system's packages know it. */
    const char *source;
    /** True if it is in FIPS mode, as its configuration says. For this answer
     * the library is started, which reads that configuration. */
    bool fips;
};

/**
 * Get the name and the version of the TLS library inside.
 *
 * With these a program can say which fixes it has; SECURITY.md, in weir's
 * source, lists them. The texts live as long as the process.
 *
 * @param ret  filled in, up to its size; borrowed
 * @retval -EINVAL           @p ret is NULL
 */
WEIR_API int weir_tls_get_library(struct weir_tls_library *ret);

WEIR_END_DECLS

#endif
