/*
 * Changes the root and the user, and enters a sandbox, in this order: each step
 * needs rights that the next one removes.
 *
 * Users and groups are read from the files in /etc: a service's user is there,
 * and a static program cannot use other NSS sources.
 */
#include "confine.h"

#include "filter.h"
#include "tools/common/console.h"
#include "tools/weir-proxy/config/confine_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUPS_MAX 64

struct identity {
    char name[LOGIN_NAME_MAX]; /* "" if the user does not change */
    uid_t uid;
    gid_t gid;
    gid_t groups[GROUPS_MAX];
    size_t group_count;
};

static bool read_id(const char *text, unsigned *ret)
{
    char *end;

    errno = 0;
    const unsigned long id = strtoul(text, &end, 10);
    *ret = (unsigned)id;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 &&
           id < UINT32_MAX;
}

static bool find_user(const char *name, struct identity *ret)
{
    FILE *file = fopen("/etc/passwd", "re");
    const struct passwd *entry;
    unsigned id;
    const bool is_number = read_id(name, &id);
    bool is_found = false;

    while (file && !is_found && (entry = fgetpwent(file))) {
        is_found = strcmp(entry->pw_name, name) == 0 ||
                   (is_number && entry->pw_uid == id);
        if (is_found) {
            snprintf(ret->name, sizeof(ret->name), "%s", entry->pw_name);
            ret->uid = entry->pw_uid;
            ret->gid = entry->pw_gid;
        }
    }
    if (file) {
        fclose(file);
    }
    return is_found;
}

static bool has_member(const struct group *group, const char *user)
{
    for (char **member = group->gr_mem; *member; member++) {
        if (strcmp(*member, user) == 0) {
            return true;
        }
    }
    return false;
}

/* Collects the groups that the user is a member of, and sets the group @name,
 * unless it is NULL. Returns false if @name does not exist. */
static bool find_groups(const char *name, struct identity *ret)
{
    FILE *file = fopen("/etc/group", "re");
    const struct group *entry;
    unsigned id = 0;
    bool is_found = !name || read_id(name, &id);

    if (name && is_found) {
        ret->gid = id;
    }
    while (file && (entry = fgetgrent(file))) {
        if (name && strcmp(entry->gr_name, name) == 0) {
            ret->gid = entry->gr_gid;
            is_found = true;
        }
        if (ret->name[0] && has_member(entry, ret->name) &&
            ret->group_count < GROUPS_MAX) {
            ret->groups[ret->group_count++] = entry->gr_gid;
        }
    }
    if (file) {
        fclose(file);
    }
    return is_found;
}

static bool find_identity(const struct config *config, struct identity *ret,
                          char *why)
{
    *ret = (struct identity){.uid = geteuid(), .gid = getegid()};
    if (config->user && !find_user(config->user, ret)) {
        return option_refuse(why, "user: there is no '%.100s' in /etc/passwd",
                             config->user);
    }
    return find_groups(config->group, ret) ||
           option_refuse(why, "group: there is no '%.100s' in /etc/group",
                         config->group);
}

uid_t confine_get_user(const struct config *config)
{
    struct identity identity;
    char why[OPTION_WHY_SIZE];

    return find_identity(config, &identity, why) ? identity.uid : geteuid();
}

bool confine_check(const struct config *config, char *why)
{
    struct identity identity;
    struct stat status;

    if (!find_identity(config, &identity, why)) {
        return false;
    }
    const bool is_other = identity.uid != geteuid() ||
                          (config->group && identity.gid != getegid());
    if ((is_other || config->chroot) && geteuid() != 0) {
        return option_refuse(why, "%s needs to be started by root",
                             config->chroot  ? "chroot"
                             : config->group ? "group"
                                             : "user");
    }
    if (config->chroot &&
        (stat(config->chroot, &status) < 0 || !S_ISDIR(status.st_mode))) {
        return option_refuse(why, "chroot: '%.200s' is not a folder",
                             config->chroot);
    }
    return true;
}

