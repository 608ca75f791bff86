/* What a machine can do to a program that trusts it: loaded in front of libc, told what to do through a shared page.
 *
 * LETTERLOCK_FAULTS names a file of one page, mapped by every process of a gateway and by the test (shim.py has the
 * same fields). Beside it stand FILE.log (what was written, synced, renamed and said, in order) and FILE.undo (how
 * to forget what was not synced). Faults touch files whose path holds `watched`, and never sockets or pipes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct page {
    int64_t sync_errno, sync_microseconds, write_errno, write_percent, read_errno, create_errno, clock_seconds, hurry;
    int64_t full, no_files, log, forgetful, reserved[4];
    int64_t syncs, failed, accepts, refused_files, counters[12];
    char watched[256], root[512];
};

static struct page off;
static volatile struct page *page = &off;
static int log_file = -1, undo_file = -1;

static int open_beside(const char *name, const char *ending) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s.%s", name, ending);
    return (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("LETTERLOCK_FAULTS");
    int fd = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0) : -1;
    if (fd < 0) return;
    void *there = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (there == MAP_FAILED) return;
    page = there;
    /* High numbers: a test that takes the descriptors away must not take these. */
    log_file = open_beside(name, "log");
    undo_file = open_beside(name, "undo");
}

#define REAL(type, name, ...)                                    \
    static type (*real)(__VA_ARGS__);                            \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static void count(volatile int64_t *what) { __atomic_add_fetch(what, 1, __ATOMIC_RELAXED); }

static int path_of(int fd, char *path) {
    static const char unnamed[] = " (deleted)"; /* so the kernel calls a file without a name; a path is one word here */
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
    size_t tail = sizeof unnamed - 1;
    if (length > (ssize_t)tail && !strcmp(path + length - tail, unnamed)) path[length - tail] = 0;
    return path[0] == '/';
}

static int is_watched(const char *path) { return strstr(path, (const char *)page->watched) != NULL; }

static int fails_on(int fd, int64_t error) {
    char path[PATH_MAX];
    return error && path_of(fd, path) && is_watched(path);
}

static int refuse(int64_t error) {
    count(&page->failed);
    errno = (int)error;
    return -1;
}

/* -- the order of things --------------------------------------------------------------------------------------- */

