/**
 * @file error.h
 * Error codes.
 *
 * Errors of the kernel are returned as `-errno`. weir's own codes are below
 * -4095, where no errno can be, in groups of a hundred: streams, the ring,
 * usage, TLS, names, processes.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread any
 * @suspends no
 */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include "base.h"

WEIR_BEGIN_DECLS

/** weir's own error codes. */
enum weir_error {
    /** The idle time-out: the connection has sent and received no byte for
     * idle_ns (struct weir_timeouts). */
    WEIR_EIDLE = -4100,
    /** The read time-out: the peer has sent no byte for read_ns (struct
     * weir_timeouts). */
    WEIR_EREADTIMEOUT = -4101,
    /** The write-stall time-out: bytes wait, and the peer has received no byte
     * for write_stall_ns (struct weir_timeouts). */
    WEIR_EWRITESTALL = -4102,
    /** A close has taken too long, and was ended. Bytes that the peer has not
     * received may be lost. */
    WEIR_ECLOSETIMEOUT = -4103,
    /** The get_buffer of a buffered protocol has returned no memory. */
    WEIR_ENOBUFFER = -4104,

    /** The stream has ended before all requested bytes had arrived. */
    WEIR_EINCOMPLETE = -4105,
    /** There is no separator within the limit, or there are more bytes than
     * allowed. */
    WEIR_ELIMIT = -4106,
    /** The connection has ended because the peer has ended its stream. */
    WEIR_EPEERCLOSED = -4107,
    /** The kernel has reported a receive buffer that cannot be right. The bytes
     * are not delivered, because they may belong to another connection. */
    WEIR_EBADBUFFER = -4108,

    /** io_uring is disabled by sysctl kernel.io_uring_disabled. */
    WEIR_ERINGSYSCTL = -4200,
    /** io_uring is refused by a seccomp filter or a security module. */
    WEIR_ERINGSECCOMP = -4201,
    /** The kernel has no io_uring at all. */
    WEIR_ERINGABSENT = -4202,
    /** The kernel's io_uring is older than weir needs (Linux 6.1). */
    WEIR_ERINGOLD = -4203,
    /** RLIMIT_MEMLOCK is too small even for the smallest ring and its buffers.
     */
    WEIR_ERINGMEMLOCK = -4204,
    /** Completions were lost because memory ran out; the ring is unusable. */
    WEIR_ERINGLOST = -4205,

    /** The text is a host name, or not an address at all, and only a literal
     * address is accepted. */
    WEIR_ENOTLITERAL = -4300,
    /** A function that suspends was called outside of a task, for example in a
     * callback. */
    WEIR_ENOTTASK = -4301,
    /** No further task stack with a guard can be made, because the limit
     * vm.max_map_count is reached (before Linux 6.13, or after mlockall()). */
    WEIR_ESTACKLIMIT = -4302,
    /** The barrier was aborted or reset. */
    WEIR_EBROKEN = -4303,
    /** The queue was shut down. */
    WEIR_EQUEUESHUTDOWN = -4304,
    /** TLS was started on this transport, and a new transport has replaced it
     * (start_tls.h). */
    WEIR_EREPLACED = -4305,
    /** The size field of options, or of a struct for a result, is not set. */
    WEIR_EOPTIONSIZE = -4306,

    /** A text with certificates, keys or revocation lists is invalid. If a file
     * cannot be read, the error is an `-errno` instead. */
    WEIR_ETLSFILE = -4401,
    /** A certificate was given without its private key, or a key without a
     * certificate. */
    WEIR_ETLSNOKEY = -4402,
    /** The private key does not match the certificate. */
    WEIR_ETLSMISMATCH = -4403,
    /** The private key is encrypted, and the password is missing or wrong. */
    WEIR_ETLSPASSWORD = -4404,
    /** The name of a cipher suite is unknown, or no suite can be used. */
    WEIR_ETLSCIPHERS = -4405,
    /** The TLS library failed with another error; see the error text. */
    WEIR_ETLSENGINE = -4406,
    /** The name of a key exchange group is unknown, or groups cannot be chosen
     * here. */
    WEIR_ETLSGROUPS = -4407,

