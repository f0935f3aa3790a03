/**
 * @file error.h
 * Error codes.
 *
 * The kernel's errors are passed through as `-errno`. weir's own codes are
 * below -4095, where no errno can be, in groups of a hundred: stream, ring,
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
    /** No byte moved within a transport's idle time-out. */
    WEIR_EIDLE = -4100,
    /** The peer sent nothing within the read time-out. */
    WEIR_EREADTIMEOUT = -4101,
    /** The peer accepted nothing within the write-stall time-out. */
    WEIR_EWRITESTALL = -4102,
    /** A close took longer than its time-out; unsent bytes were dropped. */
    WEIR_ECLOSETIMEOUT = -4103,
    /** A buffered protocol offered no memory to receive into. */
    WEIR_ENOBUFFER = -4104,

    /** The stream ended before all requested bytes. */
    WEIR_EINCOMPLETE = -4105,
    /** No separator within the limit. */
    WEIR_ELIMIT = -4106,
    /** The peer's end of stream ended the connection. */
    WEIR_EPEERCLOSED = -4107,
    /** The kernel's report about a receive buffer cannot be true: the bytes may
     * be another connection's and are not delivered. */
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

    /** A host name where only a literal address is accepted. */
    WEIR_ENOTLITERAL = -4300,
    /** A suspending call outside of a task, or in a callback. */
    WEIR_ENOTTASK = -4301,
    /** No more guarded stacks: vm.max_map_count (before Linux 6.13). */
    WEIR_ESTACKLIMIT = -4302,
    /** The barrier was aborted or reset. */
    WEIR_EBROKEN = -4303,
    /** The queue was shut down. */
    WEIR_EQUEUESHUTDOWN = -4304,
    /** start_tls has replaced this transport by another one. */
    WEIR_EREPLACED = -4305,
    /** The size field of options or of a result is not set; see base.h. */
    WEIR_EOPTIONSIZE = -4306,

    /** A text of certificates, keys or revocation lists is invalid. A file that
     * cannot be read is an `-errno`. */
    WEIR_ETLSFILE = -4401,
    /** A certificate without its private key, or a key without a
     * certificate. */
    WEIR_ETLSNOKEY = -4402,
    /** The private key does not match the certificate. */
    WEIR_ETLSMISMATCH = -4403,
    /** The private key is encrypted, and the password is missing or wrong. */
    WEIR_ETLSPASSWORD = -4404,
    /** A cipher suite's name is unknown, or no suite can be used. */
    WEIR_ETLSCIPHERS = -4405,
    /** The TLS library failed with another error; see the error text. */
    WEIR_ETLSENGINE = -4406,
    /** The name of a key exchange group is unknown, or none can be chosen. */
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
    /** Revocation is unknown: the issuer's list is missing or invalid. */
    WEIR_ETLSNOCRL = -4426,
    /** The peer's certificate is not for this purpose. */
    WEIR_ETLSPURPOSE = -4427,
    /** A key or a signature of the peer is too weak. */
    WEIR_ETLSWEAK = -4428,
    /** An issuer may not issue for this name (name constraints). */
    WEIR_ETLSCONSTRAINT = -4429,
    /** The chain of certificates is too long. */
    WEIR_ETLSPATHLEN = -4430,
    /** A certificate has an unknown critical extension. */
    WEIR_ETLSCRITICAL = -4431,
    /** A certificate of the peer is malformed, or its signature is wrong. */
    WEIR_ETLSBADCERT = -4432,
    /** The peer sent no certificate where one is required. */
    WEIR_ETLSNOCERT = -4433,

    /** The peer ended the connection with an alert; the error text names it. */
    WEIR_ETLSALERT = -4440,
    /** The peer violated the protocol, or speaks another one. */
    WEIR_ETLSPROTOCOL = -4441,
    /** A record was altered, or belongs to another connection. */
    WEIR_ETLSRECORD = -4442,
    /** The stream ended without the peer's close_notify. */
    WEIR_ETLSTRUNCATED = -4443,
    /** The handshake, or the wait for a close_notify, took too long. */
    WEIR_ETLSTIMEOUT = -4444,
    /** No common TLS version. */
    WEIR_ETLSVERSION = -4445,
    /** No common cipher suite or signature algorithm; with TLS 1.2 also no
     * common group. */
    WEIR_ETLSCIPHER = -4446,
    /** No common application protocol (ALPN). */
    WEIR_ETLSALPN = -4447,
    /** Too many records without data: alerts, key updates, empty records. */
    WEIR_ETLSFLOOD = -4448,
    /** A client asked for a name for which the server has no certificate. */
    WEIR_ETLSNONAME = -4449,
    /** This side's private key could not sign. */
    WEIR_ETLSSIGN = -4450,
    /** No common group of the key exchange, such as X25519 or P-256. */
    WEIR_ETLSGROUP = -4451,

    /** There is no such name (NXDOMAIN). */
    WEIR_EDNSNOTFOUND = -4500,
    /** The name exists, but has no address of the requested family. */
    WEIR_EDNSNODATA = -4501,
    /** The name servers cannot answer now (SERVFAIL); it may work later. */
    WEIR_EDNSSERVFAIL = -4502,
    /** No name server answered in time; it may work later. */
    WEIR_EDNSTIMEOUT = -4503,
    /** The name servers refuse to answer (REFUSED, NOTIMP). */
    WEIR_EDNSREFUSED = -4504,
    /** No name server could be reached. */
    WEIR_EDNSUNREACHABLE = -4505,
    /** The answer of a name server is malformed. */
    WEIR_EDNSBADANSWER = -4506,
    /** The text is not a valid host name. */
    WEIR_EDNSBADNAME = -4507,
    /** There is no service of this name. */
    WEIR_ESERVICE = -4508,
    /** A host name, but weir was built without a resolver (c-ares). */
    WEIR_ENONAMES = -4509,
    /** The domain says that it does not have this service (an SRV record whose
     * host is "."). */
    WEIR_EDNSNOSERVICE = -4510,
    /** The exit status of a child process is unknown: other code has reaped it,
     * or it could not be waited for. */
    WEIR_ENOSTATUS = -4600,
};

/**
 * Return one line of text for an error code, without a trailing dot.
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
