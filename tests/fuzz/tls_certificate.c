/*
 * libFuzzer's entry to certificates: bytes as the DER of one, read, its names
 * walked, compared with a host and written for a message, and judged as the
 * leaf and as an issuer of a chain.
 *
 *     ninja tests/fuzz/fuzz-tls-certificate
 *     tests/fuzz/fuzz-tls-certificate CORPUS
 */
#include "lib/tls/certificate.h"
#include "lib/tls/verdict.h"
#include "lib/tls/verify.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is read lies within the bytes that were given. */
static void fuzz_expect_within(const struct wr_tls_der *part,
                               const uint8_t *data, size_t size)
{
    if (part->size > 0 &&
        (part->data < data || part->data + part->size > data + size)) {
        abort();
    }
}

static void fuzz_read(const uint8_t *data, size_t size)
{
    struct wr_tls_x509 x509;
    struct wr_tls_der name;
    enum wr_tls_name_kind kind;
    char text[64];

    if (wr_tls_x509_read(&x509, data, size) < 0) {
        return;
    }
    fuzz_expect_within(&x509.issuer, data, size);
    fuzz_expect_within(&x509.subject, data, size);
    fuzz_expect_within(&x509.names, data, size);
    while (wr_tls_x509_next_name(&x509.names, &kind, &name)) {
        fuzz_expect_within(&name, data, size);
    }
    memset(text, 'x', sizeof(text));
    wr_tls_x509_write_subject(&x509, text, sizeof(text));
    if (!memchr(text, '\0', sizeof(text))) {
        abort();
    }
}

static void fuzz_judge(const uint8_t *data, size_t size, uint32_t depth)
{
    const struct wr_tls_policy policy = {.hostname = "localhost"};
    struct wr_tls_verdict verdict;

    wr_tls_verdict_init(&verdict, wr_default_allocator());
    const bool is_accepted =
        wr_tls_verify_certificate(&policy, &verdict, depth, data, size, 0);
    if (is_accepted != (verdict.err == 0)) {
        abort();
    }
    wr_tls_verdict_fini(&verdict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_read(data, size);
    if (size > 0) {
        wr_ignore(wr_tls_certificate_is_for(data, size, "localhost"));
        fuzz_judge(data, size, 0);
        fuzz_judge(data, size, 1);
    }
    return 0;
}
