/*
 * A file is opened when all that goes into it has been drawn, so that no plot
 * that cannot be made leaves half a file.
 *
 * A directory is not made: one that is not there is more often a mistake.
 */
#include "draw_svg.h"

#include "plots.h"
#include "svg.h"
#include "tools/common/console.h"
#include "whole_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct place {
    const char *path; /* of a file, or of the directory of files */
    bool prints;
};

static int write_file(struct svg *svg, const char *path, bool prints)
{
    struct whole_file file;

    if (!whole_file_open(&file, "--svg", path)) {
        return -EINVAL;
    }
    int err = svg_write(svg, file.file);
    if (err < 0) {
        say("--svg: %s: %s", path, strerror(-err));
        whole_file_drop(&file);
    }
    if (err < 0 || !whole_file_keep(&file)) {
        return -EINVAL;
    }
    if (prints) {
        printf("%s\n", path);
    }
    return 0;
}

/* A plot as DIRECTORY/NAME.svg. */
static int write_plot(void *arg, const char *name, const struct plot *plot)
{
    const struct place *place = arg;
    char path[4096];
    struct svg svg;

    if (snprintf(path, sizeof(path), "%s/%s.svg", place->path, name) >=
        (int)sizeof(path)) {
        say("--svg: the path is too long");
        return -EINVAL;
    }
    if (svg_init(&svg) < 0) {
        return -ENOMEM;
    }
    svg_add(&svg, plot);
    int err = write_file(&svg, path, place->prints);
    svg_fini(&svg);
    return err;
}

static int add_plot(void *arg, const char *name, const struct plot *plot)
{
    (void)name;
    svg_add(arg, plot);
    return 0;
}

static int write_all(const struct saved *runs, size_t count,
                     const struct place *place)
{
    struct svg svg;
    const struct plots_sink sink = {.take = add_plot, .arg = &svg};

    int err = svg_init(&svg);
    if (err == 0) {
        err = plots_make(runs, count, &sink);
    }
    if (err == 0) {
        err = write_file(&svg, place->path, place->prints);
    }
    svg_fini(&svg);
    return err;
}

static bool ends_in_svg(const char *path)
{
    size_t len = strlen(path);

    return len > 4 && strcmp(path + len - 4, ".svg") == 0;
}

bool draw_svg(const struct saved *runs, size_t count, const char *path,
              bool prints)
{
    struct place place = {.path = path, .prints = prints};
    struct stat status;
    int err = 0;

    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        const struct plots_sink sink = {.take = write_plot, .arg = &place};
        err = plots_make(runs, count, &sink);
    } else if (ends_in_svg(path)) {
        err = write_all(runs, count, &place);
    } else {
        say("--svg: %s is no directory that is there, and no file's name: it "
            "does not end in .svg",
            path);
        return false;
    }
    if (err == -ENOMEM) {
        say("--svg: no memory");
    }
    return err == 0;
}
