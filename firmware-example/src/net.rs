//! The link's socket: an IP address, a connection to the relay, bytes to and fro.
//!
//! Every wait is bounded: whoever feeds the watchdog looks at when this loop last came round.

use core::cell::{Cell, RefCell};

use embassy_futures::select::{Either3, select, select3};
use embassy_net::{ConfigV4, DhcpConfig, Ipv4Cidr, Stack, StaticConfigV4, tcp::TcpSocket};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_storage::nor_flash::NorFlash;

use crate::{
    app::{Wake, uptime},
    board::{Entropy, Keeper, Panel},
    device::{Device, Down},
    settings::Network,
};

const CONNECT: Duration = Duration::from_secs(10);
/// A relay that takes no byte for so long is gone.
const WRITE: Duration = Duration::from_secs(20);
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes of each of the socket's buffers: a record and some.
const SOCKET: usize = 1400;

/// The socket's buffers, usually a `static`.
#[derive(Debug)]
pub struct Buffers {
    rx: [u8; SOCKET],
    tx: [u8; SOCKET],
}

impl Buffers {
    /// Nothing in them yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rx: [0; SOCKET],
            tx: [0; SOCKET],
        }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::new()
    }
}

/// What outlives one device's life.
pub struct Net<'d> {
    /// The stack; somebody else runs it.
    pub stack: Stack<'d>,
    /// The socket's.
    pub buffers: &'d mut Buffers,
    /// How the IP address was last asked for.
    pub applied: Option<Network>,
}

impl core::fmt::Debug for Net<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Net({:?})", self.applied)
    }
}

impl Net<'_> {
    /// Keeps the device's link up until it is dropped. `round` is set whenever the loop comes round.
    pub async fn keep<F: NorFlash, E: Entropy, K: Keeper, P: Panel>(
        &mut self,
        device: &RefCell<Device<'_, F, E, K, P>>,
        wake: &Wake,
        round: &Cell<u64>,
    ) {
        loop {
            round.set(uptime());
            device.borrow_mut().poll(uptime());
            self.configure(device);
            let target = device.borrow_mut().target(uptime());
            match target {
                Ok(relay) => {
                    let Buffers { rx, tx } = &mut *self.buffers;
                    let mut socket = TcpSocket::new(self.stack, rx, tx);
                    // Frames are small and wait for answers.
                    socket.set_nagle_enabled(false);
                    match with_timeout(CONNECT, socket.connect(relay)).await {
                        Ok(Ok(())) => talk(device, &mut socket, wake, round).await,
                        _ => device.borrow_mut().close(uptime(), Down::Unreachable),
                    }
                    socket.abort();
                    // Best effort: so that the relay knows at once.
                    let _ = with_timeout(FAREWELL, socket.flush()).await;
                }
                Err(pause) => {
                    let pause = pause.min(device.borrow_mut().pause(uptime()));
                    select(Timer::after_millis(pause), wake.wait()).await;
                }
            }
        }
    }

    #[inline(never)]
    fn configure<F: NorFlash, E: Entropy, K: Keeper, P: Panel>(
        &mut self,
        device: &RefCell<Device<'_, F, E, K, P>>,
    ) {
        let wanted = device.borrow().network();
        if wanted != self.applied {
            self.applied = wanted;
            self.stack.set_config_v4(match wanted {
                None => ConfigV4::None,
                Some(Network::Dhcp) => ConfigV4::Dhcp(DhcpConfig::default()),
                Some(Network::Static {
                    address,
                    prefix,
                    gateway,
                }) => ConfigV4::Static(StaticConfigV4 {
                    address: Ipv4Cidr::new(address, prefix),
                    gateway: Some(gateway),
                    dns_servers: Default::default(),
                }),
            });
        }
        let ip = self
            .stack
            .config_v4()
            .map(|config| config.address.address());
        device.borrow_mut().has_ip(uptime(), ip);
    }
}

/// Moves bytes until one side has enough.
async fn talk<F: NorFlash, E: Entropy, K: Keeper, P: Panel>(
    device: &RefCell<Device<'_, F, E, K, P>>,
    socket: &mut TcpSocket<'_>,
    wake: &Wake,
    round: &Cell<u64>,
) {
    device.borrow_mut().connected(uptime());
    loop {
        round.set(uptime());
        let (linked, writes, reads, pause) = {
            let mut device = device.borrow_mut();
            device.poll(uptime());
            let writes = !device.output().is_empty();
            (
                device.is_linked(),
                writes,
                device.has_room(),
                device.pause(uptime()),
            )
        };
        if !linked {
            return;
        }
        let ended = if writes {
            let copy = |room: &mut [u8]| {
                let mut device = device.borrow_mut();
                let out = device.output();
                let len = out.len().min(room.len());
                room[..len].copy_from_slice(&out[..len]);
                device.sent(uptime(), len);
                (len, ())
            };
            match with_timeout(WRITE, socket.write_with(copy)).await {
                Ok(Ok(())) => None,
                Ok(Err(_)) => Some(Down::Lost),
                Err(_) => Some(Down::Silent),
            }
        } else if reads {
            let take = |bytes: &mut [u8]| (device.borrow_mut().input(bytes), ());
            match select3(
                socket.read_with(take),
                wake.wait(),
                Timer::after_millis(pause),
            )
            .await
            {
                Either3::First(Err(_)) => Some(Down::Lost),
                _ => None,
            }
        } else {
            select(wake.wait(), Timer::after_millis(pause)).await;
            None
        };
        if let Some(down) = ended {
            device.borrow_mut().close(uptime(), down);
        }
    }
}
