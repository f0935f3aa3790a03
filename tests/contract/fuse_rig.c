/*
 * The FUSE file system of fuse_rig.h.
 *
 * A child answers the kernel's requests, following the protocol of
 * linux/fuse.h, and shares a record of them with the test.
 */
#include "tests/contract/fuse_rig.h"

#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <weir/task.h>

/* Space for a request, in which the kernel may write WRITE_MAX bytes. */
enum { WRITE_MAX = 4096, REQUEST_MAX = 16384, OPCODES = 64 };
enum { FILE_ID = 2 };
#define FOREVER UINT64_C(86400)

struct sight {
    size_t counts[OPCODES];
    int errors[OPCODES]; /* errors returned for requests; 0 is success */
    uint32_t watched;    /* id of the observed thread; 0 is none */
    uint32_t asked;
};

static struct sight *sight;
static int device = -1;
static pid_t server;
static char folder[32];
char fuse_rig_file[64];
int fuse_rig_kept = -1;

static void answer(const struct fuse_in_header *in, int err, const void *data,
                   size_t len)
{
    uint8_t room[REQUEST_MAX];
    const struct fuse_out_header out = {.len = (uint32_t)(sizeof(out) + len),
                                        .error = err,
                                        .unique = in->unique};

    memcpy(room, &out, sizeof(out));
    if (len > 0) {
        memcpy(room + sizeof(out), data, len);
    }
    const ssize_t put = write(device, room, out.len);
    (void)put; /* the caller no longer waits after an interruption */
}

static struct fuse_attr attributes_of(uint64_t id)
{
    return (struct fuse_attr){.ino = id,
                              .size = FUSE_RIG_SIZE,
                              .mode = id == FILE_ID ? S_IFREG | 0644
                                                    : S_IFDIR | 0755,
                              .nlink = 1,
                              .blksize = 4096};
}

static void answer_init(const struct fuse_in_header *in)
{
    const struct fuse_init_out out = {
        .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = WRITE_MAX};
    answer(in, 0, &out, sizeof(out));
}

static void answer_lookup(const struct fuse_in_header *in, const char *name)
{
    const struct fuse_entry_out out = {.nodeid = FILE_ID,
                                       .generation = 1,
                                       .entry_valid = FOREVER,
                                       .attr = attributes_of(FILE_ID)};
    const bool is_file = strcmp(name, "file") == 0;
    answer(in, is_file ? 0 : -ENOENT, &out, is_file ? sizeof(out) : 0);
}

static void answer_getattr(const struct fuse_in_header *in)
{
    const struct fuse_attr_out out = {.attr = attributes_of(in->nodeid)};
    answer(in, 0, &out, sizeof(out));
}

static void answer_read(const struct fuse_in_header *in,
                        const struct fuse_read_in *read_in)
{
    uint8_t bytes[WRITE_MAX];
    const uint64_t left =
        read_in->offset < FUSE_RIG_SIZE ? FUSE_RIG_SIZE - read_in->offset : 0;
    size_t len = read_in->size < left ? read_in->size : (size_t)left;
    len = len < sizeof(bytes) ? len : sizeof(bytes);
    memset(bytes, 'x', sizeof(bytes));
    answer(in, 0, bytes, len);
}

static void answer_write(const struct fuse_in_header *in,
                         const struct fuse_write_in *write_in)
{
    const struct fuse_write_out out = {.size = write_in->size};
    answer(in, 0, &out, sizeof(out));
}

static uint32_t opcode_of(const struct fuse_in_header *in)
{
    return in->opcode < OPCODES ? in->opcode : 0;
}