static int fail(const char *what)
{
    const int err = errno;

    say("%s: %s", what, strerror(err));
    return -err;
}

static int become(const struct identity *identity)
{
    if (setgroups(identity->group_count, identity->groups) < 0 ||
        setresgid(identity->gid, identity->gid, identity->gid) < 0) {
        return fail("group");
    }
    return setresuid(identity->uid, identity->uid, identity->uid) < 0
               ? fail("user")
               : 0;
}

/* The new root may have no /etc, so the user is looked up first. */
static int change_root_and_user(const struct config *config)
{
    struct identity identity;
    char why[OPTION_WHY_SIZE];

    if (!find_identity(config, &identity, why)) {
        say("%s", why);
        return -ENOENT;
    }
    if (config->chroot && (chroot(config->chroot) < 0 || chdir("/") < 0)) {
        return fail("chroot");
    }
    return geteuid() == 0 && (config->user || config->group) ? become(&identity)
                                                             : 0;
}

/* Enters the sandbox with as many restrictions as possible. Prints the
 * restrictions that the kernel does not support or that another sandbox
 * forbids. */
static void enter_sandbox(const struct config *config, bool with_filter,
                          struct confinement *ret)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        fail("sandbox");
        return;
    }
    const int abi = confine_paths(config);
    if (abi < 0) {
        say("sandbox: files are not restricted: Landlock: %s", strerror(-abi));
    }
    ret->landlock_abi = abi > 0 ? abi : 0;
    const int err = with_filter ? filter_install() : 0;
    if (err < 0) {
        say("sandbox: system calls are not restricted: seccomp: %s",
            strerror(-err));
    }
    ret->has_filter = with_filter && err == 0;
}

static void warn_of_root(const struct config *config)
{
    if (config->chroot && !config->user) {
        say("warning: chroot without user: root can leave it");
    }
}

int confine_begin(const struct config *config, struct confinement *ret)
{
    warn_of_root(config);
    *ret = (struct confinement){.is_confined = config->user || config->group ||
                                               config->chroot ||
                                               config->has_sandbox};
    const int err = ret->is_confined ? change_root_and_user(config) : 0;

    if (err == 0 && config->has_sandbox) {
        enter_sandbox(config, true, ret);
    }
    if (err == 0 && ret->is_confined) {
        char text[512] = "";
        FILE *out = fmemopen(text, sizeof(text), "w");
        if (out) {
            confine_write(ret, config, ',', out);
            fclose(out);
            say("confined: %s", text);
        }
    }
    return err;
}

void confine_write(const struct confinement *confinement,
                   const struct config *config, char between, FILE *out)
{
    fprintf(out, "user %ld%croot %s%cLandlock ", (long)geteuid(), between,
            config->chroot ? config->chroot : "/", between);
    if (confinement->landlock_abi > 0) {
        fprintf(out, "%d", confinement->landlock_abi);
    } else {
        fputs("off", out);
    }
    fprintf(out, "%ccalls %s", between,
            confinement->has_filter ? "filtered" : "all");
}

const char *confine_path_outside(const struct config *config, const char *path,
                                 char *ret)
{
    const char *root = config->chroot && path[0] != '@' ? config->chroot : "";

    snprintf(ret, PATH_MAX, "%s%s%s", root,
             root[0] && path[0] != '/' ? "/" : "", path);
    return ret;
}

/* Returns true if a log can be opened again after rotation: the log's folder
 * must be writable, and if the log exists, the log must be writable, too. */
static bool try_log(const char *path)
{
    char folder[PATH_MAX];

    if (access(path, F_OK) == 0) {
        const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0 || close(fd) < 0) {
            return false;
        }
    }
    return confine_is_special(path) ||
           access(confine_folder_of(path, folder), W_OK | X_OK) == 0;
}

