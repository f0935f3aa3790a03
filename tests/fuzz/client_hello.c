/*
 * libFuzzer's entry to a client's hello out of its records: bytes as the
 * beginning of a connection, read with the scratch memory of its own size.
 *
 *     ninja tests/fuzz/fuzz-client-hello
 *     tests/fuzz/fuzz-client-hello CORPUS
 */
#include "tests/fuzz/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <weir/client_hello.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes of a hello that was read: 0 or an error else. */
static int parse(const uint8_t *data, size_t size, size_t scratch_size)
{
    struct weir_client_hello hello = {.size = sizeof(hello)};
    struct weir_alpn_name name;
    uint8_t *scratch = malloc(scratch_size + 1);

    const int len = weir_client_hello_parse(data, size, NULL, scratch,
                                            scratch_size, &hello);
    check(len != 0 && len <= (int)size);
    if (len > 0) {
        check(strlen(hello.server_name) < 254);
        check(!hello.odd_name || !hello.server_name[0]);
        for (size_t i = 0; i < hello.odd_name_len; i++) { /* it can be read */
            check(((const uint8_t *)hello.odd_name)[i] <= UINT8_MAX);
        }
        struct weir_alpn_list left = hello.protocols;
        while (weir_client_hello_alpn_next(&left, &name)) {
            check(name.len > 0 && !weir_client_hello_alpn_has(&left, ""));
        }
        check(left.len == 0);
    }
    free(scratch);
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int len = parse(data, size, size);
    if (len > 0) {
        check(parse(data, (size_t)len - 1, size) == -EAGAIN);
    }
    const int small = parse(data, size, size / 2);
    check(small == len || small == -ENOBUFS);
    return 0;
}
