/*
 * The line that --version prints, of a program without libweir-tls.
 *
 * An operator who looks for a fix of a TLS library sees that there is none
 * inside.
 */
#include "version.h"

#include <stdio.h>
#include <weir/base.h>

void print_version(const char *program)
{
    printf("%s %s, without TLS\n", program, weir_version());
}