/* Tries to open a file as the serving proxy would. */
static void try_path(void *arg, const char *path, enum confine_use use)
{
    static const char *const later[] = {
        [CONFINE_CONFIG] =
            ("SIGHUP cannot read '%s' again, and will change nothing: %s"),
        [CONFINE_READ] = "SIGHUP cannot read '%s' again: %s",
        [CONFINE_APPEND] = "SIGUSR1 cannot open '%s' again: %s",
        [CONFINE_SOCKETS] = "no socket can be created or removed in '%s': %s",
        [CONFINE_CONNECT] = "'%s' cannot be reached: %s"};
    bool is_good;

    (void)arg;
    if (use == CONFINE_APPEND) {
        is_good = try_log(path);
    } else if (use == CONFINE_CONFIG || use == CONFINE_READ) {
        const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        is_good = fd >= 0;
        if (is_good) {
            close(fd);
        }
    } else {
        is_good =
            access(path, use == CONFINE_SOCKETS ? W_OK | X_OK : W_OK) == 0;
    }
    if (!is_good) {
        char text[512];
        const int err = errno;
        snprintf(text, sizeof(text), later[use], path, strerror(err));
        say("warning: while the proxy serves, %s", text);
    }
}

struct breadth {
    const struct config *config;
    char log[PATH_MAX]; /* folder of the last log */
    bool is_writable;
};

static void find_folder(const char *path, char *ret)
{
    if (confine_is_folder(path)) {
        snprintf(ret, PATH_MAX, "%s", path);
    } else {
        confine_folder_of(path, ret);
    }
}

static void warn_beside_log(void *arg, const char *path, enum confine_use use)
{
    struct breadth *breadth = arg;
    const size_t len = strlen(breadth->log);
    char folder[PATH_MAX];

    if (breadth->is_writable ||
        (use != CONFINE_CONFIG && use != CONFINE_READ)) {
        return;
    }
    find_folder(path, folder);
    if (strcmp(folder, breadth->log) == 0 ||
        (strncmp(path, breadth->log, len) == 0 && path[len] == '/')) {
        say("warning: the sandbox lets the proxy write '%s', because its log "
            "is in the same folder",
            path);
        breadth->is_writable = true;
    }
}

/* Remembers the folder of the last log, because several logs often share one.
 */
static void warn_of_folder(void *arg, const char *path, enum confine_use use)
{
    struct breadth *breadth = arg;
    char folder[PATH_MAX];

    if (use == CONFINE_CONFIG) {
        find_folder(path, folder);
        if (confine_is_broad(folder)) {
            say("warning: the sandbox lets the proxy read all files in '%s', "
                "because '%s' is there",
                folder, path);
        }
    } else if (use == CONFINE_APPEND && !confine_is_special(path) &&
               strcmp(confine_folder_of(path, folder), breadth->log) != 0) {
        memcpy(breadth->log, folder, sizeof(folder));
        if (confine_is_broad(folder)) {
            say("warning: the sandbox lets the proxy write all files in '%s', "
                "because its log is there",
                folder);
        }
        confine_each_path(breadth->config, warn_beside_log, breadth);
    }
}

void confine_look(const struct config *config)
{
    struct confinement confinement = {.is_confined = true};

    if (!config->user && !config->group && !config->chroot &&
        !config->has_sandbox) {
        return;
    }
    warn_of_root(config);
    if (config->has_sandbox) {
        struct breadth breadth = {.config = config};
        confine_each_path(config, warn_of_folder, &breadth);
    }
    const pid_t child = fork();
    if (child == 0) {
        if (change_root_and_user(config) == 0) {
            if (config->has_sandbox) {
                enter_sandbox(config, false, &confinement);
            }
            confine_each_path(config, try_path, NULL);
        }
        _exit(0);
    }
    if (child > 0) {
        waitpid(child, NULL, 0);
    }
}
