/*
 * A fuzzer without libFuzzer: runs the files that are named, and those in the folders that are
 * named, once each. Options are libFuzzer's and are passed over, so that both are called alike.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/mem.h"
#include "tests/fuzz/fuzz.h"

static unsigned files, failures;

static void run_file(const char *path)
{
    struct buf text = {0};
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        failures++;
        return;
    }
    for (size_t n; (n = fread(buf_reserve(&text, 65536), 1, 65536, f)) > 0;)
        text.len += n;
    fclose(f);
    /* Of exactly this size, so that a sanitizer sees a read beyond it. */
    cleanup_free unsigned char *copy = xmemdup(text.len ? text.data : "", text.len ? text.len : 1);
    size_t len = text.len;
    buf_release(&text);
    /* Known when it crashes: the last line that was written. */
    fprintf(stderr, "Running: %s\n", path);
    LLVMFuzzerTestOneInput(copy, len);
    files++;
}

static void run_folder(DIR *d, const char *path)
{
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        cleanup_free char *file = xasprintf("%s/%s", path, e->d_name);
        if (e->d_name[0] != '.')
            run_file(file);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-')
            continue;
        DIR *d = opendir(argv[i]);
        if (!d) {
            run_file(argv[i]);
            continue;
        }
        run_folder(d, argv[i]);
        closedir(d);
    }
    printf("%u files\n", files);
    return failures > 0 || files == 0;
}
