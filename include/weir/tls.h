/**
 * @file tls.h
 * TLS contexts: keys, certificates and rules of TLS connections.
 *
 * A context is made once, for servers or for clients, and shared by any number
 * of connections, on any number of loops and threads. It does not change after
 * it was made; a server that gets a new certificate makes a new context.
 *
 * The defaults are strict: TLS 1.2 and 1.3 with suites that encrypt,
 * authenticate and keep old traffic secret; a client verifies the certificate
 * of the server and its name; keys and signatures must be strong. The
 * WEIR_ETLS... codes of error.h tell apart what is wrong with a certificate.
 *
 * Names are those of subjectAltName alone, and a wildcard is a whole first
 * label with two labels or more after it.
 *
 * A peer may send its certificates in any order, with others among them: the
 * path to an authority is looked for. Every certificate of the path is checked
 * for all of the above, and the constraints of each issuer, the trusted one's
 * too, hold for all that is below it: names (DNS, IP, mail and directory names;
 * a name of another kind that is constrained is refused) and the length of the
 * path. At most nine certificates are read.
 *
 * TLS is a library of its own, libweir-tls (`pkg-config weir-tls`), which is
 * built where wolfSSL is there. libweir reaches it by what a context brings
 * along.
 *
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

/** Whether a server asks its clients for certificates. */
enum weir_tls_client_auth {
    /** It does not ask. */
    WEIR_TLS_CLIENT_AUTH_NONE = 0,
    /** It asks, and verifies the certificate of a client that has one. */
    WEIR_TLS_CLIENT_AUTH_OPTIONAL,
    /** A client without a good certificate is refused: WEIR_ETLSNOCERT. */
    WEIR_TLS_CLIENT_AUTH_REQUIRED,
};

/** Text in the PEM format: in a file, or in memory. */
struct weir_tls_pem {
    /** Path of a file; NULL: the text is in memory, or there is none. */
    const char *file;
    /** The text. */
    const void *data;
    /** Bytes of the text. */
    size_t size;
};

/** A certificate and its key. */
struct weir_tls_identity {
    /** sizeof(struct weir_tls_identity). */
    size_t size;
    /** The chain of certificates, the own one first. */
    struct weir_tls_pem certificate;
    /** Its private key, not encrypted; default: in the text of the certificate.
     */
    struct weir_tls_pem key;
};

/**
 * A server's choice of a certificate, by the name that a client asks for.
 *
 * Each handshake calls it on the thread of the connection's loop, and once more
 * where the client has to send its first message again. Loops of several
 * threads that share the context call it at the same time. All connections of
 * the loop wait meanwhile, so it must not block. It may call
 * weir_tls_context_new(), _ref() and _unref(), and no other function of weir.
 *
 * The client is shown a certificate of the context that is named: the one for
 * the name among its identities, else its first one, unless that context
 * refuses unknown names. All the rest stays as the connection's own context has
 * it: versions, suites, application protocols, client_auth, session tickets. No
 * certificate is shown when a session is resumed. The connection keeps a
 * reference to the named context, which weir_tls_get_context() returns.
 *
 * @param user  choose_user of the options; borrowed
 * @param name  what the client asks for, as it wrote it; NULL: it asks for no
 *              name; borrowed
 * @param ret   receives a context for servers, given to weir: a program that
 *              keeps the context stores weir_tls_context_ref(context); left
 *              alone (NULL): the connection's own context
 * @return      0, or a negative error, which ends the handshake:
 *              WEIR_ETLSNONAME with the alert unrecognized_name, any other one
 *              with internal_error
 */
typedef int weir_tls_choose_fn(void *user, const char *name,
                               weir_tls_context **ret);

