/* Interposes the calls by which a process opens, writes, renames, truncates, syncs, locks, makes or removes a file in one
   folder. It numbers them for each role, and at one of them kills the process, cuts a write short, or lets the call fail.

   It sees what goes through the C library. `test_the_shim_sees_what_strace_sees` compares its list with the kernel's. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { LIST, KILL, TORN, FAIL };
enum { ROLES = 2 };

/* Shared by the processes of one run. */
struct plan {
    char folder[4096];
    int mode, role, ordinal, error;
    int reached;
    int count[ROLES];
};

static struct plan *plan;
static int role, log_file = -1;

/* Called by the harness in each process of a run. */
void crash_begin(const char *path, int log) {
    int file = open(path, O_RDWR);
    struct plan *found = mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (found == MAP_FAILED) abort();
    close(file);
    log_file = log;
    plan = found;
}

void crash_role(int number) { role = number; }

static int is_inside(const char *path) {
    size_t size = strlen(plan->folder);
    return !strncmp(path, plan->folder, size) && (path[size] == 0 || path[size] == '/');
}

static int path_at(int dir, const char *path, char *out) {
    char base[4096];
    if (path[0] == '/') { snprintf(out, 8192, "%s", path); return 1; }
    if (dir == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        ssize_t size = readlink(link, base, sizeof base - 1);
        if (size < 0) return 0;
        base[size] = 0;
    }
    snprintf(out, 8192, "%s/%s", base, path);
    return 1;
}

/* Count the call; 0: go on, -1: fail with errno, 1: write half and die. */
static int pass(const char *name, const char *path) {
    if (!plan || !is_inside(path)) return 0;
    int ordinal = __sync_add_and_fetch(&plan->count[role], 1);
    if (plan->mode == LIST) {
        char line[8300];
        int size = snprintf(line, sizeof line, "%d %d %s %s\n", role, ordinal, name, path + strlen(plan->folder));
        syscall(SYS_write, log_file, line, size);
        return 0;
    }
    if (plan->role != role || plan->ordinal != ordinal) return 0;
    plan->reached = 1;
    if (plan->mode == KILL) kill(getpid(), SIGKILL);
    if (plan->mode == TORN) {
        if (!strstr(name, "write")) kill(getpid(), SIGKILL);
        return 1;
    }
    errno = plan->error;
    return -1;
}

static int pass_at(const char *name, int dir, const char *path) {
    char full[8192];
    if (!plan || !path || !path_at(dir, path, full)) return 0;
    return pass(name, full);
}

static int pass_fd(const char *name, int file) {
    char link[64], path[4096];
    if (!plan) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    char *gone = strstr(path, " (deleted)");
    if (gone) *gone = 0;
    return pass(name, path);
}

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = dlsym(RTLD_NEXT, #name)

#define OPENING(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, name, const char *, int, ...); \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        return pass_at("open", AT_FDCWD, path) ? -1 : real(path, flags, mode); \
    }
OPENING(open)
OPENING(open64)

#define OPENING_AT(name) \
    int name(int dir, const char *path, int flags, ...) { \
        REAL(int, name, int, const char *, int, ...); \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        return pass_at("open", dir, path) ? -1 : real(dir, path, flags, mode); \
    }
OPENING_AT(openat)
OPENING_AT(openat64)

ssize_t write(int file, const void *data, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t);
    int found = pass_fd("write", file);
    if (found < 0) return -1;
    if (found) { real(file, data, size / 2); kill(getpid(), SIGKILL); }
    return real(file, data, size);
}

#define WRITING_AT(name) \
    ssize_t name(int file, const void *data, size_t size, off_t at) { \
        REAL(ssize_t, name, int, const void *, size_t, off_t); \
        int found = pass_fd("pwrite", file); \
        if (found < 0) return -1; \
        if (found) { real(file, data, size / 2, at); kill(getpid(), SIGKILL); } \
        return real(file, data, size, at); \
    }
WRITING_AT(pwrite)
WRITING_AT(pwrite64)

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    return pass_fd("writev", file) ? -1 : real(file, parts, count);
}

#define ON_FILE(name, word) \
    int name(int file) { \
        REAL(int, name, int); \
        return pass_fd(word, file) ? -1 : real(file); \
    }
ON_FILE(fsync, "fsync")
ON_FILE(fdatasync, "fsync")

#define CUTTING(name) \
    int name(int file, off_t size) { \
        REAL(int, name, int, off_t); \
        return pass_fd("ftruncate", file) ? -1 : real(file, size); \
    }
CUTTING(ftruncate)
CUTTING(ftruncate64)

int truncate(const char *path, off_t size) {
    REAL(int, truncate, const char *, off_t);
    return pass_at("truncate", AT_FDCWD, path) ? -1 : real(path, size);
}

int flock(int file, int how) {
    REAL(int, flock, int, int);
    return pass_fd("flock", file) ? -1 : real(file, how);
}

#define CONTROLLING(name) \
    int name(int file, int command, ...) { \
        REAL(int, name, int, int, ...); \
        va_list more; va_start(more, command); void *argument = va_arg(more, void *); va_end(more); \
        int locks = command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW; \
        return locks && pass_fd("fcntl", file) ? -1 : real(file, command, argument); \
    }
CONTROLLING(fcntl)
CONTROLLING(fcntl64)

int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    return pass_at("rename", AT_FDCWD, from) ? -1 : real(from, to);
}

int renameat(int a, const char *from, int b, const char *to) {
    REAL(int, renameat, int, const char *, int, const char *);
    return pass_at("rename", a, from) ? -1 : real(a, from, b, to);
}

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    return pass_at("unlink", AT_FDCWD, path) ? -1 : real(path);
}

int unlinkat(int dir, const char *path, int flags) {
    REAL(int, unlinkat, int, const char *, int);
    return pass_at("unlink", dir, path) ? -1 : real(dir, path, flags);
}

int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    return pass_at("mkdir", AT_FDCWD, path) ? -1 : real(path, mode);
}

int rmdir(const char *path) {
    REAL(int, rmdir, const char *);
    return pass_at("rmdir", AT_FDCWD, path) ? -1 : real(path);
}
