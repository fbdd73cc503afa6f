/* Loaded before the C library (LD_PRELOAD): counts the operations of a process that change files,
   and ends the process with SIGKILL before one of them, or in the middle of a write. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static struct { /* memory that outlives the process */
    long count;
    char what[504]; /* the operation that it died at */
    char kinds[1 << 15]; /* the first letter of each operation; W: a write that can be torn */
} *seen;
static long armed = -1; /* the operation to die at; 0: only count */
static int torn; /* whether half of a write is done before */
static pid_t owner; /* processes that it starts are not meant */

void torture_arm(long number, int in_the_middle, void *memory) {
    armed = number; torn = in_the_middle; seen = memory; owner = getpid();
    seen->count = 0; seen->what[0] = 0;
}

static int reached(const char *name, const char *path, size_t size) {
    if (armed < 0 || getpid() != owner) return 0;
    long number = ++seen->count;
    if (number < (long)sizeof seen->kinds) seen->kinds[number] = size > 1 ? 'W' : name[0];
    if (number != armed) return 0;
    snprintf(seen->what, sizeof seen->what, "%s %s", name, path ? path : "");
    return 1;
}

static void at(const char *name, const char *path) {
    if (reached(name, path, 0)) kill(getpid(), SIGKILL);
}

static int at_file(const char *name, int fd, size_t size) { /* not those to a terminal or a pipe */
    struct stat about;
    if (armed < 0 || fstat(fd, &about) != 0 || !(S_ISREG(about.st_mode) || S_ISDIR(about.st_mode)))
        return 0;
    char link[32], path[400];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    if (!reached(name, path, size)) return 0;
    if (torn && size > 1) return 1;
    return kill(getpid(), SIGKILL);
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *b, size_t n) {
    REAL(write);
    if (at_file("write", fd, n)) { real(fd, b, n / 2); kill(getpid(), SIGKILL); }
    return real(fd, b, n);
}
#define BY_HANDLE(type, name, parameters, arguments) \
    type name parameters { REAL(name); at_file(#name, fd, 0); return real arguments; }
BY_HANDLE(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
BY_HANDLE(ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o))
BY_HANDLE(ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o))
BY_HANDLE(ssize_t, sendfile, (int fd, int from, off_t *o, size_t n), (fd, from, o, n))
BY_HANDLE(ssize_t, sendfile64, (int fd, int from, off64_t *o, size_t n), (fd, from, o, n))
BY_HANDLE(int, fsync, (int fd), (fd))
BY_HANDLE(int, fdatasync, (int fd), (fd))
BY_HANDLE(int, ftruncate, (int fd, off_t n), (fd, n))
BY_HANDLE(int, ftruncate64, (int fd, off64_t n), (fd, n))

#define BY_NAME(name, parameters, path, arguments) \
    int name parameters { REAL(name); at(#name, path); return real arguments; }
BY_NAME(rename, (const char *a, const char *b), b, (a, b))
BY_NAME(renameat, (int d, const char *a, int e, const char *b), b, (d, a, e, b))
BY_NAME(link, (const char *a, const char *b), b, (a, b))
BY_NAME(linkat, (int d, const char *a, int e, const char *b, int f), b, (d, a, e, b, f))
BY_NAME(symlink, (const char *a, const char *b), b, (a, b))
BY_NAME(unlink, (const char *a), a, (a))
BY_NAME(unlinkat, (int d, const char *a, int f), a, (d, a, f))
BY_NAME(rmdir, (const char *a), a, (a))
BY_NAME(mkdir, (const char *a, mode_t m), a, (a, m))
BY_NAME(truncate, (const char *a, off_t n), a, (a, n))
BY_NAME(truncate64, (const char *a, off64_t n), a, (a, n))

/* A file that is created, or emptied as it is opened. */
#define BY_OPENING(name) \
    int name(const char *a, int flags, ...) { \
        REAL(name); \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, int); va_end(rest); \
        if ((flags & (O_CREAT | O_TRUNC)) && strncmp(a, "/dev/", 5) && strncmp(a, "/proc/", 6)) \
            at("open", a); \
        return real(a, flags, mode); \
    }
BY_OPENING(open)
BY_OPENING(open64)
