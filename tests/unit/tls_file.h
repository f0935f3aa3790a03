/*
 * The files of keys and certificates that the tests of TLS read.
 *
 * The build makes them: tls_certificates.sh those that most tests use, and
 * tls_matrix.sh those of tls-matrix/, which are wrong in one point each.
 */
#ifndef WEIR_TESTS_UNIT_TLS_FILE_H
#define WEIR_TESTS_UNIT_TLS_FILE_H

#include <stddef.h>

/* The path of a file, "tls-matrix/%s.pem" of its name; it is the caller's until
 * the program ends, for the options that borrow it. */
const char *tls_file(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* The bytes of a file; they must be fewer than @size. */
size_t tls_file_read(const char *path, void *buf, size_t size);

#endif
