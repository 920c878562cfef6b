/* See port.h. */
#include "port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hushwire.h"

enum { SLOTS = HW_SLOT_SESSION + 4 };

static struct {
    uint8_t record[HW_RECORD_MAX];
    size_t len;
} flash[SLOTS];

static uint32_t failing_writes;

int32_t port_random(void *context, uint8_t *out, size_t len)
{
    static FILE *source;
    (void)context;
    /* QEMU opens the host's, through semihosting. */
    if (source == NULL) {
        source = fopen("/dev/urandom", "rb");
    }
    return source != NULL && fread(out, 1, len, source) == len ? 0 : -1;
}

bool port_flash_write(uint32_t slot, const uint8_t *record, size_t len)
{
    if (failing_writes > 0) {
        failing_writes--;
        return false;
    }
    if (slot >= SLOTS || len > sizeof flash[slot].record) {
        return false;
    }
    memcpy(flash[slot].record, record, len);
    flash[slot].len = len;
    return true;
}

size_t port_flash_read(uint32_t slot, uint8_t *record, size_t size)
{
    if (slot >= SLOTS || flash[slot].len > size) {
        return 0;
    }
    memcpy(record, flash[slot].record, flash[slot].len);
    return flash[slot].len;
}

void port_flash_fail(uint32_t writes)
{
    failing_writes = writes;
}

bool port_read_words(char *line, char *words[], size_t count)
{
    if (fgets(line, PORT_LINE, stdin) == NULL) {
        return false;
    }
    char *word = strtok(line, " \r\n");
    for (size_t i = 0; i < count; i++) {
        static char none[] = "";
        words[i] = word != NULL ? word : none;
        word = word != NULL ? strtok(NULL, " \r\n") : NULL;
    }
    return true;
}

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

size_t port_bytes(const char *hex, uint8_t *out, size_t size)
{
    size_t len = 0;
    while (len < size && digit(hex[0]) >= 0 && digit(hex[1]) >= 0) {
        out[len++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
        hex += 2;
    }
    return len;
}

uint32_t port_u32(const uint8_t bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

uint32_t port_decimal(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

void port_say(const char *word, const uint8_t *bytes, size_t len)
{
    printf("%s ", word);
    for (size_t i = 0; i < len; i++) {
        printf("%02x", bytes[i]);
    }
    printf("\n");
    fflush(stdout);
}

void port_tell(const char *word, const char *text)
{
    printf("%s %s\n", word, text);
    fflush(stdout);
}
