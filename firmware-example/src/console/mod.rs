//! The console: a person with a terminal, or a program.
//!
//! ```text
//! bytes ──press──> Editor ──line──> Command ──execute──> Desk (the device)
//! bytes <──next── one line at a time: log, answers, codes to scan
//! ```
//! Each command's answer ends with a line that begins with `ok` or `error`; `status` and
//! `contact list` have lines before it. Lines that nobody asked for begin with `#`. What is typed is
//! echoed behind a prompt.

mod command;
mod editor;
mod qr;

use core::cell::RefCell;

use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer};
use embedded_io_async::{Read, Write};
use heapless::String;

use crate::{
    CONTACTS,
    app::{Wake, uptime},
    log::Cursor,
    text::{LINE, Line, set},
};
use editor::{Editor, Key};

pub use command::{Command, HELP};

/// How often the log is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Pause after the console itself failed.
const CONSOLE_FAILED: Duration = Duration::from_secs(1);

/// What is written at once: a line, what goes before it, and the line that is being typed.
type Out = String<{ 2 * LINE + 16 }>;

/// What stands behind the console.
pub trait Desk {
    /// The next line of the log, with its time in front. `false`: there is none yet.
    fn logged(&self, cursor: &mut Cursor, line: &mut Line) -> bool;

    /// Before the log's oldest line.
    fn oldest(&self) -> Cursor;

    /// Does a command. `reply` is one line that begins with `ok` or `error`; [`Command::Help`],
    /// [`Command::Status`], [`Command::List`] and [`Command::Log`] have more lines, which are the
    /// console's to print.
    fn execute(&mut self, uptime: u64, command: &Command<'_>, reply: &mut Line);

    /// Item `at` of the state, as `name: value`. `false`: there are no more.
    fn state(&mut self, uptime: u64, at: usize, line: &mut Line) -> bool;

    /// The contact in place `at` of the table. `false`: there is none.
    fn contact(&self, at: usize, line: &mut Line) -> bool;

    /// The card, or the address while there is no relay; empty where there is neither.
    fn card(&self, line: &mut Line);

    /// Whether this start made the keys.
    fn is_new(&self) -> bool;
}

/// What is being printed.
#[derive(Clone, Copy, Debug)]
enum Job {
    /// The log, as it grows.
    Idle,
    Help(usize),
    State(usize),
    List(usize),
    Log(Cursor),
    /// The card, and then the rows of its code.
    Code(i32),
    Reply,
}

/// The console's own state. It knows no device and no UART.
#[derive(Debug)]
pub struct Terminal {
    editor: Editor,
    read: Cursor,
    /// The prompt stands, and what is typed behind it.
    prompted: bool,
    job: Job,
    /// A code is to be shown once the log is.
    greets: bool,
    reply: Line,
}

impl Terminal {
    /// A terminal that has seen nothing of the log.
    #[must_use]
    pub const fn new(read: Cursor) -> Self {
        Self {
            editor: Editor::new(),
            read,
            prompted: false,
            job: Job::Idle,
            greets: false,
            reply: Line::new(),
        }
    }

    /// Talks with the owner until it is dropped.
    pub async fn serve<C: Read + Write>(
        &mut self,
        io: &mut C,
        desk: &RefCell<dyn Desk + '_>,
        wake: &Wake,
    ) {
        self.greets = desk.borrow().is_new();
        let mut out = Out::new();
        loop {
            if !out.is_empty() || self.next(&mut *desk.borrow_mut(), uptime(), &mut out) {
                // A console that does not print is no reason to stop.
                let _ = io.write_all(out.as_bytes()).await;
                let _ = io.flush().await;
                out.clear();
                continue;
            }
            let mut byte = [0];
            match select(io.read(&mut byte), Timer::after(LOOK)).await {
                Either::First(Ok(1)) => {
                    if self.press(byte[0], &mut out) {
                        self.obey(&mut *desk.borrow_mut(), uptime());
                        wake.signal(());
                    }
                }
                Either::First(_) => Timer::after(CONSOLE_FAILED).await,
                Either::Second(()) => {}
            }
        }
    }

