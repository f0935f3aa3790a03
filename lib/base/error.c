/*
 * Error codes as text and as names.
 *
 * The kernel's errors come from the C library if it has strerrorname_np()
 * (glibc 2.32), else from a table of the errors that a network program meets.
 * All texts are static and do not depend on the locale.
 */
#include <weir/error.h>

#include <errno.h>
#include <string.h>

#if !defined(WR_ERRNO_TABLE) && defined(__GLIBC__)
#if !__GLIBC_PREREQ(2, 32)
#define WR_ERRNO_TABLE 1
#endif
#elif !defined(WR_ERRNO_TABLE)
#define WR_ERRNO_TABLE 1
#endif

struct entry {
    int code;
    const char *name;
    const char *text;
};

#define ENTRY(code, text)                                                      \
    {                                                                          \
        code, #code, text                                                      \
    }

static const struct entry error_own_errors[] = {
    ENTRY(WEIR_EIDLE, "No byte moved within the idle time-out"),
    ENTRY(WEIR_EREADTIMEOUT, "The peer sent nothing within the read time-out"),
    ENTRY(WEIR_EWRITESTALL,
          "The peer accepted nothing within the stall time-out"),
    ENTRY(WEIR_ECLOSETIMEOUT, "Closing took longer than the close time-out"),
    ENTRY(WEIR_ENOBUFFER, "The protocol offered no memory to receive into"),
    ENTRY(WEIR_EINCOMPLETE, "The stream ended before all was read"),
    ENTRY(WEIR_ELIMIT, "No separator within the limit"),
    ENTRY(WEIR_EPEERCLOSED, "The peer ended the connection"),
    ENTRY(WEIR_EBADBUFFER,
          "The kernel's account of a receive buffer cannot be true"),
    ENTRY(WEIR_ERINGSYSCTL,
          "io_uring is switched off: set sysctl kernel.io_uring_disabled to 0"),
    ENTRY(WEIR_ERINGSECCOMP,
          "io_uring is refused by a seccomp filter or a security module: "
          "allow io_uring_setup, io_uring_enter and io_uring_register"),
    ENTRY(WEIR_ERINGABSENT, "The kernel has no io_uring: Linux 6.1 is needed"),
    ENTRY(WEIR_ERINGOLD,
          "The kernel's io_uring is too old: Linux 6.1 is needed"),
    ENTRY(WEIR_ERINGMEMLOCK,
          "Too little locked memory for a ring: raise RLIMIT_MEMLOCK"),
    ENTRY(WEIR_ERINGLOST, "Completions were lost for want of memory"),
    ENTRY(WEIR_ENOTLITERAL, "Not a literal address"),
    ENTRY(WEIR_ENOTTASK, "Only a task can wait, and not in a callback"),
    ENTRY(WEIR_ESTACKLIMIT,
          "No more guarded stacks: raise sysctl vm.max_map_count, or use Linux "
          "6.13 or later"),
    ENTRY(WEIR_EBROKEN, "The barrier was aborted or reset"),
    ENTRY(WEIR_EQUEUESHUTDOWN, "The queue was shut down"),
    ENTRY(WEIR_EREPLACED, "Another transport has replaced this one"),
    ENTRY(WEIR_EOPTIONSIZE,
          "The size of the options is not set: .size = sizeof(options)"),
    ENTRY(WEIR_ETLSFILE,
          "Not a usable file of certificates, keys or revocations"),
    ENTRY(
        WEIR_ETLSNOKEY,
        "A certificate without a private key, or a key without a certificate"),
    ENTRY(WEIR_ETLSMISMATCH, "The private key is not that of the certificate"),
    ENTRY(WEIR_ETLSPASSWORD,
          "The password of the private key is missing or wrong"),
    ENTRY(WEIR_ETLSCIPHERS,
          "A cipher suite's name is not known, or none can be used"),
    ENTRY(WEIR_ETLSENGINE, "The TLS library failed"),
    ENTRY(WEIR_ETLSGROUPS,
          "A group of the key exchange is not known, or none can be chosen"),
    ENTRY(WEIR_ETLSEXPIRED, "A certificate of the peer has expired"),
    ENTRY(WEIR_ETLSNOTYET, "A certificate of the peer is not valid yet"),
    ENTRY(WEIR_ETLSISSUER, "The certificate of the peer has no trusted issuer"),
    ENTRY(WEIR_ETLSSELFSIGNED,
          "The certificate of the peer is self-signed and not trusted"),
    ENTRY(WEIR_ETLSHOSTNAME, "The certificate of the peer is for another name"),
    ENTRY(WEIR_ETLSREVOKED, "A certificate of the peer was revoked"),
    ENTRY(WEIR_ETLSNOCRL,
          "There is no current list of revocations of the issuer"),
    ENTRY(WEIR_ETLSPURPOSE,
          "A certificate of the peer is not for this purpose"),
    ENTRY(WEIR_ETLSWEAK, "A key or signature of the peer is too weak"),
    ENTRY(WEIR_ETLSCONSTRAINT,
          "An issuer may not issue certificates for this name"),
    ENTRY(WEIR_ETLSPATHLEN,
          "The chain of certificates is longer than it may be"),
    ENTRY(WEIR_ETLSCRITICAL, "A certificate has an unknown critical extension"),
    ENTRY(WEIR_ETLSBADCERT,
          "A certificate of the peer is malformed or wrongly signed"),
    ENTRY(WEIR_ETLSNOCERT, "The peer sent no certificate"),
    ENTRY(WEIR_ETLSALERT, "The peer sent a fatal alert"),
    ENTRY(WEIR_ETLSPROTOCOL,
          "The peer does not speak TLS, or speaks it wrongly"),
    ENTRY(WEIR_ETLSRECORD, "A TLS record did not authenticate"),
    ENTRY(WEIR_ETLSTRUNCATED, "The TLS connection was cut before its end"),
    ENTRY(WEIR_ETLSTIMEOUT, "The TLS handshake took too long"),
    ENTRY(WEIR_ETLSVERSION, "No version of TLS in common"),
    ENTRY(WEIR_ETLSCIPHER,
          "No cipher suite, group or signature algorithm in common"),
    ENTRY(WEIR_ETLSALPN, "No application protocol in common (ALPN)"),
    ENTRY(WEIR_ETLSFLOOD, "Too many TLS records without data"),
    ENTRY(WEIR_ETLSNONAME,
          "The client asked for a name without a certificate here"),
    ENTRY(WEIR_ETLSSIGN, "The private key could not sign"),
    ENTRY(WEIR_ETLSGROUP, "No group of the key exchange in common"),
    ENTRY(WEIR_EDNSNOTFOUND, "No such host name"),
    ENTRY(WEIR_EDNSNODATA, "The host name has no address of this family"),
    ENTRY(WEIR_EDNSSERVFAIL, "The name servers cannot answer now"),
    ENTRY(WEIR_EDNSTIMEOUT, "No name server answered in time"),
    ENTRY(WEIR_EDNSREFUSED, "The name servers refuse to answer"),
    ENTRY(WEIR_EDNSUNREACHABLE, "No name server could be reached"),
    ENTRY(WEIR_EDNSBADANSWER, "The answer of a name server is not understood"),
    ENTRY(WEIR_EDNSBADNAME, "Not a host name"),
    ENTRY(WEIR_ESERVICE, "No such service"),
    ENTRY(WEIR_ENONAMES,
          "A host name, and weir was built without c-ares: give an address"),
    ENTRY(WEIR_EDNSNOSERVICE, "The domain does not have this service"),
    ENTRY(WEIR_ENOSTATUS, "The exit status of the child is not known"),
};

