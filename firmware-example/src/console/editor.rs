//! The line that is being typed: echo, backspace, a bound.

use heapless::Vec;

use crate::text::LINE;

/// What a typed byte asks of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Nothing to show.
    Nothing,
    /// Show this character.
    Echo(char),
    /// Take the last character back.
    Rubout,
    /// Take the whole line back.
    Cancel,
    /// The line is full: the bell.
    Full,
    /// The line is done: [`Editor::line`], then [`Editor::clear`].
    Enter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    Begun,
    Sequence,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Editor {
    line: Vec<u8, LINE>,
    escape: Escape,
    after_return: bool,
    overrun: bool,
}

impl Editor {
    /// An empty line.
    #[must_use]
    pub(super) const fn new() -> Self {
        Self {
            line: Vec::new(),
            escape: Escape::None,
            after_return: false,
            overrun: false,
        }
    }

    /// Takes a byte.
    pub(super) fn press(&mut self, byte: u8) -> Key {
        let after_return = core::mem::replace(&mut self.after_return, byte == b'\r');
        match self.escape {
            Escape::Begun => {
                self.escape = if byte == b'[' {
                    Escape::Sequence
                } else {
                    Escape::None
                };
                return Key::Nothing;
            }
            // ECMA-48 5.4: a final byte ends the sequence. Arrows and the like do nothing here.
            Escape::Sequence => {
                if (0x40..0x7f).contains(&byte) {
                    self.escape = Escape::None;
                }
                return Key::Nothing;
            }
            Escape::None => {}
        }
        match byte {
            b'\n' if after_return => Key::Nothing,
            b'\r' | b'\n' => Key::Enter,
            0x08 | 0x7f => self.rubout(),
            // Control-C and control-U.
            0x03 | 0x15 => {
                self.clear();
                Key::Cancel
            }
            0x1b => {
                self.escape = Escape::Begun;
                Key::Nothing
            }
            0..0x20 => Key::Nothing,
            _ if self.line.push(byte).is_err() => {
                self.overrun = true;
                Key::Full
            }
            _ => self.completed().map_or(Key::Nothing, Key::Echo),
        }
    }

    /// The last character, if all its bytes are there.
    fn completed(&self) -> Option<char> {
        let start = self.line.iter().rposition(|byte| byte & 0xc0 != 0x80)?;
        let last = core::str::from_utf8(self.line.get(start..)?).ok()?;
        last.chars().next()
    }

    fn rubout(&mut self) -> Key {
        while let Some(byte) = self.line.pop() {
            // All bytes of a character: RFC 3629 3.
            if byte & 0xc0 != 0x80 {
                return Key::Rubout;
            }
        }
        Key::Nothing
    }

    /// What was typed so far; `None` where it is no text, or was longer than a line.
    #[must_use]
    pub(super) fn line(&self) -> Option<&str> {
        if self.overrun {
            return None;
        }
        core::str::from_utf8(&self.line).ok()
    }

    /// What was typed so far, as it was echoed.
    #[must_use]
    pub(super) fn typed(&self) -> &str {
        let whole = core::str::from_utf8(&self.line).map_err(|error| error.valid_up_to());
        let valid = whole.map_or_else(|valid| valid, str::len);
        core::str::from_utf8(self.line.get(..valid).unwrap_or_default()).unwrap_or_default()
    }

    /// Begins a new line.
    pub(super) fn clear(&mut self) {
        self.line.clear();
        self.overrun = false;
    }
}

impl Default for Editor {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::{string::String, vec::Vec};

    use super::*;

    fn lines(typed: &[u8]) -> Vec<Option<String>> {
        let (mut editor, mut lines) = (Editor::new(), Vec::new());
        for byte in typed {
            if editor.press(*byte) == Key::Enter {
                lines.push(editor.line().map(String::from));
                editor.clear();
            }
        }
        lines
    }

    #[test]
    fn lines_end_as_terminals_and_programs_end_them() {
        let some = |text: &str| Some(String::from(text));
        assert_eq!(
            lines(b"a\rb\r\nc\n\n"),
            [some("a"), some("b"), some("c"), some("")]
        );
        assert_eq!(lines(b"helq\x7fp\x08p\r"), [some("help")]);
        assert_eq!(lines("ö\x7f\x7f\x7fé\r".as_bytes()), [some("é")]);
        assert_eq!(
            lines(b"wrong\x15right\x03\x1b[A\x1b[1;5Cyes\x1bO\r"),
            [some("yes")]
        );
        assert_eq!(lines(b"\xff\r"), [None]);
    }

    #[test]
    fn a_long_line_is_refused_as_a_whole() {
        let mut typed = std::vec![b'x'; LINE];
        typed.push(b'\r');
        assert_eq!(lines(&typed)[0].as_ref().unwrap().len(), LINE);
        typed.insert(0, b'x');
        assert_eq!(lines(&typed), [None]);
        let mut editor = Editor::new();
        let keys: Vec<_> = typed.iter().map(|byte| editor.press(*byte)).collect();
        assert_eq!(keys[LINE], Key::Full);
    }
}
