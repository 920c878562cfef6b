/*
 * What the example needs of the machine around it. port.c does it with C's standard library, which
 * on a host is the host's and in QEMU is newlib over semihosting; your firmware has drivers instead.
 */
#ifndef PORT_H
#define PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most bytes of a line: a command with an envelope in hexadecimal. */
#define PORT_LINE 4096

/* Hands a failure on to whoever called. */
#define TRY(call)                       \
    do {                                \
        hw_status status_ = (call);     \
        if (status_ != HW_STATUS_OK) {  \
            return status_;             \
        }                               \
    } while (0)

/* Randomness fit for keys; 0 for success. A board asks its hardware generator. */
int32_t port_random(void *context, uint8_t *out, size_t len);

/* A flash that keeps one record for each slot; false for failure. Here it is RAM that the example's
 * "power" command does not clear. */
bool port_flash_write(uint32_t slot, const uint8_t *record, size_t len);
/* Copies a record out; 0 where the slot is empty. */
size_t port_flash_read(uint32_t slot, uint8_t *record, size_t size);
/* The next so many writes fail, as a worn part's do. */
void port_flash_fail(uint32_t writes);

/* Reads a line and cuts it into words; false at the end of the input. The rest are empty words. */
bool port_read_words(char *line, char *words[], size_t count);
/* Hexadecimal to bytes; their number. What does not fit or is no digit ends it. */
size_t port_bytes(const char *hex, uint8_t *out, size_t size);
/* Four bytes, big-endian, to a number. */
uint32_t port_u32(const uint8_t bytes[4]);
/* Decimal digits to a number. */
uint32_t port_decimal(const char *text);
/* Prints a word and bytes in hexadecimal, as one line. */
void port_say(const char *word, const uint8_t *bytes, size_t len);
/* Prints a word and a text, as one line. */
void port_tell(const char *word, const char *text);

#endif
