/*
 * Hexadecimal digits of escaped bytes: \xHH in commands and requests of the
 * command line, and %HH in URLs. The caller decides what an incomplete escape
 * means.
 */
#ifndef WEIR_LOAD_HEX_H
#define WEIR_LOAD_HEX_H

/* Returns the value of a digit, or -1. */
static inline int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    digit = (char)(digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

#endif
