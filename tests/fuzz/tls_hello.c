/*
 * libFuzzer's entry to the look at a ClientHello: bytes as the body of a
 * handshake record.
 *
 *     ninja tests/fuzz/fuzz-tls-hello
 *     tests/fuzz/fuzz-tls-hello CORPUS
 */
#include "lib/base/hello.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct wr_bytes part, const uint8_t *data, size_t size)
{
    if (part.data &&
        (part.data < data || part.data + part.size > data + size)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wr_tls_hello hello;
    if (!data) {
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        if (wr_tls_hello_read(data, size, i == 0, &hello) &&
            !wr_tls_hello_is_whole(data, size)) {
            abort();
        }
        check(hello.name, data, size);
        check(hello.odd_name, data, size);
        check(hello.protocols, data, size);
    }
    return 0;
}
