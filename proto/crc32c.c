#include "proto/crc32c.h"

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    static uint32_t table[256]; /* filled the same by every thread that finds it empty */
    const unsigned char *p = data;

    if (!__atomic_load_n(&table[255], __ATOMIC_ACQUIRE)) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++)
                c = (c >> 1) ^ (0x82f63b78u & -(c & 1));
            __atomic_store_n(&table[i], c, __ATOMIC_RELEASE);
        }
    }
    crc = ~crc;
    while (len--)
        crc = (crc >> 8) ^ table[(crc ^ *p++) & 0xff];
    return ~crc;
}
