/*
 * The line that --version prints.
 *
 * Of the two files that make it, the build takes the one with libweir-tls, or
 * the one for programs without it.
 */
#ifndef WEIR_COMMON_VERSION_H
#define WEIR_COMMON_VERSION_H

/* Prints the version of @program and the TLS library inside it, with the
 * version of the source package that it was built from, by which an operator
 * sees whether a fix is in it. */
void print_version(const char *program);

#endif
