/*
 * Certificates made from parts, some of which a test changes.
 *
 * A part is a value with its bytes, so that parts can be written as
 * expressions. The signature is not valid, because the reader does not verify
 * it.
 */
#ifndef WEIR_TESTS_UNIT_X509_RIG_H
#define WEIR_TESTS_UNIT_X509_RIG_H

#include "lib/x509/certificate.h"
#include "tests/unit.h"

struct part {
    uint8_t data[2048];
    size_t size;
};

/* Joins parts. */
struct part part_join(int count, const struct part *parts);

#define JOIN(...)                                                              \
    part_join(sizeof((struct part[]){__VA_ARGS__}) / sizeof(struct part),      \
              (struct part[]){__VA_ARGS__})

struct part part_bytes(const void *data, size_t size);

#define BYTES(text) part_bytes(text, sizeof(text) - 1)

/* Makes an element with this tag. */
struct part part_wrap(uint8_t tag, struct part inside);

#define SEQUENCE(...) part_wrap(0x30, JOIN(__VA_ARGS__))

/* Makes an extension below 2.5.29. */
struct part part_extension(uint8_t number, bool is_critical, struct part value);

struct part part_curve_key(struct part curve);

#define P256      BYTES("\x2a\x86\x48\xce\x3d\3\1\7")
#define ECDSA_256 BYTES("\6\10\x2a\x86\x48\xce\x3d\4\3\2")

/* The parts of a certificate. */
struct parts {
    struct part version;
    struct part algorithm;
    struct part key;
    struct part extensions; /* as they follow each other; none means no list */
    struct part behind;     /* bytes after their list */
    struct part outside;    /* the algorithm outside the signed part */
    struct part not_after;
    struct part signature;
};

/* Returns the parts of a valid certificate without extensions. */
struct parts parts_good(void);

struct part parts_make(const struct parts *parts);

/* Parse the certificate of the parts, and the certificate of parts_good() with
 * these extensions. The result is valid until the next call. */
int parts_read(const struct parts *parts, struct wr_x509 *ret);
int parts_read_extended(struct part extensions, struct wr_x509 *ret);

#endif
