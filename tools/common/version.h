/*
 * The line that --version prints, and the TLS library that a user demands.
 *
 * Of the two files that do it, the build takes the one with libweir-tls, or the
 * one for programs without it.
 */
#ifndef WEIR_COMMON_VERSION_H
#define WEIR_COMMON_VERSION_H

#include "option.h"

/* Prints the version of @program and the TLS library inside it, with the
 * version of the source package that it was built from, by which an operator
 * sees whether a fix is in it. */
void print_version(const char *program);

/* Reads the value of --tls-library, "openssl", "wolfssl" or "fips", which is
 * OpenSSL in FIPS mode, and refuses it unless the program has this library now.
 */
option_read_fn tls_library_read;
extern const char *const tls_library_names[];
#define OPTION_ROW_TLS_LIBRARY(of)                                             \
    {                                                                          \
        "tls-library", 0, "NAME",                                              \
            "end at once unless TLS is by this library: {}; fips is OpenSSL "  \
            "in FIPS mode",                                                    \
            .read = tls_library_read, .choices = tls_library_names,            \
            .scope = (of)                                                      \
    }

#endif
