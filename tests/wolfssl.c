/*
 * The only copy of wolfSSL for all test programs.
 *
 * This file becomes a shared library with the objects of the static wolfSSL.
 * The objects hide the functions with which weir reads the numbers of RSA keys:
 * other files can call them in a static library, but not in a shared one. So
 * programs are linked with --wrap, which redirects these calls to the functions
 * here.
 */
#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/wolfcrypt/sp_int.h>

int __wrap_sp_unsigned_bin_size(const sp_int *number);
int __wrap_sp_to_unsigned_bin(const sp_int *number, byte *ret);

int __wrap_sp_unsigned_bin_size(const sp_int *number)
{
    return sp_unsigned_bin_size(number);
}

int __wrap_sp_to_unsigned_bin(const sp_int *number, byte *ret)
{
    return sp_to_unsigned_bin(number, ret);
}
