/*
 * The one wolfSSL of all test programs.
 *
 * The shared library of this file has the objects of the static wolfSSL. These
 * hide the functions by which weir reads the numbers of RSA keys: other files
 * call them in a static library, and cannot in a shared one. So the programs
 * are linked with --wrap, which makes of each such call one of the functions
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
