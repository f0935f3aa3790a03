/*
 * libFuzzer's entry to the values that weir-load captures: bytes as the word of
 * --capture up to the first line's end, and behind it as an answer, whose head
 * ends with an empty line.
 *
 *     ninja tests/fuzz/fuzz-capture
 *     tests/fuzz/fuzz-capture CORPUS
 *
 * It begins with seeds of its own.
 */
#include "tests/fuzz/check.h"
#include "tools/weir-load/request/request.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* One in sixteen is a seed again. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned seed)
{
    static const char *const seeds[] = {
        "a=json:b[0].c\nHTTP/1.1 200 OK\r\n\r\n{\"b\": [{\"c\": \"x\"}]}",
        "a=json:[1]\n\r\n\r\n[null, 12.5]",
        "a=json:$\n\r\n\r\n99999999999999999999",
        "a=header:X-Y\nHTTP/1.1 200 OK\r\nx-y: z\r\n\r\n",
        "a=cookie:S\nHTTP/1.1 200 OK\r\nSet-Cookie: S=t; Path=/\r\n\r\n",
    };
    const char *text = seeds[seed / 16 % (sizeof(seeds) / sizeof(seeds[0]))];

    if (seed % 16 != 0 || strlen(text) > max_size) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    memcpy(data, text, strlen(text));
    return strlen(text);
}

static void take(const struct capture *capture, const char *bytes, size_t len)
{
    const char *end = memmem(bytes, len, "\r\n\r\n", 4);
    const size_t head_len = end ? (size_t)(end - bytes) + 4 : 0;
    const struct capture_answer answer = {
        .head = bytes,
        .head_len = head_len,
        .body = bytes + head_len,
        .body_len = len - head_len,
    };
    struct template_value value = {NULL, 0};
    char why[WHY_SIZE] = "";

    if (capture_take(capture, &answer, &value, why) == 0) {
        check(value.len > 0 && value.len <= TEMPLATE_VALUE_MAX);
        for (size_t i = 0; i < value.len; i++) {
            const unsigned char byte = (unsigned char)value.bytes[i];
            check(byte >= 0x20 && byte != 0x7f);
        }
    } else {
        check(why[0] != '\0' && value.bytes == NULL);
    }
    free(value.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = memchr(data, '\n', size);
    const size_t word_len = newline ? (size_t)(newline - data) : size;
    char why[WHY_SIZE] = "";
    struct capture capture;
    char *word = malloc(word_len + 3);
    /* In memory of its own, so that a byte too many is seen. */
    char *rest = malloc(size - word_len + 1);

    if (!word || !rest) {
        free(word);
        free(rest);
        return 0;
    }
    /* One name: there are few in a program. */
    memcpy(word, "a=", 2);
    const size_t skip = word_len >= 2 && memcmp(data, "a=", 2) == 0 ? 2 : 0;
    memcpy(word + 2, data + skip, word_len - skip);
    word[2 + word_len - skip] = '\0';
    if (capture_parse(word, &capture, why) == 0) {
        const size_t rest_len = newline ? size - word_len - 1 : 0;
        char *bytes = realloc(rest, rest_len > 0 ? rest_len : 1);
        rest = bytes ? bytes : rest;
        if (rest_len > 0) {
            memcpy(rest, newline + 1, rest_len);
        }
        take(&capture, rest, rest_len);
    } else {
        check(why[0] != '\0');
    }
    free(word);
    free(rest);
    return 0;
}