#ifdef WR_ERRNO_TABLE

static const struct entry error_errnos[] = {
    ENTRY(EPERM, "Operation not permitted"),
    ENTRY(ENOENT, "No such file or directory"),
    ENTRY(ESRCH, "No such process"),
    ENTRY(EINTR, "Interrupted system call"),
    ENTRY(EIO, "Input/output error"),
    ENTRY(E2BIG, "Argument list too long"),
    ENTRY(EBADF, "Bad file descriptor"),
    ENTRY(ECHILD, "No child processes"),
    ENTRY(EAGAIN, "Resource temporarily unavailable"),
    ENTRY(ENOMEM, "Cannot allocate memory"),
    ENTRY(EACCES, "Permission denied"),
    ENTRY(EFAULT, "Bad address"),
    ENTRY(EBUSY, "Device or resource busy"),
    ENTRY(EEXIST, "File exists"),
    ENTRY(ENODEV, "No such device"),
    ENTRY(EINVAL, "Invalid argument"),
    ENTRY(ENFILE, "Too many open files in system"),
    ENTRY(EMFILE, "Too many open files"),
    ENTRY(ENOSPC, "No space left on device"),
    ENTRY(ESPIPE, "Illegal seek"),
    ENTRY(EPIPE, "Broken pipe"),
    ENTRY(ENOSYS, "Function not implemented"),
    ENTRY(EPROTO, "Protocol error"),
    ENTRY(EOVERFLOW, "Value too large for defined data type"),
    ENTRY(ENOTSOCK, "Socket operation on non-socket"),
    ENTRY(EDESTADDRREQ, "Destination address required"),
    ENTRY(EMSGSIZE, "Message too long"),
    ENTRY(EPROTOTYPE, "Protocol wrong type for socket"),
    ENTRY(ENOPROTOOPT, "Protocol not available"),
    ENTRY(EPROTONOSUPPORT, "Protocol not supported"),
    ENTRY(EOPNOTSUPP, "Operation not supported"),
    ENTRY(EAFNOSUPPORT, "Address family not supported by protocol"),
    ENTRY(EADDRINUSE, "Address already in use"),
    ENTRY(EADDRNOTAVAIL, "Cannot assign requested address"),
    ENTRY(ENETDOWN, "Network is down"),
    ENTRY(ENETUNREACH, "Network is unreachable"),
    ENTRY(ENETRESET, "Network dropped connection on reset"),
    ENTRY(ECONNABORTED, "Software caused connection abort"),
    ENTRY(ECONNRESET, "Connection reset by peer"),
    ENTRY(ENOBUFS, "No buffer space available"),
    ENTRY(EISCONN, "Transport endpoint is already connected"),
    ENTRY(ENOTCONN, "Transport endpoint is not connected"),
    ENTRY(ESHUTDOWN, "Cannot send after transport endpoint shutdown"),
    ENTRY(ETIMEDOUT, "Connection timed out"),
    ENTRY(ECONNREFUSED, "Connection refused"),
    ENTRY(EHOSTDOWN, "Host is down"),
    ENTRY(EHOSTUNREACH, "No route to host"),
    ENTRY(EALREADY, "Operation already in progress"),
    ENTRY(EINPROGRESS, "Operation now in progress"),
    ENTRY(ESTALE, "Stale file handle"),
    ENTRY(ECANCELED, "Operation canceled"),
};

