/* Journals what a program does to the files below a folder, so that a test can cut its power: after
 * SIGKILL the page cache still has every write, and a missing fsync does not show. Preloaded:
 *
 *   SHIM_FOLDER   the folder that is looked at, from the working folder
 *   SHIM_JOURNAL  a folder outside of it: `journal`, and what was unlinked or replaced
 *
 * A sync is only noted, never done: that the journal has it is all that counts. Files of these names
 * beside the journal change what happens, and are looked for at each call:
 *
 *   fail-sync     fsync and fdatasync fail with EIO; what they should have kept is lost for good
 *   full          what makes a file longer, or makes one, fails with ENOSPC
 *
 * A record is seven numbers of 64 bits (kind, inode, offset, size of the file before, length, bytes of
 * the path, bytes of data), the path, and the data: what was there before, or another path. shim.rs reads it.
 * SQLite's -shm is left out: it holds nothing that must last. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE = 1, TRUNCATE, SYNC, LOST, CREATE, UNLINK, RENAME, MAKE, SYNC_FOLDER };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static const char *folder, *beside;
static int journal = -1;
static unsigned long stashed;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_open)(const char *, int, ...);
static int (*real_rename)(const char *, const char *);

__attribute__((constructor)) static void begin(void) {
    real_write = REAL(write);
    real_pwrite = REAL(pwrite);
    real_open = REAL(open);
    real_rename = REAL(rename);
    beside = getenv("SHIM_JOURNAL");
    if (!getenv("SHIM_FOLDER") || !beside) return;
    static char looked_at[PATH_MAX];
    char path[PATH_MAX];
    if (!getcwd(path, sizeof path)) abort();
    snprintf(looked_at, sizeof looked_at, "%s/%s", path, getenv("SHIM_FOLDER"));
    folder = looked_at;
    snprintf(path, sizeof path, "%s/journal", beside);
    journal = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal < 0) abort();
}

static int is_told(const char *name) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", beside, name);
    return access(path, F_OK) == 0;
}

static int is_below(const char *path) {
    size_t length = journal < 0 ? 0 : strlen(folder), end = strlen(path);
    /* The folder that the folder itself lies in: its entry is there. */
    if (length > end && !strncmp(path, folder, end) && strrchr(folder, '/') == folder + end) return 1;
    return length && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]) &&
           !(end > 4 && !strcmp(path + end - 4, "-shm"));
}

/* The path of an open file, if it is one of ours. */
static int find(int fd, mode_t type, struct stat *is, char *path) {
    int kept = errno, found = 0;
    if (journal >= 0 && fstat(fd, is) == 0 && (is->st_mode & S_IFMT) == type) {
        char name[64];
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(name, path, PATH_MAX - 1);
        path[length > 0 ? length : 0] = 0;
        found = is_below(path);
    }
    errno = kept;
    return found;
}

static void note(enum kind kind, uint64_t inode, uint64_t offset, uint64_t before, uint64_t length,
                 const char *path, const void *data, uint64_t bytes) {
    uint64_t head[7] = {kind, inode, offset, before, length, path ? strlen(path) : 0, bytes};
    struct iovec parts[3] = {{head, sizeof head}, {(void *)path, head[5]}, {(void *)data, bytes}};
    size_t all = sizeof head + head[5] + bytes;
    if (REAL(writev)(journal, parts, 3) != (ssize_t)all) abort();
}

/* Notes what a range of a file has, which is about to be written or cut off. */
static void note_range(enum kind kind, int fd, const struct stat *is, uint64_t offset, uint64_t length) {
    uint64_t size = is->st_size, had = offset < size ? size - offset : 0;
    if (had > length) had = length;
    char *data = malloc(had ? had : 1);
    if (!data || pread(fd, data, had, offset) != (ssize_t)had) abort();
    note(kind, is->st_ino, offset, size, length, NULL, data, had);
    free(data);
}

static ssize_t put(int fd, const void *data, size_t length, off_t at) {
    struct stat is;
    char path[PATH_MAX];
    if (!find(fd, S_IFREG, &is, path))
        return at < 0 ? real_write(fd, data, length) : real_pwrite(fd, data, length, at);
    pthread_mutex_lock(&turn);
    ssize_t done = -1;
    off_t place = at;
    fstat(fd, &is);
    if (at < 0) {
        place = fcntl(fd, F_GETFL) & O_APPEND ? is.st_size : lseek(fd, 0, SEEK_CUR);
    }
    if (place + (off_t)length > is.st_size && is_told("full")) {
        errno = ENOSPC;
    } else {
        note_range(WRITE, fd, &is, place, length);
        done = at < 0 ? real_write(fd, data, length) : real_pwrite(fd, data, length, at);
    }
    pthread_mutex_unlock(&turn);
    return done;
}

