/*
 * A file that cannot be written is told after the work, and what was printed is
 * not lost.
 *
 * The result of one run is written elsewhere, to a file that was opened before.
 */
#include "json_file.h"

#include "json_part.h"
#include "tools/common/console.h"
#include "whole_file.h"

#include <string.h>

bool json_file_write(const char *path, json_t *object)
{
    struct whole_file file;

    if (!whole_file_open(&file, "--json", path ? path : "-")) {
        json_decref(object);
        return false;
    }
    const int err = json_write_object(object, true, file.file);
    if (err < 0) {
        say("--json: %s: %s", path ? path : "standard output", strerror(-err));
        whole_file_drop(&file);
    }
    return err == 0 && whole_file_keep(&file);
}
