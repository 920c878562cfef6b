//! Driver of the SMSC LAN9118 and LAN9220 Ethernet controllers for `embassy-net`.
#![no_std]
