//! The network behind a device in QEMU, made of bad weather: [`Weather`].
//!
//! ```text
//! device ── Ethernet frames in datagrams ── Wire (loses, doubles, disorders) ── TCP/IP of its own
//!                                                                          └── relay on loopback
//! ```
//! QEMU's own user network neither loses nor disorders anything; this one ends the device's TCP
//! here and carries its bytes on to the relay, so that the device's stack meets the weather.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Address};

use crate::wire::{Tale, Weather, Wire};

/// Where the device finds the gateway; the device itself takes any other address of this /24.
pub const GATEWAY: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
const MAC: EthernetAddress = EthernetAddress([0x02, 0, 0, 0, 0, 0x02]);
/// Connections that may be open at once: the device's own, and old ones that it forgot.
const BACKLOG: usize = 8;
const BUFFER: usize = 16 * 1024;

/// A network that runs until it is dropped.
#[derive(Debug)]
pub struct Gateway {
    /// Where QEMU sends frames to.
    pub device_sends_to: SocketAddr,
    /// Where QEMU listens for frames.
    pub device_listens_on: SocketAddr,
    stop: Arc<AtomicBool>,
    weather: Arc<Mutex<Weather>>,
    tale: Arc<Mutex<Tale>>,
    thread: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Starts one that carries the device's connections to `port` on to `relay`.
    ///
    /// # Errors
    /// No free port on loopback.
    pub fn start(relay: SocketAddr, port: u16, weather: Weather) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("no port for the wire")?;
        let device_sends_to = socket.local_addr()?;
        // QEMU binds it itself, a moment after we let it go.
        let device_listens_on = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        socket.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let shared_weather = Arc::new(Mutex::new(weather));
        let tale = Arc::new(Mutex::new(Tale::default()));
        let wire = Wire::new(socket, device_listens_on, weather);
        let mut network = Network::new(wire, relay, port);
        let (stopped, sky, told) = (stop.clone(), shared_weather.clone(), tale.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                network.wire.weather = *sky.lock().unwrap_or_else(PoisonError::into_inner);
                network.turn();
                *told.lock().unwrap_or_else(PoisonError::into_inner) = network.wire.tale;
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        Ok(Self {
            device_sends_to,
            device_listens_on,
            stop,
            weather: shared_weather,
            tale,
            thread: Some(thread),
        })
    }

    /// Changes the weather from the next frame on.
    pub fn set_weather(&self, weather: Weather) {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }

    /// What the wire did so far.
    #[must_use]
    pub fn tale(&self) -> Tale {
        *self.tale.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// QEMU's option for the device's end.
    #[must_use]
    pub fn netdev(&self, id: &str) -> String {
        let (local, remote) = (self.device_listens_on, self.device_sends_to);
        format!(
            "dgram,id={id},local.type=inet,local.host={},local.port={},\
             remote.type=inet,remote.host={},remote.port={}",
            local.ip(),
            local.port(),
            remote.ip(),
            remote.port()
        )
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in there has failed the test by silence already.
            let _ = thread.join();
        }
    }
}

struct Network {
    wire: Wire,
    relay: SocketAddr,
    port: u16,
    interface: Interface,
    sockets: SocketSet<'static>,
    handles: Vec<SocketHandle>,
    beyond: BTreeMap<SocketHandle, TcpStream>,
    started: Instant,
}

impl Network {
    fn new(mut wire: Wire, relay: SocketAddr, port: u16) -> Self {
        let started = Instant::now();
        let config = Config::new(MAC.into());
        let mut interface =
            Interface::new(config, &mut wire, smoltcp::time::Instant::from_millis(0));
        interface.update_ip_addrs(|addresses| {
            // One address into an empty list of several.
            let _ = addresses.push(IpCidr::new(GATEWAY.into(), 24));
        });
        let mut sockets = SocketSet::new(Vec::new());
        let handles = (0..BACKLOG)
            .map(|_| {
                let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
                sockets.add(tcp::Socket::new(buffer(), buffer()))
            })
            .collect();
        Self {
            wire,
            relay,
            port,
            interface,
            sockets,
            handles,
            beyond: BTreeMap::new(),
            started,
        }
    }

    /// One turn: frames, then bytes between the two sides.
    fn turn(&mut self) {
        let now = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        let now = smoltcp::time::Instant::from_millis(now);
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
        for handle in self.handles.clone() {
            self.serve(handle);
        }
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
    }

    fn serve(&mut self, handle: SocketHandle) {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        if !socket.is_open() {
            self.beyond.remove(&handle);
            socket.set_timeout(Some(smoltcp::time::Duration::from_secs(20)));
            // Fails only for port 0.
            let _ = socket.listen(self.port);
            return;
        }
        if !socket.may_send() && !socket.may_recv() {
            self.beyond.remove(&handle);
            return;
        }
        if !self.beyond.contains_key(&handle) {
            if !socket.is_active() || !socket.may_send() {
                return;
            }
            let Ok(stream) = TcpStream::connect_timeout(&self.relay, Duration::from_secs(1)) else {
                socket.abort();
                return;
            };
            let ready = stream
                .set_nonblocking(true)
                .and_then(|()| stream.set_nodelay(true));
            if ready.is_err() {
                socket.abort();
                return;
            }
            self.beyond.insert(handle, stream);
        }
        let Some(stream) = self.beyond.get_mut(&handle) else {
            return;
        };
        if carry(socket, stream).is_err() {
            socket.close();
            self.beyond.remove(&handle);
        }
    }
}

/// Bytes both ways, as many as fit; an error says that one side has ended.
fn carry(socket: &mut tcp::Socket<'_>, stream: &mut TcpStream) -> Result<(), ()> {
    while socket.can_recv() {
        let moved = socket.recv(|bytes| match stream.write(bytes) {
            Ok(written) => (written, Ok(written)),
            Err(error) => (0, Err(error)),
        });
        match moved {
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => break,
            _ => return Err(()),
        }
    }
    while socket.can_send() {
        let moved = socket.send(|room| match stream.read(room) {
            Ok(read) => (read, Ok(read)),
            Err(error) => (0, Err(error)),
        });
        match moved {
            Ok(Ok(0)) => return Err(()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock => break,
            _ => return Err(()),
        }
    }
    if socket.may_recv() { Ok(()) } else { Err(()) }
}
