/*
 * A file is written in place: one that cannot be is told after the work, and
 * what was printed is not lost.
 *
 * The result of one run is written elsewhere, to a file that was opened before.
 */
#include "json_file.h"

#include "json_part.h"
#include "tools/common/console.h"

#include <errno.h>
#include <string.h>

bool json_file_write(const char *path, json_t *object)
{
    FILE *file = path ? fopen(path, "we") : stdout;

    if (!file) {
        json_decref(object);
        say("--json: %s: %s", path, strerror(errno));
        return false;
    }
    int err = json_write_object(object, true, file);
    if (path && fclose(file) != 0 && err == 0) {
        err = -errno;
    }
    if (err < 0) {
        say("--json: %s: %s", path ? path : "standard output", strerror(-err));
    }
    return err == 0;
}
