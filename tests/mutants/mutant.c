/*
 * The chosen fault, from the environment.
 *
 * Each program and each shared library is linked with a copy of its own. A
 * number that cannot be read, or a file that cannot be mapped, ends the
 * process: a run without its fault would be taken for one that did not notice.
 */
#include "mutant.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

unsigned wr_mutant_chosen; /* 0: none */
unsigned char *wr_mutants_reached;

static void choose(const char *number)
{
    char *end = NULL;
    const unsigned long value = strtoul(number, &end, 10);

    if (end == number || *end != '\0' || value == 0) {
        abort();
    }
    wr_mutant_chosen = (unsigned)value;
}

static void record(const char *path)
{
    struct stat status;
    const int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status) < 0) {
        abort();
    }
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE,
                       MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) {
        abort();
    }
    wr_mutants_reached = bytes;
    close(fd);
}

/* Before the constructors of tests and libraries. */
__attribute__((constructor(101))) static void begin(void)
{
    const char *number = getenv("WEIR_MUTANT");
    const char *path = getenv("WEIR_MUTANTS_REACHED");

    if (number) {
        choose(number);
    }
    if (path) {
        record(path);
    }
}
