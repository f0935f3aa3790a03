/*
 * Certificates made from parts: DER elements with lengths in their shortest
 * form, and the parts of a small certificate on P-256.
 *
 * That certificate is parsed without an error.
 */
#include "tests/unit/x509_rig.h"

struct part part_join(int count, const struct part *parts)
{
    struct part all = {.size = 0};
    for (int i = 0; i < count; i++) {
        cr_assert(all.size + parts[i].size <= sizeof(all.data));
        memcpy(all.data + all.size, parts[i].data, parts[i].size);
        all.size += parts[i].size;
    }
    return all;
}

struct part part_bytes(const void *data, size_t size)
{
    struct part part = {.size = size};
    cr_assert(size <= sizeof(part.data));
    memcpy(part.data, data, size);
    return part;
}

struct part part_wrap(uint8_t tag, struct part inside)
{
    uint8_t header[4] = {tag};
    size_t size = 2;
    if (inside.size < 0x80) {
        header[1] = (uint8_t)inside.size;
    } else if (inside.size < 0x100) {
        header[1] = 0x81;
        header[2] = (uint8_t)inside.size;
        size = 3;
    } else {
        header[1] = 0x82;
        header[2] = (uint8_t)(inside.size >> 8);
        header[3] = (uint8_t)inside.size;
        size = 4;
    }
    return JOIN(part_bytes(header, size), inside);
}

struct part part_extension(uint8_t number, bool is_critical, struct part value)
{
    const uint8_t oid[] = {0x06, 3, 0x55, 0x1d, number};
    return SEQUENCE(part_bytes(oid, sizeof(oid)),
                    is_critical ? BYTES("\1\1\377") : BYTES(""),
                    part_wrap(0x04, value));
}

static struct part part_name(const char *common)
{
    return SEQUENCE(part_wrap(
        0x31, SEQUENCE(BYTES("\6\3\x55\4\3"),
                       part_wrap(0x0c, part_bytes(common, strlen(common))))));
}

struct part part_curve_key(struct part curve)
{
    const uint8_t last = curve.data[curve.size - 1];
    struct part point = BYTES("\0\4");
    point.size += last == 0x22 ? 96 : last == 0x23 ? 132 : 64;
    return SEQUENCE(
        SEQUENCE(BYTES("\6\7\x2a\x86\x48\xce\x3d\2\1"), part_wrap(0x06, curve)),
        part_wrap(0x03, point));
}

struct parts parts_good(void)
{
    return (struct parts){
        .version = BYTES("\xa0\3\2\1\2"),
        .algorithm = ECDSA_256,
        .key = part_curve_key(P256),
        .outside = ECDSA_256,
        .not_after = BYTES("\x17\x0d"
                           "400101000000Z"),
        .signature = BYTES("\3\3\0\1\2"),
    };
}

struct part parts_make(const struct parts *parts)
{
    struct part list = {.size = 0};
    if (parts->extensions.size > 0) {
        list = part_wrap(0xa3, SEQUENCE(parts->extensions));
    }
    return SEQUENCE(SEQUENCE(parts->version, BYTES("\2\1\7"),
                             SEQUENCE(parts->algorithm), part_name("issuer"),
                             SEQUENCE(BYTES("\x17\x0d"
                                            "200101000000Z"),
                                      parts->not_after),
                             part_name("sub\nject"), parts->key, list,
                             parts->behind),
                    SEQUENCE(parts->outside), parts->signature);
}

int parts_read(const struct parts *parts, struct wr_x509 *ret)
{
    static struct part made; /* the parsed certificate points into it */
    made = parts_make(parts);
    return wr_x509_read(ret, made.data, made.size);
}

int parts_read_extended(struct part extensions, struct wr_x509 *ret)
{
    struct parts parts = parts_good();
    parts.extensions = extensions;
    return parts_read(&parts, ret);
}