    /// The next piece of what is to be printed. `false`: there is none.
    pub fn next(&mut self, desk: &mut dyn Desk, uptime: u64, out: &mut Out) -> bool {
        let mut line = Line::new();
        let following = match self.job {
            Job::Idle => return self.idle(desk, out),
            Job::Help(at) => {
                let text = HELP.get(at).copied().unwrap_or_default();
                set(&mut line, format_args!("# {text}"));
                (at < HELP.len()).then_some(Job::Help(at + 1))
            }
            Job::State(at) => desk
                .state(uptime, at, &mut line)
                .then_some(Job::State(at + 1)),
            Job::List(at) => {
                let known = desk.contact(at, &mut line);
                (known && at < CONTACTS).then_some(Job::List(at + 1))
            }
            Job::Log(mut cursor) => {
                let mut text = Line::new();
                let more = desk.logged(&mut cursor, &mut text);
                set(&mut line, format_args!("# {text}"));
                more.then_some(Job::Log(cursor))
            }
            Job::Code(row) => {
                let mut text = Line::new();
                desk.card(&mut text);
                let more = code(&text, row, &mut line);
                more.then_some(Job::Code(row + 1))
            }
            Job::Reply => {
                line.clone_from(&self.reply);
                self.job = Job::Idle;
                Some(Job::Idle)
            }
        };
        match following {
            Some(job) => {
                self.job = job;
                write(out, &[&line, "\r\n"]);
            }
            // Of a greeting there is no reply.
            None if self.reply.is_empty() => self.job = Job::Idle,
            None => self.job = Job::Reply,
        }
        true
    }

    fn idle(&mut self, desk: &mut dyn Desk, out: &mut Out) -> bool {
        self.reply.clear();
        let mut line = Line::new();
        if desk.logged(&mut self.read, &mut line) {
            // It takes the prompt's place; what is being typed moves below it.
            let over = match (self.prompted, self.editor.typed()) {
                (false, _) => "",
                (true, "") => "\r",
                (true, _) => "\r\n",
            };
            // The time is of interest later.
            let text = line.split_once(' ').map_or(line.as_str(), |(_, text)| text);
            write(out, &[over, "# ", text, "\r\n"]);
            self.prompted = false;
            return true;
        }
        if core::mem::take(&mut self.greets) {
            self.job = Job::Code(0);
            return true;
        }
        let prompts = !core::mem::replace(&mut self.prompted, true);
        if prompts {
            write(out, &["> ", self.editor.typed()]);
        }
        prompts
    }

    /// Takes a typed byte, and says what to show for it. `true`: a line is complete.
    pub fn press(&mut self, byte: u8, out: &mut Out) -> bool {
        let key = self.editor.press(byte);
        match key {
            Key::Nothing => {}
            Key::Echo(char) => write(out, &[char.encode_utf8(&mut [0; 4])]),
            Key::Rubout => write(out, &["\x08 \x08"]),
            Key::Cancel => write(out, &["^C\r\n> "]),
            Key::Full => write(out, &["\x07"]),
            Key::Enter => {
                self.prompted = false;
                write(out, &["\r\n"]);
            }
        }
        key == Key::Enter
    }