    /** A certificate of the peer has expired. */
    WEIR_ETLSEXPIRED = -4420,
    /** A certificate of the peer is not valid yet. */
    WEIR_ETLSNOTYET = -4421,
    /** No trusted issuer has signed the peer's certificate. */
    WEIR_ETLSISSUER = -4422,
    /** The peer's certificate is self-signed and not trusted. */
    WEIR_ETLSSELFSIGNED = -4423,
    /** The peer's certificate is not for the requested name. */
    WEIR_ETLSHOSTNAME = -4424,
    /** A certificate of the peer was revoked. */
    WEIR_ETLSREVOKED = -4425,
    /** It is unknown whether a certificate of the peer was revoked, because the
     * issuer's list is missing or invalid. */
    WEIR_ETLSNOCRL = -4426,
    /** The peer's certificate may not be used for this purpose (keyUsage,
     * extendedKeyUsage). */
    WEIR_ETLSPURPOSE = -4427,
    /** A key or a signature of the peer is too weak. */
    WEIR_ETLSWEAK = -4428,
    /** An issuer may not issue for this name (name constraints). */
    WEIR_ETLSCONSTRAINT = -4429,
    /** The chain of the peer's certificates is too long. */
    WEIR_ETLSPATHLEN = -4430,
    /** A certificate of the peer has an unknown critical extension. */
    WEIR_ETLSCRITICAL = -4431,
    /** A certificate of the peer is malformed, or its signature is wrong. */
    WEIR_ETLSBADCERT = -4432,
    /** The peer has sent no certificate, although one is required. */
    WEIR_ETLSNOCERT = -4433,

    /** The peer has ended the connection with a TLS alert; the error text has
     * its name. */
    WEIR_ETLSALERT = -4440,
    /** The peer has violated the TLS protocol, or does not use TLS. */
    WEIR_ETLSPROTOCOL = -4441,
    /** A TLS record was altered, or belongs to another connection. */
    WEIR_ETLSRECORD = -4442,
    /** The connection has ended without the peer's close_notify. */
    WEIR_ETLSTRUNCATED = -4443,
    /** The TLS handshake, or the wait for the peer's close_notify, has taken
     * too long. */
    WEIR_ETLSTIMEOUT = -4444,
    /** The two sides have no common TLS version. */
    WEIR_ETLSVERSION = -4445,
    /** The two sides have no common cipher suite or signature algorithm, or
     * with TLS 1.2 no common group. */
    WEIR_ETLSCIPHER = -4446,
    /** The two sides have no common application protocol (ALPN). */
    WEIR_ETLSALPN = -4447,
    /** The peer has sent too many TLS records without data: alerts, key
     * updates, empty records. */
    WEIR_ETLSFLOOD = -4448,
    /** A client has requested a name for which the server has no
     * certificate. */
    WEIR_ETLSNONAME = -4449,
    /** This side's private key could not sign. */
    WEIR_ETLSSIGN = -4450,
    /** The two sides have no common group of the key exchange, such as
     * X25519. */
    WEIR_ETLSGROUP = -4451,

    /** The host name does not exist (NXDOMAIN). */
    WEIR_EDNSNOTFOUND = -4500,
    /** The host name exists, but has no address of the requested family. */
    WEIR_EDNSNODATA = -4501,
    /** The name servers cannot answer now (SERVFAIL); a later lookup may
     * succeed. */
    WEIR_EDNSSERVFAIL = -4502,
    /** No name server has answered in time; a later lookup may succeed. */
    WEIR_EDNSTIMEOUT = -4503,
    /** The name servers refuse to answer (REFUSED, NOTIMP). */
    WEIR_EDNSREFUSED = -4504,
    /** No name server could be reached. */
    WEIR_EDNSUNREACHABLE = -4505,
    /** The answer of a name server is malformed. */
    WEIR_EDNSBADANSWER = -4506,
    /** The text is not a valid host name. */
    WEIR_EDNSBADNAME = -4507,
    /** The name of the service is unknown. */
    WEIR_ESERVICE = -4508,
    /** The host is a name, and weir was built without a resolver (c-ares). */
    WEIR_ENONAMES = -4509,
    /** The domain declares that it does not have this service (an SRV record
     * whose host is "."). */
    WEIR_EDNSNOSERVICE = -4510,
    /** The exit status of a child process is unknown, because other code has
     * reaped the child, or the child could not be waited for. */
    WEIR_ENOSTATUS = -4600,
};

/**
 * Return a line of text for an error code, without a full stop at the end.
 *
 * @param err  a negative code from this library, or 0
 * @return     a string with static life time, never NULL
 */
WEIR_API const char *weir_strerror(int err);

/**
 * Return the name of an error code, for example "ECONNRESET" or "WEIR_EIDLE".
 *
 * @param err  a negative code from this library, or 0
 * @return     a string with static life time, never NULL
 */
WEIR_API const char *weir_err_name(int err);

WEIR_END_DECLS

#endif
