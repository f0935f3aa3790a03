/*
 * The line that --version prints, of a program with libweir-tls.
 *
 * The library is asked when the program runs: with a libweir-tls that is
 * loaded, it may be another one than that of the build.
 */
#include "version.h"

#include <stdio.h>
#include <weir/tls.h>

void print_version(const char *program)
{
    struct weir_tls_library tls = {sizeof(tls), NULL, NULL, NULL};

    if (weir_tls_get_library(&tls) < 0) {
        printf("%s %s\n", program, weir_version());
        return;
    }
    printf("%s %s, TLS by %s %s (%s)\n", program, weir_version(), tls.name,
           tls.version, tls.source ? tls.source : "of the system");
}
