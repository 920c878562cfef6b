//! A device's lives on the host: the same `Device` as on a chip, over this machine's sockets.

use std::{
    cell::{Cell, RefCell},
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    rc::Rc,
    time::{Duration, Instant},
};

use hushwire_firmware::{
    console::{Command, Desk as _},
    device::{Device, Down, End, Memory, Parts},
    entropy::Generator,
    log::{Cursor, Log},
    text::Line,
};
use hushwire_flash::Wipe;

use super::{Noise, RamFlash, RamKeeper, TestPanel, Trouble};

/// For a machine under load; nothing asserts how fast something is.
const PATIENCE: Duration = Duration::from_secs(90);

pub type TestDevice<'a> = Device<'a, RamFlash, Noise, RamKeeper, TestPanel>;

/// A board that keeps its flash and its key while the device on it lives and dies.
pub struct Board {
    pub flash: RamFlash,
    pub keeper: RamKeeper,
    pub panel: TestPanel,
    pub noise: Rc<Cell<Trouble>>,
    /// Bytes that left for a relay.
    pub left: Rc<Cell<usize>>,
    generator: RefCell<Generator<Noise>>,
    log: Log,
    memory: Box<Memory>,
    clock: Clock,
}

/// Milliseconds since power on; can be moved forward.
#[derive(Clone)]
pub struct Clock(Instant, Rc<Cell<u64>>);

impl Clock {
    pub fn uptime(&self) -> u64 {
        self.0.elapsed().as_millis() as u64 + self.1.get()
    }

    pub fn skip(&self, pause: Duration) {
        self.1.set(self.1.get() + pause.as_millis() as u64);
    }
}

/// A device that is running: what a test does to it between two steps.
pub struct Running<'d, 'a> {
    pub device: &'d mut TestDevice<'a>,
    pub clock: Clock,
    seen: &'d mut Vec<String>,
    link: &'d mut Option<(TcpStream, Vec<u8>)>,
    left: &'d Cell<usize>,
    read: &'d mut Cursor,
}

impl Board {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, RamFlash::new(), RamKeeper::default())
    }

    pub fn with(seed: u64, flash: RamFlash, keeper: RamKeeper) -> Self {
        let noise = Noise::new(seed, Trouble::None);
        Self {
            flash,
            keeper,
            panel: TestPanel::default(),
            noise: noise.handle(),
            left: Rc::default(),
            generator: RefCell::new(Generator::start(noise).expect("healthy noise")),
            log: Log::new(),
            memory: Box::new(Memory::new()),
            clock: Clock(Instant::now(), Rc::default()),
        }
    }

    /// One life. Whatever `story` leaves, the power is cut at its end.
    pub fn live<T>(&mut self, story: impl FnOnce(&mut Running<'_, '_>) -> T) -> T {
        let mut read = self.log.newest();
        let parts = Parts {
            name: "bench",
            flash: &mut self.flash,
            wipe: Wipe::in_place::<RamFlash>(),
            generator: &self.generator,
            keeper: &mut self.keeper,
            panel: &mut self.panel,
            log: &mut self.log,
            memory: &mut self.memory,
        };
        let mut device = Device::boot(parts, self.clock.uptime());
        device.has_ip(self.clock.uptime(), Some([127, 0, 0, 1].into()));
        let (mut seen, mut link) = (Vec::new(), None);
        story(&mut Running {
            device: &mut device,
            clock: self.clock.clone(),
            seen: &mut seen,
            link: &mut link,
            left: &self.left,
            read: &mut read,
        })
    }

    /// A life that ends as its owner wants.
    pub fn live_and_end(&mut self, end: End) {
        let parts = Parts {
            name: "bench",
            flash: &mut self.flash,
            wipe: Wipe::in_place::<RamFlash>(),
            generator: &self.generator,
            keeper: &mut self.keeper,
            panel: &mut self.panel,
            log: &mut self.log,
            memory: &mut self.memory,
        };
        if !Device::boot(parts, self.clock.uptime()).bury(end) {
            // What the app does with a flash that its device could not reset.
            self.flash.cells.fill(0xff);
        }
    }
}

impl Running<'_, '_> {
    /// Types a line; returns the reply.
    pub fn say(&mut self, line: &str) -> String {
        let mut reply = Line::new();
        match Command::parse(line) {
            Ok(command) => self
                .device
                .execute(self.clock.uptime(), &command, &mut reply),
            Err(complaint) => return format!("error {complaint}"),
        }
        self.step();
        reply.as_str().into()
    }

    /// As [`Self::say`], of something that is to work; returns what follows `ok`.
    pub fn tell(&mut self, line: &str) -> String {
        let reply = self.say(line);
        let rest = reply.strip_prefix("ok");
        rest.unwrap_or_else(|| panic!("{line}: {reply}"))
            .trim()
            .into()
    }

    /// One item of the state.
    pub fn state(&mut self, name: &str) -> String {
        let mut line = Line::new();
        let mut at = 0;
        while self.device.state(self.clock.uptime(), at, &mut line) {
            if let Some(value) = line
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix(": "))
            {
                return value.into();
            }
            at += 1;
        }
        String::new()
    }

    /// Runs until it is so.
    pub fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(
                Instant::now() < deadline,
                "{what}: not in time; log: {:?}",
                self.seen
            );
            self.step();
        }
    }

    /// Runs until the log has a line with this text, since the life began.
    pub fn logs(&mut self, text: &str) {
        self.until(text, |life| {
            life.seen.iter().any(|line| line.contains(text))
        });
    }

    /// Runs for a while.
    pub fn run(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until {
            self.step();
        }
    }

    pub fn seen(&self) -> &[String] {
        self.seen
    }

    /// What `net` does on a chip.
    pub fn step(&mut self) {
        let now = self.clock.uptime();
        self.device.poll(now);
        let mut line = Line::new();
        while self.device.log().next(self.read, &mut line) {
            self.seen.push(line.as_str().into());
        }
        if !self.device.is_linked() {
            *self.link = None;
            match self.device.target(now) {
                Ok(relay) => match TcpStream::connect_timeout(&relay.into(), PATIENCE) {
                    Ok(stream) => {
                        stream.set_nonblocking(true).unwrap();
                        *self.link = Some((stream, Vec::new()));
                        self.device.connected(now);
                    }
                    Err(_) => self.device.close(now, Down::Unreachable),
                },
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
            return;
        }
        if let Err(down) = self.exchange(now) {
            self.device.close(now, down);
        }
    }

    fn exchange(&mut self, now: u64) -> Result<(), Down> {
        let Some((stream, waiting)) = self.link.as_mut() else {
            return Ok(());
        };
        let lost = |_| Down::Lost;
        let out = self.device.output();
        if !out.is_empty() {
            // In small pieces, as a chip's socket takes them.
            let piece = &out[..out.len().min(97)];
            let len = stream.write(piece).map_err(lost)?;
            self.left.set(self.left.get() + len);
            self.device.sent(now, len);
            return Ok(());
        }
        if waiting.is_empty() {
            let mut bytes = [0; 512];
            match stream.read(&mut bytes) {
                Ok(0) => return Err(Down::Lost),
                Ok(len) => waiting.extend_from_slice(&bytes[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(_) => return Err(Down::Lost),
            }
        }
        let taken = self.device.input(waiting);
        waiting.drain(..taken);
        Ok(())
    }
}
