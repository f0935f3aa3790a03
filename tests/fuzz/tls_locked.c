/*
 * libFuzzer's entry to encrypted private keys: bytes as the text of a key file.
 *
 * They are opened by one passphrase, if few rounds are asked for. What comes
 * out is a PEM text with one block.
 *
 *     python3 tests/fuzz/tls_locked_seeds.py CORPUS
 *     ninja tests/fuzz/fuzz-tls-locked
 *     tests/fuzz/fuzz-tls-locked CORPUS
 */
#include "lib/tls/context/pem.h"

#include <stdlib.h>
#include <string.h>

enum { ROUNDS_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so)
{
    if (!is_so) {
        abort();
    }
}

static void open_key(struct wr_tls_locked *locked)
{
    static const char words[] = "correct horse";
    static const char begin[] = "-----BEGIN ";
    const struct wr_bytes passphrase = {.data = (const uint8_t *)words,
                                        .size = sizeof(words) - 1};
    struct wr_bytes opened = {.data = NULL};

    if (wr_tls_locked_open(locked, passphrase, &opened) == 0) {
        require(opened.size > sizeof(begin) &&
                memcmp(opened.data, begin, sizeof(begin) - 1) == 0 &&
                opened.data[opened.size - 1] == '\n');
    } else {
        require(!opened.data);
    }
    wr_tls_locked_wipe(&opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wr_tls_locked locked = {.data = NULL};
    const char *why = NULL;

    if (!data || wr_tls_backend_get()->start() < 0) {
        return 0;
    }
    const struct wr_bytes text = {.data = data, .size = size};
    const int found = wr_tls_locked_read(text, &locked, &why);
    require(found == 1 ? locked.data && locked.rounds <= WR_TLS_ROUNDS_MAX
                       : !locked.data && (found == 0 || why));
    if (found == 1 && locked.rounds <= ROUNDS_MAX) {
        open_key(&locked);
    }
    wr_tls_locked_fini(&locked);
    return 0;
}
