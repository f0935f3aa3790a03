/*
 * libFuzzer's entry to saved results of weir-load: bytes as a file of JSON,
 * which is read, merged with itself, and drawn as a page.
 *
 *     ninja tests/fuzz/fuzz-saved
 *     tests/fuzz/fuzz-saved CORPUS
 */
#include "tests/fuzz/check.h"
#include "tools/weir-load/page.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const char console_name[] = "fuzz-saved";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[SAVED_WHY_SIZE] = "";
    struct saved one;
    struct saved other;
    static FILE *nowhere;

    nowhere = nowhere ? nowhere : fopen("/dev/null", "we");
    if (saved_parse((const char *)data, size, "one", &one, why) < 0) {
        check(why[0] != '\0');
        return 0;
    }
    check(saved_parse((const char *)data, size, "other", &other, why) == 0);
    const uint64_t count = saved_latency(&one)->count;
    check(saved_merge(&one, &other, why) == 0);
    check(saved_latency(&one)->count == 2 * count);
    check(page_write(&one, 1, "fuzz", nowhere) == 0);
    saved_fini(&one);
    saved_fini(&other);
    return 0;
}
