//! End-to-end encrypted messaging for a chip with 64 KiB of RAM.
#![no_std]
