/*
 * The version as text.
 *
 * It is made from the numbers of base.h. A program compares it with its own
 * headers to detect that it runs with another library than it was compiled for.
 */
#include <weir/base.h>

#define TEXT_OF(major, minor, patch) #major "." #minor "." #patch
#define TEXT(major, minor, patch)    TEXT_OF(major, minor, patch)

const char *weir_version(void)
{
    return TEXT(WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR, WEIR_VERSION_PATCH);
}
