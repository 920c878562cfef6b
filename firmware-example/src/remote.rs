//! What a contact can say to the device, end-to-end encrypted.

/// One message of a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Switch the lamp.
    Led(bool),
    /// Read the sensor.
    Read,
    /// Say this back.
    Echo(&'a [u8]),
    /// How the device is.
    Status,
    /// Not understood: what can be said.
    Help,
}

/// What is answered to a message that is no request.
pub const HELP: &str = "commands: led on|off, read, echo TEXT, status";

impl<'a> Request<'a> {
    /// Reads a message. Whatever it is, it is a request.
    #[must_use]
    pub fn parse(body: &'a [u8]) -> Self {
        if let Some(text) = body.strip_prefix(b"echo ") {
            return Self::Echo(text);
        }
        match body.trim_ascii() {
            b"led on" => Self::Led(true),
            b"led off" => Self::Led(false),
            b"read" => Self::Read,
            b"status" => Self::Status,
            _ => Self::Help,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_comes_is_a_request() {
        assert_eq!(Request::parse(b"led on"), Request::Led(true));
        assert_eq!(Request::parse(b" led off\n"), Request::Led(false));
        assert_eq!(Request::parse(b"read"), Request::Read);
        assert_eq!(Request::parse(b"status"), Request::Status);
        assert_eq!(Request::parse(b"echo  \xff "), Request::Echo(b" \xff "));
        assert_eq!(Request::parse(b"echo "), Request::Echo(b""));
        for other in [
            &b""[..],
            b"echo",
            b"led",
            b"led on please",
            b"LED ON",
            b"\xff\xfe",
            b"hello",
        ] {
            assert_eq!(Request::parse(other), Request::Help, "{other:?}");
        }
    }
}
