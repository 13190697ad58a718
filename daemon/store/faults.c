#include "daemon/store/faults.h"

#ifdef COROD_ERRINJ
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proto/errinj.h"
#include "proto/log.h"
#include "proto/mem.h"

/* SQLite allocates szOsFile bytes: this, then the real file. */
struct faulty_file {
    sqlite3_file base;
    bool is_log;
};

static sqlite3_vfs *real_vfs;
static int64_t *unsynced; /* [2], or NULL */

static sqlite3_file *real(sqlite3_file *f)
{
    return (sqlite3_file *)((struct faulty_file *)f + 1);
}

static bool is_log(sqlite3_file *f)
{
    return ((struct faulty_file *)f)->is_log;
}

static void note_written(sqlite3_file *f, int64_t from, int64_t to)
{
    if (!unsynced || !is_log(f))
        return;
    bool none = unsynced[0] == unsynced[1];
    if (none || from < unsynced[0])
        __atomic_store_n(&unsynced[0], from, __ATOMIC_RELEASE);
    if (none || to > unsynced[1])
        __atomic_store_n(&unsynced[1], to, __ATOMIC_RELEASE);
}

static int on_close(sqlite3_file *f)
{
    return real(f)->pMethods->xClose(real(f));
}

static int on_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    if (errinj(ERRINJ_STORE_FILE_READ))
        return SQLITE_IOERR_READ;
    return real(f)->pMethods->xRead(real(f), p, n, at);
}

static int on_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    note_written(f, at, at + n);
    if (errinj(ERRINJ_STORE_FILE_WRITE))
        return SQLITE_IOERR_WRITE;
    bool is_short = errinj(ERRINJ_STORE_FILE_FULL);
    int rc = real(f)->pMethods->xWrite(real(f), p, is_short ? n / 2 : n, at);
    return is_short ? SQLITE_FULL : rc;
}

static int on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return real(f)->pMethods->xTruncate(real(f), size);
}

static int on_sync(sqlite3_file *f, int flags)
{
    if (errinj(ERRINJ_STORE_FILE_SYNC))
        return SQLITE_IOERR_FSYNC;
    int rc = real(f)->pMethods->xSync(real(f), flags);
    if (rc == SQLITE_OK && unsynced && is_log(f))
        __atomic_store_n(&unsynced[0], unsynced[1], __ATOMIC_RELEASE);
    return rc;
}

static int on_file_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real(f)->pMethods->xFileSize(real(f), size);
}

static int on_lock(sqlite3_file *f, int lock)
{
    return real(f)->pMethods->xLock(real(f), lock);
}

static int on_unlock(sqlite3_file *f, int lock)
{
    return real(f)->pMethods->xUnlock(real(f), lock);
}

static int on_check_lock(sqlite3_file *f, int *ret)
{
    return real(f)->pMethods->xCheckReservedLock(real(f), ret);
}

static int on_control(sqlite3_file *f, int op, void *arg)
{
    return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int on_sector_size(sqlite3_file *f)
{
    return real(f)->pMethods->xSectorSize(real(f));
}

static int on_characteristics(sqlite3_file *f)
{
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int on_shm_map(sqlite3_file *f, int page, int bytes, int extend, void volatile **ret)
{
    return real(f)->pMethods->xShmMap(real(f), page, bytes, extend, ret);
}

static int on_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}

static void on_shm_barrier(sqlite3_file *f)
{
    real(f)->pMethods->xShmBarrier(real(f));
}

static int on_shm_unmap(sqlite3_file *f, int delete)
{
    return real(f)->pMethods->xShmUnmap(real(f), delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, /* no xFetch: memory-mapped reads are not used */
    .xClose = on_close,
    .xRead = on_read,
    .xWrite = on_write,
    .xTruncate = on_truncate,
    .xSync = on_sync,
    .xFileSize = on_file_size,
    .xLock = on_lock,
    .xUnlock = on_unlock,
    .xCheckReservedLock = on_check_lock,
    .xFileControl = on_control,
    .xSectorSize = on_sector_size,
    .xDeviceCharacteristics = on_characteristics,
    .xShmMap = on_shm_map,
    .xShmLock = on_shm_lock,
    .xShmBarrier = on_shm_barrier,
    .xShmUnmap = on_shm_unmap,
};

static int on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
    (void)vfs;
    struct faulty_file *file = (struct faulty_file *)f;
    int rc = real_vfs->xOpen(real_vfs, name, real(f), flags, ret_flags);
    file->is_log = flags & SQLITE_OPEN_WAL;
    file->base.pMethods = real(f)->pMethods ? &methods : NULL;
    return rc;
}

static void map_unsynced(void)
{
    const char *path = getenv("COROD_UNSYNCED");
    if (!path)
        return;
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        fatal("COROD_UNSYNCED: %s: %s", path, strerror(errno));
    unsynced = p;
}

void faults_install(void)
{
    static sqlite3_vfs vfs;
    real_vfs = sqlite3_vfs_find(NULL);
    map_unsynced();
    vfs = *real_vfs;
    vfs.zName = "corod-faults";
    vfs.szOsFile += (int)sizeof(struct faulty_file);
    vfs.xOpen = on_open;
    if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
        fatal("sqlite3_vfs_register failed");
}
#else
typedef int faults_are_not_built_in; /* ISO C wants one declaration */
#endif