static void note(char kind, const char *what, const char *more) {
    char line[2 * PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%d %c %s%s%s\n", (int)getpid(), kind, what, *more ? " " : "", more);
    if (log_file >= 0) syscall(SYS_write, log_file, line, (size_t)length);
}

static void said(int fd, const void *octets, size_t length) {
    struct stat status;
    if (!page->log || length < 3 || fstat(fd, &status) || !S_ISSOCK(status.st_mode)) return;
    char text[61];
    size_t end = 0;
    for (const char *sign = octets; end < length && end < 60 && sign[end] >= ' '; end++) text[end] = sign[end];
    text[end] = 0;
    note('T', text, "");
}

/* -- a disk that forgets: what was there before each write, kept until the file is synced ------------------------ */

struct record { int64_t kind, inode, offset, size, length, names; };

static void remember(struct record record, const char *names, const void *octets) {
    char *whole = malloc(sizeof record + (size_t)record.names + (size_t)record.length);
    memcpy(whole, &record, sizeof record);
    memcpy(whole + sizeof record, names, (size_t)record.names);
    memcpy(whole + sizeof record + record.names, octets, (size_t)record.length);
    syscall(SYS_write, undo_file, whole, sizeof record + (size_t)(record.names + record.length));
    free(whole);
}

static int is_ours(const char *path) {
    return page->forgetful && !strncmp(path, (const char *)page->root, strlen((const char *)page->root)) &&
           !strstr(path, "-shm");
}

/* Before `length` octets at `offset` change, or (length < 0) before the file is cut at `offset`. */
static void before_change(int fd, off_t offset, ssize_t length) {
    char path[PATH_MAX];
    struct stat status;
    if (!page->forgetful || fstat(fd, &status) || !S_ISREG(status.st_mode) || !path_of(fd, path) || !is_ours(path)) return;
    int64_t end = length < 0 ? status.st_size : offset + length;
    int64_t old = (end < status.st_size ? end : status.st_size) - offset;
    char *octets = malloc(old > 0 ? (size_t)old : 1);
    if (old > 0) {
        int again = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        old = syscall(SYS_pread64, again, octets, (size_t)old, offset);
        close(again);
    }
    struct record record = {'W', (int64_t)status.st_ino, offset, status.st_size, old > 0 ? old : 0, (int64_t)strlen(path) + 1};
    remember(record, path, octets);
    free(octets);
}

static void before_sync(int fd) {
    struct stat status;
    if (!page->forgetful || fstat(fd, &status)) return;
    char path[PATH_MAX] = "";
    path_of(fd, path);
    struct record record = {S_ISDIR(status.st_mode) ? 'D' : 'S', (int64_t)status.st_ino, 0, 0, 0, (int64_t)strlen(path) + 1};
    remember(record, path, "");
}

static void entered(int64_t kind, const char *old, const char *path) {
    char names[2 * PATH_MAX], full[PATH_MAX];
    struct stat status;
    if (!page->forgetful || !realpath(path, full) || !is_ours(full) || stat(full, &status)) return;
    int length = snprintf(names, sizeof names, "%s%c%s", full, 0, old);
    struct record record = {kind, (int64_t)status.st_ino, 0, 0, 0, length + 1};
    remember(record, names, "");
}

/* -- syncing ---------------------------------------------------------------------------------------------------- */

static int sync_with(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    int known = path_of(fd, path);
    count(&page->syncs);
    if (page->sync_microseconds) {
        struct timespec pause = {page->sync_microseconds / 1000000, page->sync_microseconds % 1000000 * 1000};
        syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    if (page->sync_errno && known && is_watched(path)) return refuse(page->sync_errno);
    before_sync(fd);
    int result = real(fd);
    if (page->log && known) note('S', path, "");
    return result;
}

int fsync(int fd) { REAL(int, "fsync", int); return sync_with(fd, real); }
int fdatasync(int fd) { REAL(int, "fdatasync", int); return sync_with(fd, real); }

/* -- writing ---------------------------------------------------------------------------------------------------- */

/* How much of a write happens: all of it, a part, or -1 with errno set. At 100 % the write is whole and the next fails. */
static ssize_t allowed(int fd, size_t length) {
    static __thread int next_fails;
    if (!page->write_errno) next_fails = 0;
    if (!fails_on(fd, page->write_errno)) return (ssize_t)length;
    ssize_t part = (ssize_t)(length * (size_t)page->write_percent / 100);
    if (next_fails || !part) { next_fails = 0; return refuse(page->write_errno); }
    next_fails = 1;
    return part;
}

static void wrote(int fd) {
    char path[PATH_MAX];
    struct stat status;
    if (page->log && !fstat(fd, &status) && S_ISREG(status.st_mode) && path_of(fd, path)) note('W', path, "");
}

static ssize_t write_at(int fd, const void *octets, size_t length, off_t offset) {
    ssize_t part = allowed(fd, length);
    if (part < 0) return -1;
    before_change(fd, offset, part);
    ssize_t result = syscall(SYS_pwrite64, fd, octets, (size_t)part, offset);
    wrote(fd);
    return result;
}
ssize_t pwrite(int fd, const void *octets, size_t length, off_t offset) { return write_at(fd, octets, length, offset); }
ssize_t pwrite64(int fd, const void *octets, size_t length, off_t offset) { return write_at(fd, octets, length, offset); }

ssize_t write(int fd, const void *octets, size_t length) {
    if (fd == log_file || fd == undo_file) return syscall(SYS_write, fd, octets, length);
    said(fd, octets, length);
    ssize_t part = allowed(fd, length);
    if (part < 0) return -1;
    if (page->forgetful) before_change(fd, lseek(fd, 0, SEEK_CUR), part);
    ssize_t result = syscall(SYS_write, fd, octets, (size_t)part);
    wrote(fd);
    return result;
}

static int cut(int fd, off_t size) {
    if (fails_on(fd, page->write_errno)) return refuse(page->write_errno);
    before_change(fd, size, -1);
    return (int)syscall(SYS_ftruncate, fd, size);
}
int ftruncate(int fd, off_t size) { return cut(fd, size); }
int ftruncate64(int fd, off_t size) { return cut(fd, size); }

ssize_t writev(int fd, const struct iovec *parts, int many) {
    if (many) said(fd, parts[0].iov_base, parts[0].iov_len);
    return syscall(SYS_writev, fd, parts, many);
}
ssize_t send(int fd, const void *octets, size_t length, int flags) {
    said(fd, octets, length);
    return syscall(SYS_sendto, fd, octets, length, flags, NULL, 0);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    if (message->msg_iovlen) said(fd, message->msg_iov[0].iov_base, message->msg_iov[0].iov_len);
    return syscall(SYS_sendmsg, fd, message, flags);
}

/* -- reading, names, room ----------------------------------------------------------------------------------------- */

static ssize_t read_at(int fd, void *octets, size_t length, off_t offset) {
    if (fails_on(fd, page->read_errno)) return refuse(page->read_errno);
    return syscall(SYS_pread64, fd, octets, length, offset);
}
ssize_t pread(int fd, void *octets, size_t length, off_t offset) { return read_at(fd, octets, length, offset); }
ssize_t pread64(int fd, void *octets, size_t length, off_t offset) { return read_at(fd, octets, length, offset); }

static int open_at(int folder, const char *path, int flags, mode_t mode) {
    int fresh = (flags & O_CREAT) && (page->create_errno || page->forgetful) && access(path, F_OK);
    if (fresh && page->create_errno && is_watched(path)) {
        count(&page->refused_files);
        return refuse(page->create_errno);
    }
    int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    if (fresh && fd >= 0) entered('C', "", path);
    return fd;
}
#define OPENS(name)                                                                  \
    int name(const char *path, int flags, ...) {                                     \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        return open_at(AT_FDCWD, path, flags, mode);                                 \
    }
OPENS(open)
OPENS(open64)

int rename(const char *old, const char *path) {
    int result = (int)syscall(SYS_rename, old, path);
    if (!result) entered('R', old, path);
    if (page->log) note('R', old, path);
    return result;
}
int linkat(int from, const char *old, int to, const char *path, int flags) {
    char target[PATH_MAX] = "";
    int fd;
    if (sscanf(old, "/proc/self/fd/%d", &fd) == 1) path_of(fd, target);
    int result = (int)syscall(SYS_linkat, from, old, to, path, flags);
    if (!result) entered('L', "", path);
    if (page->log) note('R', target, path);
    return result;
}
int mkdir(const char *path, mode_t mode) {
    if (page->create_errno && is_watched(path)) {
        count(&page->refused_files);
        return refuse(page->create_errno);
    }
    int result = (int)syscall(SYS_mkdir, path, mode);
    if (!result) entered('C', "", path);
    return result;
}

#define ROOMS(name, type)                                              \
    int name(const char *path, type *status) {                         \
        REAL(int, #name, const char *, type *);                        \
        int result = real(path, status);                               \
        if (page->full && is_watched(path)) status->f_bavail = 0;      \
        if (page->no_files && is_watched(path)) status->f_favail = 0;  \
        return result;                                                 \
    }
ROOMS(statvfs, struct statvfs)
ROOMS(statvfs64, struct statvfs64)

/* -- time and doors ------------------------------------------------------------------------------------------------ */

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (clock == CLOCK_REALTIME) time->tv_sec += page->clock_seconds;
    return result;
}
int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    int result = (int)syscall(SYS_gettimeofday, time, zone);
    time->tv_sec += page->clock_seconds;
    return result;
}
time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}

/* SQLite waits for a lock in steps of these two, and counts the steps: a hurry makes its patience short. */
int usleep(useconds_t microseconds) {
    struct timespec pause = {microseconds / 1000000, microseconds % 1000000 * 1000};
    return nanosleep(&pause, NULL);
}
int nanosleep(const struct timespec *wanted, struct timespec *left) {
    int64_t length = (wanted->tv_sec * 1000000000LL + wanted->tv_nsec) / (page->hurry > 1 ? page->hurry : 1);
    struct timespec pause = {length / 1000000000, length % 1000000000};
    return (int)syscall(SYS_nanosleep, &pause, left);
}

int accept4(int fd, struct sockaddr *restrict peer, socklen_t *restrict length, int flags) {
    count(&page->accepts);
    return (int)syscall(SYS_accept4, fd, peer, length, flags);
}
int accept(int fd, struct sockaddr *restrict peer, socklen_t *restrict length) { return accept4(fd, peer, length, 0); }