    /// Does what the complete line says.
    pub fn obey(&mut self, desk: &mut dyn Desk, uptime: u64) {
        self.job = Job::Reply;
        match self.editor.line().map(Command::parse) {
            Some(Ok(Command::Nothing)) => self.job = Job::Idle,
            Some(Ok(command)) => {
                desk.execute(uptime, &command, &mut self.reply);
                match command {
                    Command::Help => self.job = Job::Help(0),
                    Command::Status => self.job = Job::State(0),
                    Command::List => self.job = Job::List(0),
                    Command::Log => self.job = Job::Log(desk.oldest()),
                    Command::Card | Command::Relay(_) if self.reply.starts_with("ok") => {
                        self.job = Job::Code(0);
                    }
                    _ => {}
                }
            }
            Some(Err(complaint)) => set(&mut self.reply, format_args!("error {complaint}")),
            None => set(
                &mut self.reply,
                format_args!("error this line is too long, or no text"),
            ),
        }
        self.editor.clear();
    }
}

/// Row `row` of a code as it is printed: the text itself, and then its picture.
fn code(text: &str, row: i32, line: &mut Line) -> bool {
    let mut drawn = Line::new();
    let more = match row {
        0 => !text.is_empty(),
        _ => qr::row(text, row - 1, &mut drawn),
    };
    let shown = if row == 0 { text } else { &drawn };
    set(line, format_args!("# {shown}"));
    more
}

fn write(out: &mut Out, parts: &[&str]) {
    for part in parts {
        // Its size holds the longest of what is written at once.
        let _ = out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use std::{string::String as Text, vec::Vec};

    use super::*;
    use crate::log::Log;

    #[derive(Default)]
    struct Double {
        log: Log,
        asked: Vec<Text>,
        new: bool,
    }

    impl Desk for Double {
        fn logged(&self, cursor: &mut Cursor, line: &mut Line) -> bool {
            self.log.next(cursor, line)
        }

        fn oldest(&self) -> Cursor {
            self.log.oldest()
        }

        fn execute(&mut self, _uptime: u64, command: &Command<'_>, reply: &mut Line) {
            self.asked.push(std::format!("{command:?}"));
            set(reply, format_args!("ok done"));
        }

        fn state(&mut self, _uptime: u64, at: usize, line: &mut Line) -> bool {
            set(line, format_args!("item: {at}"));
            at < 3
        }

        fn contact(&self, at: usize, line: &mut Line) -> bool {
            set(line, format_args!("somebody {at}"));
            at < 2
        }

        fn card(&self, line: &mut Line) {
            set(line, format_args!("hush1card"));
        }

        fn is_new(&self) -> bool {
            self.new
        }
    }

    fn type_in(terminal: &mut Terminal, desk: &mut Double, typed: &str) -> Text {
        let mut printed = Text::new();
        let mut out = Out::new();
        for byte in typed.bytes() {
            if terminal.press(byte, &mut out) {
                terminal.obey(desk, 0);
            }
            printed.push_str(&out);
            out.clear();
            printed.push_str(&rest(terminal, desk));
        }
        printed
    }

    fn rest(terminal: &mut Terminal, desk: &mut Double) -> Text {
        let mut printed = Text::new();
        let mut out = Out::new();
        while terminal.next(desk, 0, &mut out) {
            printed.push_str(&out);
            out.clear();
        }
        printed
    }

    #[test]
    fn a_program_can_drive_it_line_by_line() {
        let mut desk = Double::default();
        let mut terminal = Terminal::new(desk.log.oldest());
        assert_eq!(rest(&mut terminal, &mut desk), "> ");
        assert_eq!(
            type_in(&mut terminal, &mut desk, "restart\n"),
            "restart\r\nok done\r\n> "
        );
        assert_eq!(desk.asked, ["Restart"]);
        let status = type_in(&mut terminal, &mut desk, "status\r\n");
        assert_eq!(
            status,
            "status\r\nitem: 0\r\nitem: 1\r\nitem: 2\r\nok done\r\n> "
        );
        let list = type_in(&mut terminal, &mut desk, "contact list\n");
        assert_eq!(
            list,
            "contact list\r\nsomebody 0\r\nsomebody 1\r\nok done\r\n> "
        );
        let wrong = type_in(&mut terminal, &mut desk, "reset\n");
        assert!(wrong.starts_with("reset\r\nerror this forgets"), "{wrong}");
        assert_eq!(desk.asked.len(), 3, "nothing was done");
        let help = type_in(&mut terminal, &mut desk, "help\n");
        assert_eq!(
            help.lines().filter(|line| line.starts_with("# ")).count(),
            HELP.len()
        );
        assert_eq!(type_in(&mut terminal, &mut desk, "\n"), "\r\n> ");
    }

    #[test]
    fn what_happens_meanwhile_does_not_mix_with_what_is_typed() {
        let mut desk = Double::default();
        let mut terminal = Terminal::new(desk.log.oldest());
        type_in(&mut terminal, &mut desk, "stat");
        desk.log.note(1000, format_args!("online"));
        assert_eq!(rest(&mut terminal, &mut desk), "\r\n# online\r\n> stat");
        assert!(type_in(&mut terminal, &mut desk, "us\n").contains("item: 2"));
        desk.log.note(2000, format_args!("offline"));
        assert_eq!(rest(&mut terminal, &mut desk), "\r# offline\r\n> ");
        let log = type_in(&mut terminal, &mut desk, "log\n");
        assert_eq!(log, "log\r\n# 1 online\r\n# 2 offline\r\nok done\r\n> ");
    }

    #[test]
    fn a_new_device_shows_its_code_once() {
        let mut desk = Double {
            new: true,
            ..Double::default()
        };
        let mut terminal = Terminal::new(desk.log.oldest());
        terminal.greets = true;
        desk.log.note(0, format_args!("first start"));
        let printed = rest(&mut terminal, &mut desk);
        assert!(
            printed.starts_with("# first start\r\n# hush1card\r\n# █"),
            "{printed}"
        );
        assert!(printed.ends_with("\r\n> ") && !printed.contains("ok"));
        let card = type_in(&mut terminal, &mut desk, "card\n");
        assert!(card.contains("# █") && card.ends_with("ok done\r\n> "));
    }
}
