/*
 * The flags of TLS, which tls.h reads for the server too, with the names that
 * curl and wrk have for some of them.
 *
 * Whether they fit the targets is judged when all is read.
 */
#include "options_table.h"

_Static_assert((int)OPTIONS_TLS_FIRST == (int)TLS_FLAG_FIRST, "one base");

static const struct option long_flags[] = {
    TLS_LONG_FLAGS,
    {"cacert", required_argument, NULL, TLS_FLAG_CA},
    {"insecure", no_argument, NULL, TLS_FLAG_INSECURE},
    {"sni", required_argument, NULL, TLS_FLAG_SNI},
    {"resume", required_argument, NULL, TLS_FLAG_RESUME},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "\n"
    "TLS:\n"
    "      --ca, --cacert FILE  authorities to trust (the system's)\n"
    "      --crl FILE           lists of revoked certificates, of every "
    "issuer\n"
    "  -k, --insecure           verify nothing\n"
    "      --sni NAME           name to ask for and to verify (the host)\n"
    "      --cert FILE          own certificate, for servers that ask for one\n"
    "      --key FILE           its key (in the file of the certificate)\n"
    "      --alpn LIST          application protocols, as h2,http/1.1\n"
    "      --ciphers LIST       suites by IANA names with colons between them, "
    "the\n"
    "                           best first\n"
    "      --groups LIST        groups of the key exchange, the best first, "
    "as\n"
    "                           X25519:P-256:P-384 (all)\n"
    "      --tls-min VERSION    lowest version, 1.2 or 1.3 (1.2)\n"
    "      --tls-max VERSION    highest version (1.3)\n"
    "      --resume WHAT        off, ticket, or a share such as 0.9: how many "
    "of the\n"
    "                           handshakes of mode crr resume a session "
    "(off)\n";

static bool read_flag(int flag, const char *value, struct run_options *options,
                      struct options_given *given)
{
    (void)given;
    return tls_read_flag(&options->tls, flag == 'k' ? TLS_FLAG_INSECURE : flag,
                         value);
}

static bool settle(struct run_options *options,
                   const struct options_given *given)
{
    (void)given;
    return tls_check_run(&options->tls, options->targets,
                         options->target_count);
}

const struct options_group options_tls = {
    .long_flags = long_flags,
    .short_flags = "k",
    .read = read_flag,
    .settle = settle,
    .help = help,
};
