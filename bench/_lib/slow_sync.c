/*
 * Every sync takes longer, and is counted: what a server does on a disk slower than the one here.
 *
 * SLOW_SYNC_US is how much longer, SLOW_SYNC_COUNT a file of eight bytes that counts them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t nowhere;
static _Atomic uint64_t *count = &nowhere;
static struct timespec longer;

__attribute__((constructor)) static void begin(void)
{
    const char *us = getenv("SLOW_SYNC_US"), *path = getenv("SLOW_SYNC_COUNT");
    long all = us ? atol(us) : 0;
    longer.tv_sec = all / 1000000;
    longer.tv_nsec = all % 1000000 * 1000;
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *at = mmap(0, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at != MAP_FAILED)
            count = at;
        close(fd);
    }
}

static void take_longer(void)
{
    struct timespec left = longer;
    while (nanosleep(&left, &left))
        ;
    ++*count;
}

int fsync(int fd)
{
    static int (*real)(int);
    if (!real)
        real = dlsym(RTLD_NEXT, "fsync");
    int result = real(fd);
    take_longer();
    return result;
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (!real)
        real = dlsym(RTLD_NEXT, "fdatasync");
    int result = real(fd);
    take_longer();
    return result;
}

int syncfs(int fd)
{
    static int (*real)(int);
    if (!real)
        real = dlsym(RTLD_NEXT, "syncfs");
    int result = real(fd);
    take_longer();
    return result;
}

int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags)
{
    static int (*real)(int, off64_t, off64_t, unsigned);
    if (!real)
        real = dlsym(RTLD_NEXT, "sync_file_range");
    int result = real(fd, offset, size, flags);
    take_longer();
    return result;
}
