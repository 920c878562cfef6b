//! The console: a person with a terminal, or a program.
//!
//! Each command's answer ends with a line that begins with `ok` or `error`; `status` and
//! `contact list` have lines before it. Lines that nobody asked for begin with `#`. What is typed is
//! echoed behind a prompt.

mod command;
mod editor;
mod qr;

use core::cell::RefCell;

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::{Read, Write};
use embedded_storage::nor_flash::NorFlash;

use crate::{
    CONTACTS,
    app::{Wake, uptime},
    board::{Entropy, Keeper, Panel},
    device::Device,
    log::Cursor,
    text::{Line, set},
};
use editor::{Editor, Key};

pub use command::{Command, HELP};

/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Pause after the console itself failed.
const CONSOLE_FAILED: Duration = Duration::from_secs(1);

/// The console with what is being typed there.
#[derive(Debug)]
pub struct Terminal<C> {
    io: C,
    editor: Editor,
    read: Cursor,
    /// The prompt stands, and what is typed behind it.
    prompted: bool,
}

impl<C: Read + Write> Terminal<C> {
    /// A terminal that has seen nothing of the log.
    pub const fn new(io: C, read: Cursor) -> Self {
        Self {
            io,
            editor: Editor::new(),
            read,
            prompted: false,
        }
    }

    /// Talks with the owner until it is dropped.
    pub async fn serve<F: NorFlash, E: Entropy, K: Keeper, P: Panel>(
        &mut self,
        device: &RefCell<Device<'_, F, E, K, P>>,
        wake: &Wake,
    ) {
        self.tell(device).await;
        if device.borrow().is_new() {
            self.code(device).await;
        }
        self.prompt().await;
        loop {
            let Some(byte) = self.key(LOOK).await else {
                self.tell(device).await;
                continue;
            };
            if self.press(byte).await {
                self.obey(device).await;
                self.editor.clear();
                self.prompt().await;
                wake.signal(());
            }
        }
    }

    /// Answers whoever types while there is no device, for `patience`. `true`: a reset was asked for.
    pub async fn refuse(&mut self, why: &str, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        self.prompt().await;
        while Instant::now() < until {
            let Some(byte) = self.key(LOOK).await else {
                continue;
            };
            if self.press(byte).await {
                let reset = self.editor.line().map(Command::parse) == Some(Ok(Command::Reset));
                self.editor.clear();
                if reset {
                    self.print("ok everything is forgotten").await;
                    return true;
                }
                let mut line = Line::new();
                set(&mut line, format_args!("error {why}"));
                self.print(&line).await;
                self.prompt().await;
            }
        }
        false
    }

    /// A line of the program's own.
    pub async fn print(&mut self, text: &str) {
        for part in [text, "\r\n"] {
            // A console that does not print is no reason to stop.
            let _ = self.io.write_all(part.as_bytes()).await;
        }
        let _ = self.io.flush().await;
    }

    /// A line that answers nothing.
    pub async fn note(&mut self, text: &str) {
        // It takes the prompt's place; what is being typed moves below it.
        let over: &[u8] = match (self.prompted, self.editor.typed()) {
            (false, _) => b"",
            (true, []) => b"\r",
            (true, _) => b"\r\n",
        };
        for part in [over, b"# "] {
            let _ = self.io.write_all(part).await;
        }
        self.print(text).await;
        if self.prompted {
            self.prompt().await;
        }
    }

    async fn prompt(&mut self) {
        self.prompted = true;
        for part in [b"> ", self.editor.typed()] {
            let _ = self.io.write_all(part).await;
        }
        let _ = self.io.flush().await;
    }

    async fn key(&mut self, patience: Duration) -> Option<u8> {
        let mut byte = [0];
        match select(self.io.read(&mut byte), Timer::after(patience)).await {
            Either::First(Ok(1)) => Some(byte[0]),
            Either::First(_) => {
                Timer::after(CONSOLE_FAILED).await;
                None
            }
            Either::Second(()) => None,
        }
    }

    /// Shows a typed byte. `true`: a line is complete.
    async fn press(&mut self, byte: u8) -> bool {
        let key = self.editor.press(byte);
        let byte = [byte];
        let shown: &[u8] = match key {
            Key::Nothing => b"",
            Key::Echo(_) => &byte,
            Key::Rubout => b"\x08 \x08",
            Key::Cancel => b"^C\r\n",
            Key::Full => b"\x07",
            Key::Enter => b"\r\n",
        };
        if key == Key::Enter {
            self.prompted = false;
        }
        let _ = self.io.write_all(shown).await;
        key == Key::Enter
    }

    /// Prints what was logged since the last time.
    async fn tell<F: NorFlash, E: Entropy, K: Keeper, P: Panel>(
        &mut self,
        device: &RefCell<Device<'_, F, E, K, P>>,
    ) {
        loop {
            let line = device.borrow().log().next(&mut self.read);
            let Some(line) = line else { break };
            // The time is of interest later.
            self.note(line.split_once(' ').map_or(&line, |(_, text)| text))
                .await;
        }
    }

    async fn obey<F: NorFlash, E: Entropy, K: Keeper, P: Panel>(
        &mut self,
        device: &RefCell<Device<'_, F, E, K, P>>,
    ) {
        let mut reply = Line::new();
        let mut code = false;
        // The line stays typed while it is obeyed: what is printed meanwhile is the answer.
        let editor = core::mem::take(&mut self.editor);
        let command = match editor.line().map(Command::parse) {
            Some(Ok(Command::Nothing)) => return,
            Some(Ok(command)) => command,
            Some(Err(complaint)) => {
                set(&mut reply, format_args!("error {complaint}"));
                return self.print(&reply).await;
            }
            None => return self.print("error this line is too long, or no text").await,
        };
        match &command {
            Command::Help => {
                for line in HELP {
                    self.note(line).await;
                }
            }
            Command::List => {
                for at in 0..CONTACTS {
                    if device.borrow().contact(at, &mut reply) {
                        self.print(&reply).await;
                    }
                }
            }
            Command::Log => {
                let mut cursor = device.borrow().log().oldest();
                loop {
                    let line = device.borrow().log().next(&mut cursor);
                    let Some(line) = line else { break };
                    self.note(&line).await;
                }
            }
            Command::Status => {
                let mut item = 0;
                while device.borrow_mut().state(uptime(), item, &mut reply) {
                    self.print(&reply).await;
                    item += 1;
                }
            }
            Command::Card | Command::Relay(_) => code = true,
            _ => {}
        }
        device.borrow_mut().execute(uptime(), &command, &mut reply);
        if code && reply.starts_with("ok") {
            self.code(device).await;
        }
        self.print(&reply).await;
    }

    /// Shows the card, or the address, to a camera.
    async fn code<F: NorFlash, E: Entropy, K: Keeper, P: Panel>(
        &mut self,
        device: &RefCell<Device<'_, F, E, K, P>>,
    ) {
        let mut line = Line::new();
        device.borrow().card(&mut line);
        if line.is_empty() {
            return;
        }
        self.note(&line).await;
        let mut buffer = [0; qr::BUFFER];
        let Some(code) = qr::Code::of(&line, &mut buffer) else {
            return;
        };
        let mut row = 0;
        while code.row(row, &mut line) {
            self.note(&line).await;
            row += 1;
        }
    }
}
