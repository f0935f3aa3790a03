/*
 * libFuzzer's entry to the look at a ClientHello: bytes as the body of a
 * handshake record.
 *
 *     ninja tests/fuzz/fuzz-tls-hello
 *     tests/fuzz/fuzz-tls-hello CORPUS
 */
#include "lib/tls/hello.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wr_tls_hello_name name = {.data = NULL};
    if (!data) {
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        if (wr_tls_hello_has_extended_secret(data, size, i == 0) &&
            !wr_tls_hello_is_whole(data, size)) {
            abort();
        }
    }
    if (wr_tls_hello_read(data, size, &name) == WR_TLS_HELLO_TICKET &&
        name.data &&
        (name.data < data || name.data + name.len > data + size ||
         name.len == 0)) {
        abort();
    }
    return 0;
}
