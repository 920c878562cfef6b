//! What semihosting's command line says: `flash=PATH key=PATH entropy=good|stuck|repeat|fail
//! button=held|free`. A path holds no space.

use super::semihosting::command_line;

/// The command line; a word that is missing has its default.
pub(super) struct Options([u8; 512]);

impl Options {
    pub(super) fn read() -> Self {
        let mut buffer = [0; 512];
        let len = command_line(&mut buffer).len();
        buffer.get_mut(len..).unwrap_or_default().fill(0);
        Self(buffer)
    }

    fn word(&self, name: &str) -> Option<&str> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = core::str::from_utf8(self.0.get(..end)?).ok()?;
        text.split_whitespace()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    pub(super) fn flash(&self) -> &str {
        self.word("flash").unwrap_or("flash.bin")
    }

    pub(super) fn key(&self) -> &str {
        self.word("key").unwrap_or("device.key")
    }

    pub(super) fn entropy(&self) -> &str {
        self.word("entropy").unwrap_or("good")
    }

    pub(super) fn is_held(&self) -> bool {
        self.word("button") == Some("held")
    }
}
