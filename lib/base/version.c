/*
 * The version as text.
 *
 * The text is made from the numbers of base.h, so the library always agrees
 * with the headers it was built with. A program compares this text with its own
 * headers to see whether it runs with the library it was compiled for.
 */
#include <weir/base.h>

#define TEXT_OF(major, minor, patch) #major "." #minor "." #patch
#define TEXT(major, minor, patch)    TEXT_OF(major, minor, patch)

const char *weir_version(void)
{
    return TEXT(WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR, WEIR_VERSION_PATCH);
}
