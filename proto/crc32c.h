#ifndef COROD_PROTO_CRC32C_H
#define COROD_PROTO_CRC32C_H
/* CRC-32C (Castagnoli), the checksum of RFC 3720, appendix B.4. Start with crc 0; chain by passing
 * the last. */
#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
