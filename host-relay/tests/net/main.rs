//! The relay over real connections on the loopback interface, in this process.

#[path = "../store/faulty_disk.rs"]
#[allow(dead_code, reason = "each test program uses its part")]
mod faulty_disk;
#[path = "../support/mod.rs"]
mod support;

#[cfg(all(feature = "websocket", feature = "tls"))]
mod coats;
mod conversation;
mod disk;
mod hostile;
#[allow(dead_code, reason = "each test program uses its part")]
mod relay;
mod rotation;
mod stop;
