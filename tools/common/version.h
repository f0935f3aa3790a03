/*
 * Output of --version, and the check of --tls-library.
 *
 * Programs with libweir-tls are built with version.c, the others with
 * version_without_tls.c.
 */
#ifndef WEIR_COMMON_VERSION_H
#define WEIR_COMMON_VERSION_H

#include "option.h"

/* Prints the version of @program and of the TLS library that it uses. Includes
 * the version of the TLS library's source package, because it shows an operator
 * whether a fix is included. */
void print_version(const char *program);

/* Reads the value of --tls-library, "openssl", "wolfssl" or "fips" (OpenSSL in
 * FIPS mode), and refuses it unless the program uses this library now. */
option_read_fn tls_library_read;
extern const char *const tls_library_names[];
#define OPTION_ROW_TLS_LIBRARY(of)                                             \
    {                                                                          \
        "tls-library", 0, "NAME",                                              \
            "exit at once unless the TLS library is this one: {}; fips is "    \
            "OpenSSL in FIPS mode",                                            \
            .read = tls_library_read, .choices = tls_library_names,            \
            .scope = (of)                                                      \
    }

#endif