#endif

static const struct entry *error_find(const struct entry *entries, size_t count,
                                      int code)
{
    for (size_t i = 0; i < count; i++) {
        if (entries[i].code == code) {
            return &entries[i];
        }
    }
    return NULL;
}

static const struct entry *error_find_own(int err)
{
    return error_find(error_own_errors,
                      sizeof(error_own_errors) / sizeof(error_own_errors[0]),
                      err);
}

/* Takes a positive errno. name and text are NULL if it is unknown. */
static struct entry error_kernel(int number)
{
#ifdef WR_ERRNO_TABLE
    const struct entry *entry = error_find(
        error_errnos, sizeof(error_errnos) / sizeof(error_errnos[0]), number);
    return entry ? *entry : (struct entry){.code = number};
#else
    return (struct entry){
        .code = number,
        .name = strerrorname_np(number),
        .text = strerrordesc_np(number),
    };
#endif
}

/* Numbers below -4095 are weir's own codes or unknown. */
static bool error_is_kernel(int err)
{
    return err < 0 && err >= -4095;
}

const char *weir_strerror(int err)
{
    const struct entry *own = error_find_own(err);
    const char *text = own ? own->text : NULL;
    if (err == 0) {
        text = "Success";
    } else if (error_is_kernel(err)) {
        text = error_kernel(-err).text;
    }
    return text ? text : "Unknown error";
}

const char *weir_err_name(int err)
{
    const struct entry *own = error_find_own(err);
    const char *name = own ? own->name : NULL;
    if (err == 0) {
        name = "OK";
    } else if (error_is_kernel(err)) {
        name = error_kernel(-err).name;
    }
    return name ? name : "UNKNOWN";
}
