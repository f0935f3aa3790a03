/*
 * --version and --tls-library of a program without libweir-tls.
 *
 * The output shows that the program has no TLS library, for operators who check
 * whether the library has a certain fix.
 */
#include "version.h"

#include <stdio.h>
#include <weir/base.h>

const char *const tls_library_names[] = {"openssl", "wolfssl", "fips", NULL};

void print_version(const char *program)
{
    printf("%s %s, without TLS\n", program, weir_version());
}

bool tls_library_read(void *options, const struct option *option,
                      const char *value, char *why)
{
    return option_refuse(why,
                         "this program was built without TLS, so '%.200s' is "
                         "not available; build it with -Dtls=enabled",
                         value);
}