/** The parts of a context; zero is the default of every field. */
struct weir_tls_options {
    /** sizeof(struct weir_tls_options). */
    size_t size;
    /** For servers; else for clients. */
    bool server;
    /** Client: accept every certificate, also a forged one. For tests. */
    bool no_verify;
    /** Client: trust the authorities below alone, and not the system's. Where
     * some are given, the system's are not trusted anyway. */
    bool no_system_authorities;
    /** Server: no session tickets, so that no session is resumed. With
     * client_auth there are none anyway. */
    bool no_tickets;
    /** Server: whether clients show certificates. A server that asks for them
     * gives no session tickets, and resumes no session: a resumed one shows no
     * certificate, and its "peercert" would be missing. */
    enum weir_tls_client_auth client_auth;
    /** The lowest version that is accepted. */
    enum weir_tls_version min_version;
    /** The highest version that is offered. */
    enum weir_tls_version max_version;
    /** The chain of certificates, the own one first. A server needs one. */
    struct weir_tls_pem certificate;
    /** Its private key, not encrypted; default: in the text of the certificate.
     */
    struct weir_tls_pem key;
    /** Authorities that are trusted to issue the peers' certificates. Of a peer
     * 10 certificates are looked at, and 16 signatures of them are verified at
     * most while a path to an authority is looked for: a good path has 9, and
     * the rest is for issuers of one name with other keys. A peer with more is
     * refused: WEIR_ETLSPATHLEN. */
    struct weir_tls_pem authorities;
    /** Lists of revoked certificates (CRL), PEM. Where they are given, every
     * certificate between a peer's own and the authority is looked for on the
     * lists of its issuer, be that an authority or not, and a certificate of an
     * issuer without a list that is valid now, and that this issuer has signed
     * (keyUsage: cRLSign), is refused: WEIR_ETLSNOCRL. An authority itself is
     * not looked for, unless another authority has issued it and lists it.
     * The context is not made with a list that is not valid now, unless its
     * issuer has one that is; with one that has the name of an authority and
     * was not signed by it, or that it may not sign (keyUsage); or with one
     * that is no whole list of its issuer's certificates, as of changes alone
     * (delta), of a part of them (issuingDistributionPoint) or of another
     * issuer's, or that has a critical extension which is not known. -EINVAL
     * where nothing is verified: of a server without client_auth, and with
     * no_verify. A client with lists resumes no session: each handshake is a
     * whole one, with certificates. */
    struct weir_tls_pem revocations;
    /** Application protocols (ALPN), separated by commas, the best first, as in
     * "h2,http/1.1": 1 to 32 names of 1 to 255 bytes; NULL: none are
     * negotiated. A server takes the first name of its own list that the
     * client offers too; where there is none it refuses the client with the
     * alert no_application_protocol. A client that offers no names is accepted.
     */
    const char *alpn;
    /** Cipher suites by their IANA names, separated by colons, the best first;
     * NULL: all of these, and there are no others:
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
     * Other names, as OpenSSL's ECDHE-RSA-AES128-GCM-SHA256, are refused:
     * WEIR_ETLSCIPHERS, and the error text has the names above. A list without
     * suites of TLS 1.3 makes TLS 1.2 the highest version, and a list without
     * suites of TLS 1.2 makes TLS 1.3 the lowest. */
    const char *ciphers;
    /** Server: further certificates with their keys. For a client that asks for
     * a name (SNI) the first one is used that is for this name; the certificate
     * above is used where it is for the name itself, where none is, and where
     * the client asks for no name. */
    const struct weir_tls_identity *const *identities;
    /** Number of the identities. */
    size_t identity_count;
    /** Server: refuse a client that asks for a name that no certificate is for,
     * with the alert unrecognized_name: WEIR_ETLSNONAME. */
    bool refuse_unknown_names;
    /** Server: how long a session can be resumed, in nanoseconds; whole seconds
     * count. 0: 2 hours; at most 7 days. */
    uint64_t ticket_lifetime_ns;
    /** Server: keys that seal session tickets, for processes or machines that
     * resume each other's sessions: 1 to 4 keys of 48 random bytes, a name of
     * 16 and a secret of 32. The first one seals, all of them open. They are
     * copied. Whoever knows them can read the connections of TLS 1.2 that they
     * resume; change them often, by a new context. Tickets are good only for
     * the name that the client asked for when it got them. With client_auth
     * they seal nothing. NULL: a key of the context's own, a new one every
     * lifetime. */
    const void *ticket_keys;
    /** Bytes at ticket_keys. */
    size_t ticket_keys_size;
    /** Called with each secret of each connection, as a line of the NSS key log
     * without its end, with which Wireshark reads captured traffic: whoever has
     * the line can, too. It is called on the thread of the connection's loop,
     * within the handshake: it must not call weir, and locks what it shares.
     * Sessions that a server resumes by TLS 1.2 are not logged. NULL: no log.
     */
    void (*keylog)(void *user, const char *line);
    /** The first argument of keylog; borrowed as long as the context is. */
    void *keylog_user;
    /** Server: chooses a certificate in each handshake, where identities are
     * not known beforehand; NULL: as identities say. A client whose name is
     * longer than 255 bytes is refused then. */
    weir_tls_choose_fn *choose;
    /** The first argument of choose; borrowed as long as the context is. */
    void *choose_user;
    /** Path of a folder with files in the PEM format, a plain one or one made
     * by OpenSSL's rehash: the certificates in its files are authorities,
     * beside those above, and the system's are not trusted. Files without
     * certificates are left out, and so are files whose certificates are not
     * valid now; there must be one that is. Later changes of the folder are not
     * seen. */
    const char *authority_folder;
};

/**
 * Make a context.
 *
 * Files are read at once, so this call may wait for a disk: make contexts
 * before a loop runs, or in an executor's job. On a task the call needs 48 KiB
 * of stack: wolfSSL needs most of them to compare a key with its certificate.
 *
 * @param options     what it is made of; borrowed
 * @param ret         the context, given: weir_tls_context_unref()
 * @param error_text  receives a line on what failed, with the file where it is
 *                    one, or an empty line; borrowed, may be NULL
 * @param error_size  bytes of @p error_text
 * @return            0, or a negative error; -errno of a file is passed through
 * @retval -EINVAL         an option is out of range, or a server without a
 *                         certificate
 * @retval -EOPNOTSUPP     a keylog, and wolfSSL was built without secret
 *                         callbacks
 * @retval -ENOENT         there is no such file or folder
 * @retval WEIR_ETLSFILE   a text is not what it should be, or a folder has no
 *                         authority
 * @retval WEIR_ETLSEXPIRED  the authorities, or a list of revocations, are not
 *                           valid any more
 * @retval WEIR_ETLSNOTYET   they are not valid yet
 * @retval WEIR_ETLSPASSWORD  the key is encrypted
 * @retval WEIR_ETLSNOKEY  a certificate without a key
 * @retval WEIR_ETLSMISMATCH  the key is not that of the certificate
 * @retval WEIR_ETLSCIPHERS  a name in ciphers is not known, or no suite there
 * is of a version that is allowed
 */
WEIR_API WEIR_MUST_USE int
weir_tls_context_new(const struct weir_tls_options *options,
                     weir_tls_context **ret, char *error_text,
                     size_t error_size);

/**
 * Take one more reference.
 *
 * @param context  the context; borrowed
 * @return         @p context; the reference is given
 */
WEIR_API weir_tls_context *weir_tls_context_ref(weir_tls_context *context);

/**
 * Give a reference back.
 *
 * The last one frees the context. Connections hold references of their own.
 *
 * @param context  the context, one reference is taken; or NULL
 */
WEIR_API void weir_tls_context_unref(weir_tls_context *context);

WEIR_END_DECLS

#endif
