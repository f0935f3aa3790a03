/*
 * libFuzzer's entry to certificates: bytes as the DER of one, read, its names
 * walked, compared with a host and written for a message, held against its own
 * constraints, and judged as a chain, with and without an anchor.
 *
 *     ninja tests/fuzz/fuzz-tls-certificate
 *     tests/fuzz/fuzz-tls-certificate CORPUS
 */
#include "lib/tls/context/verify.h"
#include "lib/x509/crl.h"
#include "lib/x509/path.h"

#include <stdlib.h>
#include <string.h>
#include <weir/error.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is read lies within the bytes that were given. */
static void fuzz_expect_within(const struct wr_bytes *part, const uint8_t *data,
                               size_t size)
{
    if (part->size > 0 &&
        (part->data < data || part->data + part->size > data + size)) {
        abort();
    }
}

static void fuzz_read(const uint8_t *data, size_t size)
{
    struct wr_x509 x509;
    struct wr_bytes name;
    enum wr_x509_name_kind kind;
    char text[64];

    if (wr_x509_read(&x509, data, size) < 0) {
        return;
    }
    fuzz_expect_within(&x509.issuer, data, size);
    fuzz_expect_within(&x509.subject, data, size);
    fuzz_expect_within(&x509.names, data, size);
    fuzz_expect_within(&x509.serial, data, size);
    fuzz_expect_within(&x509.constraints, data, size);
    wr_ignore(wr_x509_is_for(&x509, "localhost"));
    while (wr_x509_next_name(&x509.names, &kind, &name)) {
        fuzz_expect_within(&name, data, size);
    }
    memset(text, 'x', sizeof(text));
    wr_x509_write_subject(&x509, text, sizeof(text));
    if (!memchr(text, '\0', sizeof(text))) {
        abort();
    }
}

/* As a list of revocations; its numbers are found on it. */
static void fuzz_list(const uint8_t *data, size_t size)
{
    const struct wr_bytes all = {.data = data, .size = size};
    struct wr_x509_crl crl;

    if (!wr_x509_crl_read(&crl, all)) {
        fuzz_expect_within(&crl.issuer, data, size);
        fuzz_expect_within(&crl.entries, data, size);
        if (wr_x509_crl_sort(&crl) == 0) {
            wr_ignore(wr_x509_crl_has(&crl, all));
        }
        wr_x509_crl_fini(&crl);
    }
}

/* The names of a certificate under the constraints that it has itself. */
static void fuzz_constrain(const uint8_t *data, size_t size)
{
    struct wr_x509 x509;
    size_t budget = size;

    if (wr_x509_read(&x509, data, size) == 0 && x509.constraints.data) {
        wr_ignore(wr_x509_constraint_check(&x509, &x509, &budget) ==
                  WR_X509_CONSTRAINT_KEPT);
    }
}

/* All links are good but those that begin with this bit. */
static struct wr_x509_reason fuzz_link(void *user, const struct wr_x509 *child,
                                       const struct wr_x509 *issuer)
{
    uint8_t *bits = user;
    const bool is_good = *bits & 1;

    *bits = (uint8_t)(*bits >> 1 | *bits << 7);
    if (child->der.size == 0 || issuer->der.size == 0) {
        abort();
    }
    return (struct wr_x509_reason){is_good ? 0 : WEIR_ETLSBADCERT, "is bad"};
}

/* A certificate as a chain of @count, and as the only anchor where there is
 * one. */
static void fuzz_judge(const uint8_t *data, size_t size, uint32_t count,
                       const struct wr_x509_trust *trust)
{
    struct wr_tls_verdict verdict;
    uint8_t bits = data[size - 1];
    const struct wr_tls_policy policy = {
        .rules = {.now = 1700000000},
        .hostname = "localhost",
        .trust = trust,
        .link = fuzz_link,
        .revoked = bits & 2 ? fuzz_link : NULL,
        .user = &bits,
    };

    wr_tls_verdict_init(&verdict, wr_default_allocator());
    for (uint32_t i = 0; i < count; i++) {
        if (wr_tls_verdict_keep(&verdict, i, data, size) < 0) {
            abort();
        }
    }
    if (wr_tls_verify_search(&policy, &verdict) != (verdict.err == 0)) {
        abort();
    }
    wr_tls_verdict_fini(&verdict);
}

static void fuzz_judge_all(const uint8_t *data, size_t size)
{
    struct wr_x509 x509;
    const struct wr_x509_trust none = {.count = 0};
    const struct wr_x509_trust one = {.anchors = &x509, .count = 1};

    fuzz_judge(data, size, 1, &none);
    fuzz_judge(data, size, 3, &none);
    if (wr_x509_read(&x509, data, size) == 0) {
        fuzz_judge(data, size, 1, &one);
        fuzz_judge(data, size, 2, &one);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_read(data, size);
    if (size > 0) {
        fuzz_list(data, size);
        fuzz_constrain(data, size);
        fuzz_judge_all(data, size);
    }
    return 0;
}
