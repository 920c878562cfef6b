//! JSON whose fields stay in the order in which the protocol makes them.

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    Text(String),
    Number(u64),
    Flag(bool),
    List(Vec<Json>),
    Object(Object),
}

/// Fields in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object(Vec<(String, Json)>);

impl Object {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.put(name, value);
        self
    }

    pub(crate) fn put(&mut self, name: &str, value: impl Into<Json>) {
        assert!(
            self.0.iter().all(|(known, _)| known != name),
            "{name} twice"
        );
        self.0.push((name.to_owned(), value.into()));
    }

    /// Bytes, in lower-case hexadecimal.
    pub(crate) fn hex(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.with(name, hex::encode(bytes))
    }

    /// The text of a file.
    pub(crate) fn file(self) -> String {
        let mut out = String::new();
        Json::Object(self).write(&mut out, 0);
        out.push('\n');
        out
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Json {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

impl Json {
    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Text(text) => {
                let plain = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
                assert!(text.chars().all(plain), "no escapes are needed here");
                out.push('"');
                out.push_str(text);
                out.push('"');
            }
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::List(list) if list.iter().all(|item| matches!(item, Self::Number(_))) => {
                let numbers = list.iter().map(|item| match item {
                    Self::Number(number) => number.to_string(),
                    _ => String::new(),
                });
                let numbers: Vec<_> = numbers.collect();
                out.push_str(&format!("[{}]", numbers.join(", ")));
            }
            Self::List(list) => block(out, depth, ['[', ']'], list, |out, item| {
                item.write(out, depth + 1);
            }),
            Self::Object(Object(fields)) => {
                block(out, depth, ['{', '}'], fields, |out, (name, value)| {
                    out.push_str(&format!("\"{name}\": "));
                    value.write(out, depth + 1);
                });
            }
        }
    }
}

fn block<T>(
    out: &mut String,
    depth: usize,
    brackets: [char; 2],
    items: &[T],
    mut write: impl FnMut(&mut String, &T),
) {
    out.push(brackets[0]);
    for (at, item) in items.iter().enumerate() {
        out.push_str(if at == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth + 1));
        write(out, item);
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push(brackets[1]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order() {
        let inner = vec![Object::new().with("n", 1)];
        let text = Object::new()
            .hex("z", [0xab, 1])
            .with("a", vec![1_u64, 2])
            .with("list", inner)
            .file();
        assert_eq!(
            text,
            "{\n  \"z\": \"ab01\",\n  \"a\": [1, 2],\n  \"list\": [\n    {\n      \"n\": 1\n    }\n  ]\n}\n"
        );
    }
}
