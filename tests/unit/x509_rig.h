/*
 * Certificates that are made of their parts, of which a test changes some.
 *
 * A part is bytes by value, so that parts can be written as expressions. The
 * signature is no signature: the reader does not verify it.
 */
#ifndef WEIR_TESTS_UNIT_X509_RIG_H
#define WEIR_TESTS_UNIT_X509_RIG_H

#include "lib/x509/certificate.h"
#include "tests/unit.h"

struct part {
    uint8_t data[2048];
    size_t size;
};

/* These parts behind each other. */
struct part part_join(int count, const struct part *parts);

#define JOIN(...)                                                              \
    part_join(sizeof((struct part[]){__VA_ARGS__}) / sizeof(struct part),      \
              (struct part[]){__VA_ARGS__})

struct part part_bytes(const void *data, size_t size);

#define BYTES(text) part_bytes(text, sizeof(text) - 1)

/* An element of this tag. */
struct part part_wrap(uint8_t tag, struct part inside);

#define SEQUENCE(...) part_wrap(0x30, JOIN(__VA_ARGS__))

/* An extension under 2.5.29. */
struct part part_extension(uint8_t number, bool is_critical, struct part value);

struct part part_curve_key(struct part curve);

#define P256      BYTES("\x2a\x86\x48\xce\x3d\3\1\7")
#define ECDSA_256 BYTES("\6\10\x2a\x86\x48\xce\x3d\4\3\2")

/* The parts of a certificate. */
struct parts {
    struct part version;
    struct part algorithm;
    struct part key;
    struct part extensions; /* as they follow each other; none: no list */
    struct part behind;     /* bytes behind their list */
    struct part outside;    /* the algorithm outside of what is signed */
    struct part not_after;
    struct part signature;
};

/* A certificate that is read, without extensions. */
struct parts parts_good(void);

struct part parts_make(const struct parts *parts);

/* Reads the certificate of the parts, and that of the good ones with these
 * extensions. What is read is good until the next call. */
int parts_read(const struct parts *parts, struct wr_x509 *ret);
int parts_read_extended(struct part extensions, struct wr_x509 *ret);

#endif
