/*
 * Small helpers that every
 * folder of weir-load may
 * use.
 */
#ifndef WEIR_LOAD_BASE_H
#define WEIR_LOAD_BASE_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* For printf() with %llu. */
#define LLU(value) ((unsigned long long)(value))

/* Exit codes of weir-load, documented in weir-load(1). Scripts learn the result
 * of a run from them. */

enum load_exit {
    LOAD_OK = 0,            /* the run was valid */
    LOAD_INTERNAL = 1,      /* weir-load itself failed */
    LOAD_USAGE = 2,         /* bad flags, or a limit of this machine */
    LOAD_NOTHING = 3,       /* not one request succeeded */
    LOAD_ERRORS = 4,        /* more errors than --max-errors allows */
    LOAD_INVALID = 5,       /* the result is not a valid measurement */
    LOAD_SLO = 99,          /* --slo does not hold, or B is worse than A */
    LOAD_INTERRUPTED = 130, /* by a signal; partial results are printed */
};

/*
 * Options and template placeholders that weir-load no longer has. Each is
 * refused with its replacement. Only names that a version of weir-load had are
 * in the table.
 */

/* Returns the replacement of an option, given without dashes, or of a
 * placeholder, given with its brace. Returns NULL if weir-load never had that
 * name. */
const char *gone_find(const char *word, size_t len);

/* 64-bit FNV-1a, for tables in memory and to identify input files in results.
 * It is not cryptographic: two files with the same hash can be made on
 * purpose. */

#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/* Adds bytes to a hash, which starts as HASH_BEGIN. Returns the new hash. */
static inline uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static inline bool is_blank(int byte)
{
    return byte == ' ' || byte == '\t';
}

/* Compares bytes with a text. */
static inline bool is_text(const void *bytes, size_t len, const char *text)
{
    return len == strlen(text) && memcmp(bytes, text, len) == 0;
}

/* Returns the value of a hexadecimal digit, or -1. */
static inline int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    digit = (char)(digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Returns the value of two hexadecimal digits, or -1. */
static inline int hex_pair(const char *text)
{
    const int high = hex_value(text[0]);
    const int low = high >= 0 ? hex_value(text[1]) : -1;

    return low < 0 ? -1 : high * 16 + low;
}

/* Writes (size + 2) / 3 * 4 characters (RFC 4648, section 4) and a zero. */
static inline void base64_write(const uint8_t *data, size_t size, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < size; i += 3) {
        const uint32_t second = i + 1 < size ? data[i + 1] : 0;
        const uint32_t third = i + 2 < size ? data[i + 2] : 0;
        const uint32_t bits = (uint32_t)data[i] << 16 | second << 8 | third;
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = i + 1 < size ? digits[bits >> 6 & 63] : '=';
        *out++ = i + 2 < size ? digits[bits & 63] : '=';
    }
    *out = '\0';
}

/* Names of kinds of requests are UTF-8 without control characters, so that a
 * name looks the same in results, on terminals and in objectives. */

#define KIND_NAME_RULE "the name of a kind is UTF-8 without control characters"

/* Returns the length of the first character, or 0 if it is invalid or a control
 * character. */
static inline size_t kind_name_character(const char *text, size_t len)
{
    static const uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000};
    const uint8_t first = len > 0 ? (uint8_t)text[0] : 0;

    if (first < 0x80) {
        return first >= 0x20 && first != 0x7f;
    }
    const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || size > len) {
        return 0;
    }
    uint32_t code = first & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        if (((uint8_t)text[i] & 0xc0U) != 0x80) {
            return 0;
        }
        code = code << 6 | ((uint8_t)text[i] & 0x3fU);
    }
    return code >= least[size] && code <= 0x10ffff &&
                   (code < 0xd800 || code > 0xdfff)
               ? size
               : 0;
}

/* Writes a name as a CSV cell, quoted if it has a comma or a quote. */
static inline void kind_name_write_cell(const char *name, FILE *out)
{
    const char *quote = strpbrk(name, ",\"") ? "\"" : "";

    fputs(quote, out);
    for (; *name; name++) {
        fputs(*name == '"' ? "\"" : "", out);
        fputc(*name, out);
    }
    fputs(quote, out);
}

/* Returns how many bytes at the start of a text are valid in a name. */
static inline size_t kind_name_span(const char *text, size_t len)
{
    size_t at = 0;
    size_t size = 1;

    while (at < len && size > 0) {
        size = kind_name_character(text + at, len - at);
        at += size;
    }
    return at;
}

/* Readers of all protocols keep the first bytes of an answer for the message
 * about a wrong answer. A caller must quote the bytes before it prints them. */

/* Appends as many bytes as fit to @shown, which has @size bytes, of which @len
 * are used. Returns the new number of used bytes. */
static inline size_t shown_add(void *shown, size_t size, size_t len,
                               const void *bytes, size_t count)
{
    const size_t part = count < size - len ? count : size - len;

    memcpy((char *)shown + len, bytes, part);
    return len + part;
}

/*
 * Reasons for which a value or a line of a file is refused. A reason is one
 * line of text. The caller prints it after the name of the option or of the
 * file.
 */

/* Size of every buffer for a reason. Equal to OPTION_WHY_SIZE, so a reason can
 * be passed on. */
#define WHY_SIZE 512

/* Writes a reason to @why. Returns @err. */
__attribute__((format(printf, 3, 4))) static inline int
why_refuse(char *why, int err, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, WHY_SIZE, format, arguments);
    va_end(arguments);
    return err;
}

/* Writes a reason that names the position of @at in @text, and shows the text
 * at @at. Returns -EINVAL. */
static inline int why_refuse_at(char *why, const char *text, const char *at,
                                const char *want)
{
    return why_refuse(why, -EINVAL, "at %zu, '%.40s': %s",
                      (size_t)(at - text) + 1, at, want);
}

static inline int why_no_memory(char *why)
{
    return why_refuse(why, -ENOMEM, "no memory");
}

#endif