static void serve(const struct fuse_in_header *in)
{
    const struct fuse_open_out opened = {.fh = 1};
    const void *rest = in + 1;
    const int err =
        __atomic_load_n(&sight->errors[opcode_of(in)], __ATOMIC_SEQ_CST);

    if (err < 0) {
        answer(in, err, NULL, 0);
        return;
    }
    switch (in->opcode) {
    case FUSE_INIT:
        answer_init(in);
        break;
    case FUSE_LOOKUP:
        answer_lookup(in, rest);
        break;
    case FUSE_GETATTR:
        answer_getattr(in);
        break;
    case FUSE_OPEN:
        answer(in, 0, &opened, sizeof(opened));
        break;
    case FUSE_READ:
        answer_read(in, rest);
        break;
    case FUSE_WRITE:
        answer_write(in, rest);
        break;
    case FUSE_FLUSH:
    case FUSE_FSYNC:
    case FUSE_RELEASE:
        answer(in, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break;
    default:
        answer(in, -ENOSYS, NULL, 0);
    }
}

static void note(const struct fuse_in_header *in)
{
    const uint32_t opcode = opcode_of(in);
    const uint32_t watched = __atomic_load_n(&sight->watched, __ATOMIC_SEQ_CST);

    __atomic_add_fetch(&sight->counts[opcode], 1, __ATOMIC_SEQ_CST);
    if (watched != 0 && in->pid == watched && sight->asked == 0) {
        __atomic_store_n(&sight->asked, in->opcode, __ATOMIC_SEQ_CST);
    }
}

static void serve_all(void)
{
    static _Alignas(uint64_t) uint8_t request[REQUEST_MAX];
    const struct fuse_in_header *in = (const void *)request;
    ssize_t len;

    do {
        len = read(device, request, sizeof(request));
        if (len > 0) {
            note(in);
            serve(in);
        }
    } while (len > 0 || errno == EINTR || errno == ENOENT);
}

/* The child stays outside of the test's mount namespace, so that the namespace
 * and the file system disappear when the test ends, however it ends. */
static void start_server(int *ret_mounted)
{
    int mounted[2];
    char byte;

    expect_eq(pipe2(mounted, O_CLOEXEC), 0);
    server = fork();
    expect_geq(server, 0);
    if (server == 0) {
        close(mounted[1]);
        if (read(mounted[0], &byte, 1) == 1) {
            serve_all();
        }
        _exit(0);
    }
    close(mounted[0]);
    *ret_mounted = mounted[1];
}

static bool mount_it(void)
{
    char options[64];

    snprintf(options, sizeof(options),
             "fd=%d,rootmode=40000,user_id=0,group_id=0", device);
    snprintf(folder, sizeof(folder), "./weir-fuse-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(fuse_rig_file, sizeof(fuse_rig_file), "%s/file", folder);
    return unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("weir", folder, "fuse", MS_NOSUID | MS_NODEV, options) == 0;
}

static void mount_and_serve(void)
{
    int mounted;

    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    sight = mmap(NULL, sizeof(*sight), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(sight, MAP_FAILED);
    start_server(&mounted);
    const bool is_mounted = device >= 0 && mount_it();
    expect_eq(write(mounted, "x", is_mounted), is_mounted);
    close(mounted);
    close(device);
    if (!is_mounted) {
        expect_eq(waitpid(server, NULL, 0), server);
        rmdir(folder);
        cr_skip_test("no file system can be mounted; runs as root with FUSE");
    }
    const int fd = open(fuse_rig_file, O_RDONLY | O_CLOEXEC);
    expect_geq(fd, 0);
    close(fd);
}

static int find_open(void)
{
    char path[32];
    char target[512];

    for (int fd = 0; fd < UNIT_FD_MAX; fd++) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        const ssize_t len = readlink(path, target, sizeof(target) - 1);
        target[len > 0 ? len : 0] = '\0';
        if (strstr(target, fuse_rig_file + 1)) {
            return fd;
        }
    }
    return -1;
}

static void unmount(void)
{
    expect_eq(find_open(), -1, "a descriptor of the file is left");
    expect_eq(umount2(folder, MNT_DETACH), 0);
    expect_eq(rmdir(folder), 0);
    expect_eq(waitpid(server, NULL, 0), server);
    expect_eq(munmap(sight, sizeof(*sight)), 0);
}

uint32_t fuse_rig_get_asked(void)
{
    return __atomic_load_n(&sight->asked, __ATOMIC_SEQ_CST);
}

void fuse_rig_fail(uint32_t opcode, int err)
{
    expect_lt(opcode, OPCODES);
    __atomic_store_n(&sight->errors[opcode], err, __ATOMIC_SEQ_CST);
}

size_t fuse_rig_count(uint32_t opcode)
{
    return __atomic_load_n(&sight->counts[opcode], __ATOMIC_SEQ_CST);
}

struct call {
    fuse_rig_body *body;
    int fd;
};

static void fail_on_exception(void *arg, weir_loop *loop,
                              const struct weir_exception *exception)
{
    if (exception->notice == WEIR_NOTICE_ENGINE) {
        return;
    }
    cr_assert_fail("the hook is told: %s", exception->message);
}

/* From now on the loop's thread must make no request. */
static int call_body(weir_loop *loop, void *arg)
{
    const struct call *call = arg;
    memset(sight, 0, sizeof(*sight));
    __atomic_store_n(&sight->watched, (uint32_t)gettid(), __ATOMIC_SEQ_CST);
    weir_loop_set_exception_handler(loop, fail_on_exception, NULL);
    call->body(loop, call->fd);
    expect_eq(fuse_rig_get_asked(), 0, "the loop's thread waits");
    return 0;
}

void fuse_rig_run(fuse_rig_body *body)
{
    weir_loop *loop;
    int ret = 1;
    mount_and_serve();
    struct call call = {body, open(fuse_rig_file, O_RDWR | O_CLOEXEC)};
    expect_geq(call.fd, 0);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(weir_loop_run_task(loop, call_body, &call, &ret), 0);
    expect_eq(ret, 0);
    expect_geq(weir_loop_free(loop), 0);
    close(fuse_rig_kept);
    unmount();
}
