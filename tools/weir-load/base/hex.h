/*
 * The digits of bytes that are written as two of them: behind a backslash in
 * the words of a command and in a request of the command line, and behind '%'
 * in a URL.
 *
 * Who reads such a text decides what a byte without two digits is.
 */
#ifndef WEIR_LOAD_HEX_H
#define WEIR_LOAD_HEX_H

/* The value of a digit; -1: it is none. */
static inline int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    digit = (char)(digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

#endif
