//! Exit codes, and how an error becomes one.

use hushwire::{Error, LinkError, VaultError};
use serde::{Deserialize, Serialize};

pub(super) const HELP: &str = "\
Exit codes:
   0  done
   1  something else went wrong
   2  the command line is wrong
   3  wrong passphrase or key file
   4  no vault, a damaged one, or one of a newer version
   5  another process uses the vault and does not answer
   6  a relay cannot be reached (what was sent is queued)
   7  a relay does not prove its key, or its certificate does not hold
   8  unknown contact, nickname or relay, or a contact without keys
   9  the contact is blocked
  10  the relay refused: mailbox full, not accepted, nickname taken, too often, no good
      invitation, or its operator has barred you
  11  a card, address, name or date does not read, or the words do not
  12  no receipt in time (the message is on its way)
  13  a nickname leads to another key: see `hushwire verify`";

/// See [`HELP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Code {
    Other = 1,
    Usage = 2,
    Secret = 3,
    Vault = 4,
    InUse = 5,
    Unreachable = 6,
    WrongKey = 7,
    Unknown = 8,
    Blocked = 9,
    Refused = 10,
    Malformed = 11,
    NoReceipt = 12,
    KeyChanged = 13,
}

/// Why a command fails: a code for programs, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(code(&error), error.to_string())
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        Error::from(error).into()
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Code::Other, error.to_string())
    }
}

fn code(error: &Error) -> Code {
    match error {
        Error::Vault(
            VaultError::WrongPassphrase
            | VaultError::WrongKeyFile(_)
            | VaultError::OtherSecret(_)
            | VaultError::KeyFile { .. },
        ) => Code::Secret,
        Error::Vault(VaultError::InUse(_)) => Code::InUse,
        Error::Vault(_) => Code::Vault,
        Error::Card(_)
        | Error::Words(_)
        | Error::BadName
        | Error::BadNickname
        | Error::Oneself
        | Error::NameInUse(_)
        | Error::AddressKnown(_) => Code::Malformed,
        #[cfg(feature = "tls")]
        Error::NoCertificates(_) => Code::Usage,
        Error::Link(LinkError::WrongKey { .. } | LinkError::Certificate { .. }) => Code::WrongKey,
        Error::Link(error) if error.is_final() => Code::Refused,
        Error::Link(_) | Error::NoAnswer => Code::Unreachable,
        Error::Refused { .. } | Error::Uninvited | Error::TooLarge(_) | Error::OutboxFull => {
            Code::Refused
        }
        Error::UnknownContact(_)
        | Error::UnknownNickname(_)
        | Error::NoBundle(_)
        | Error::UnknownRelay(_) => Code::Unknown,
        Error::KeyChanged { .. } | Error::BadBundle(_) => Code::KeyChanged,
        Error::Blocked(_) => Code::Blocked,
        Error::NothingToAccept(_) => Code::Other,
        Error::TooManyRelays | Error::Stopped | Error::Internal(_) => Code::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented() {
        for code in 1..=Code::KeyChanged as u8 {
            let line = format!("\n  {code:>2}  ");
            assert!(HELP.contains(&line), "{code}");
        }
    }

    #[test]
    fn errors_are_sentences_with_their_code() {
        let failure = Failure::from(VaultError::WrongPassphrase);
        assert_eq!(
            (failure.code as u8, failure.message.as_str()),
            (3, "the passphrase is wrong")
        );
        assert_eq!(
            Failure::from(Error::UnknownContact("bob".into())).code,
            Code::Unknown
        );
    }
}