ssize_t write(int fd, const void *data, size_t length) { return put(fd, data, length, -1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return put(fd, data, length, at); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) { return put(fd, data, length, at); }

static ssize_t put_all(int fd, const struct iovec *parts, int count, off_t at) {
    ssize_t all = 0;
    for (int part = 0; part < count; part++) {
        ssize_t done = put(fd, parts[part].iov_base, parts[part].iov_len, at < 0 ? at : at + all);
        if (done < 0) return all ? all : done;
        all += done;
        if ((size_t)done < parts[part].iov_len) break;
    }
    return all;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct stat is;
    char path[PATH_MAX];
    if (!find(fd, S_IFREG, &is, path)) return REAL(writev)(fd, parts, count);
    return put_all(fd, parts, count, -1);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return put_all(fd, parts, count, at); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return put_all(fd, parts, count, at); }

static int cut(int fd, off_t length, int (*real)(int, off_t)) {
    struct stat is;
    char path[PATH_MAX];
    if (!find(fd, S_IFREG, &is, path)) return real(fd, length);
    pthread_mutex_lock(&turn);
    int done = -1;
    fstat(fd, &is);
    if (length > is.st_size && is_told("full")) {
        errno = ENOSPC;
    } else {
        uint64_t gone = length < is.st_size ? is.st_size - length : 0;
        note_range(TRUNCATE, fd, &is, length, gone);
        done = real(fd, length);
    }
    pthread_mutex_unlock(&turn);
    return done;
}

int ftruncate(int fd, off_t length) { return cut(fd, length, REAL(ftruncate)); }
int ftruncate64(int fd, off64_t length) { return cut(fd, length, REAL(ftruncate)); }

static int sync_file(int fd, int (*real)(int)) {
    struct stat is;
    char path[PATH_MAX];
    int is_file = find(fd, S_IFREG, &is, path);
    if (!is_file && !find(fd, S_IFDIR, &is, path)) return real(fd);
    pthread_mutex_lock(&turn);
    int fails = is_told("fail-sync");
    if (!fails)
        note(is_file ? SYNC : SYNC_FOLDER, is.st_ino, 0, 0, 0, path, NULL, 0);
    else if (is_file)
        note(LOST, is.st_ino, 0, 0, 0, path, NULL, 0);
    pthread_mutex_unlock(&turn);
    if (fails) errno = EIO;
    return fails ? -1 : 0;
}

int fsync(int fd) { return sync_file(fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_file(fd, REAL(fdatasync)); }

static int make(const char *path, int flags, mode_t mode) {
    if (!(flags & O_CREAT) || !is_below(path)) {
        struct stat is;
        if (flags & O_TRUNC && is_below(path) && stat(path, &is) == 0 && is.st_size) abort();
        return real_open(path, flags, mode);
    }
    pthread_mutex_lock(&turn);
    struct stat is;
    int is_new = stat(path, &is) != 0, fd = -1;
    if (!is_new && flags & O_TRUNC && is.st_size) abort(); /* nobody does, so nothing is written for it */
    if (is_new && is_told("full")) {
        errno = ENOSPC;
    } else {
        fd = real_open(path, flags, mode);
        if (is_new && fd >= 0) note(CREATE, 0, 0, 0, 0, path, NULL, 0);
    }
    pthread_mutex_unlock(&turn);
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }

int open(const char *path, int flags, ...) { MODE(flags) return make(path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return make(path, flags | O_LARGEFILE, mode); }

/* Where a file goes that is unlinked or replaced; its content may come back. */
static void stash(char *to) { snprintf(to, PATH_MAX, "%s/gone-%d-%lu", beside, getpid(), stashed++); }

static int forget(const char *path, int (*real)(const char *)) {
    if (!is_below(path)) return real(path);
    pthread_mutex_lock(&turn);
    char to[PATH_MAX];
    stash(to);
    int done = real_rename(path, to);
    if (done == 0) note(UNLINK, 0, 0, 0, 0, path, to, strlen(to));
    pthread_mutex_unlock(&turn);
    return done;
}

int unlink(const char *path) { return forget(path, REAL(unlink)); }

int rename(const char *from, const char *to) {
    if (!is_below(from) || !is_below(to)) return real_rename(from, to);
    pthread_mutex_lock(&turn);
    if (access(to, F_OK) == 0) {
        char gone[PATH_MAX];
        stash(gone);
        if (real_rename(to, gone) == 0) note(UNLINK, 0, 0, 0, 0, to, gone, strlen(gone));
    }
    int done = real_rename(from, to);
    if (done == 0) note(RENAME, 0, 0, 0, 0, from, to, strlen(to));
    pthread_mutex_unlock(&turn);
    return done;
}

int mkdir(const char *path, mode_t mode) {
    int done = REAL(mkdir)(path, mode);
    if (done == 0 && is_below(path)) {
        pthread_mutex_lock(&turn);
        note(MAKE, 0, 0, 0, 0, path, NULL, 0);
        pthread_mutex_unlock(&turn);
    }
    return done;
}
