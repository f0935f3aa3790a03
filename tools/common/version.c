/*
 * --version and --tls-library of a program with libweir-tls.
 *
 * The library is queried at run time, because the program may load another
 * libweir-tls than at build time.
 */
#include "version.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <weir/tls.h>

const char *const tls_library_names[] = {"openssl", "wolfssl", "fips", NULL};

void print_version(const char *program)
{
    struct weir_tls_library tls = {.size = sizeof(tls)};

    if (weir_tls_get_library(&tls) < 0) {
        printf("%s %s\n", program, weir_version());
        return;
    }
    printf("%s %s, TLS by %s %s (%s)%s\n", program, weir_version(), tls.name,
           tls.version, tls.source ? tls.source : "of the system",
           tls.fips ? ", in FIPS mode" : "");
}

static bool is_known(const char *value)
{
    for (size_t i = 0; tls_library_names[i]; i++) {
        if (strcmp(tls_library_names[i], value) == 0) {
            return true;
        }
    }
    return false;
}

/* Refuses the loaded library. The reason names the package or the build option
 * that selects another library. */
static bool refuse_library(const struct weir_tls_library *tls,
                           const char *wanted, char *why)
{
    return option_refuse(why,
                         "the TLS library is %s %s; install libweir-tls0-%s, "
                         "or build weir with -Dtls_engine=%s",
                         tls->name, tls->version, wanted, wanted);
}

bool tls_library_read(void *options, const struct option *option,
                      const char *value, char *why)
{
    struct weir_tls_library tls = {
        .size = sizeof(tls), .name = "none", .version = "known"};
    const bool wants_fips = strcmp(value, "fips") == 0;
    const char *wanted = wants_fips ? "openssl" : value;

    if (!is_known(value)) {
        return option_refuse(why, "'%.200s' is not openssl, wolfssl or fips",
                             value);
    }
    if (weir_tls_get_library(&tls) < 0 || strcasecmp(tls.name, wanted) != 0) {
        return refuse_library(&tls, wanted, why);
    }
    return !wants_fips || tls.fips ||
           option_refuse(why,
                         "OpenSSL %s is not in FIPS mode; load the fips module "
                         "in openssl.cnf and set default_properties = fips=yes",
                         tls.version);
}
