//! A wire between a device and its gateway that loses, doubles and disorders frames.

use std::collections::VecDeque;
use std::net::UdpSocket;

use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

/// Longest Ethernet frame without its check sum.
const MTU: usize = 1514;

/// What the wire does to frames, both ways; each in percent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Frames that never arrive.
    pub loss: u8,
    /// Frames that arrive twice.
    pub doubled: u8,
    /// Frames that arrive after the one behind them.
    pub overtaken: u8,
}

/// What has happened on a wire so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tale {
    /// Frames that were put on the wire.
    pub frames: u64,
    /// Of these, never arrived.
    pub lost: u64,
    /// Arrived twice.
    pub doubled: u64,
    /// Arrived late.
    pub overtaken: u64,
}

/// The gateway's end of the wire: frames in datagrams, as QEMU's `-netdev dgram` carries them.
pub(crate) struct Wire {
    socket: UdpSocket,
    peer: std::net::SocketAddr,
    pub(crate) weather: Weather,
    pub(crate) tale: Tale,
    dice: u64,
    arrived: VecDeque<Vec<u8>>,
    late_in: Option<Vec<u8>>,
    late_out: Option<Vec<u8>>,
}

impl Wire {
    pub(crate) fn new(socket: UdpSocket, peer: std::net::SocketAddr, weather: Weather) -> Self {
        Self {
            socket,
            peer,
            weather,
            tale: Tale::default(),
            // Any seed but zero: the run is repeatable as far as the two ends are.
            dice: 0x9e37_79b9_7f4a_7c15,
            arrived: VecDeque::new(),
            late_in: None,
            late_out: None,
        }
    }

    /// xorshift64*: nothing here is secret.
    fn throw(&mut self, percent: u8) -> bool {
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        let drawn = (self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % 100;
        drawn < u64::from(percent)
    }

    /// What of a frame arrives, and in which order; `late` keeps the one that is overtaken.
    fn pass(&mut self, frame: Vec<u8>, late: &mut Option<Vec<u8>>) -> Vec<Vec<u8>> {
        let Weather {
            loss,
            doubled,
            overtaken,
        } = self.weather;
        self.tale.frames += 1;
        if self.throw(loss) {
            self.tale.lost += 1;
            return Vec::new();
        }
        if late.is_none() && self.throw(overtaken) {
            self.tale.overtaken += 1;
            *late = Some(frame);
            return Vec::new();
        }
        let mut out = vec![frame];
        if self.throw(doubled) {
            self.tale.doubled += 1;
            out.extend_from_within(..);
        }
        out.extend(late.take());
        out
    }

    fn send(&mut self, frame: Vec<u8>) {
        let mut late = self.late_out.take();
        for frame in self.pass(frame, &mut late) {
            // The other end may be without power: then the frame is lost, as on any wire.
            let _ = self.socket.send_to(&frame, self.peer);
        }
        self.late_out = late;
    }

    fn collect(&mut self) {
        let mut buffer = [0; 2048];
        while let Ok((len, _)) = self.socket.recv_from(&mut buffer) {
            let mut late = self.late_in.take();
            let frames = self.pass(buffer[..len].to_vec(), &mut late);
            self.arrived.extend(frames);
            self.late_in = late;
        }
    }
}

impl phy::Device for Wire {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Leaving<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Arrived, Leaving<'_>)> {
        self.collect();
        let frame = self.arrived.pop_front()?;
        Some((Arrived(frame), Leaving(self)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Leaving<'_>> {
        Some(Leaving(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

pub(crate) struct Arrived(Vec<u8>);

impl phy::RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub(crate) struct Leaving<'a>(&'a mut Wire);

impl phy::TxToken for Leaving<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.send(frame);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(weather: Weather) -> Wire {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let peer = socket.local_addr().expect("an address");
        socket.set_nonblocking(true).expect("not blocking");
        Wire::new(socket, peer, weather)
    }

    #[test]
    fn weather_happens_about_as_often_as_it_says() {
        let weather = Weather {
            loss: 30,
            doubled: 10,
            overtaken: 10,
        };
        let mut wire = wire(weather);
        let mut late = None;
        let arrived: usize = (0..10_000)
            .map(|n: u32| wire.pass(n.to_be_bytes().to_vec(), &mut late).len())
            .sum();
        let Tale {
            lost,
            doubled,
            overtaken,
            frames,
        } = wire.tale;
        assert_eq!(frames, 10_000);
        assert!((2_800..3_200).contains(&lost), "{lost} lost");
        assert!((400..800).contains(&doubled), "{doubled} doubled");
        assert!((400..800).contains(&overtaken), "{overtaken} overtaken");
        let late = usize::from(late.is_some());
        assert_eq!(arrived + late, 10_000 - lost as usize + doubled as usize);
    }

    #[test]
    fn fair_weather_changes_nothing() {
        let mut wire = wire(Weather::default());
        let mut late = None;
        for n in 0..100_u32 {
            let frame = n.to_be_bytes().to_vec();
            assert_eq!(wire.pass(frame.clone(), &mut late), [frame]);
        }
    }
}
