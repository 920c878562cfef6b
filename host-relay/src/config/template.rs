//! `hushwire-relay config`: a TOML file with every setting, its default, its unit and its meaning.
//!
//! It is made from the same table as the command line, so no setting can be missing.

use std::fmt::Write as _;

use clap::{Arg, CommandFactory};

use super::Arguments;

/// The file. A setting without a default of its own stands there as a comment.
pub(crate) fn text() -> String {
    let mut out = String::from(
        "# Settings of hushwire-relay, each with its default. Use: hushwire-relay --config FILE\n\
         # The command line wins over the environment, the environment over this file.\n",
    );
    for argument in Arguments::command().get_arguments() {
        let name = argument.get_long().unwrap_or_default();
        if !["config", "help", "version", ""].contains(&name) {
            setting(argument, name, &mut out);
        }
    }
    out
}

fn setting(argument: &Arg, name: &str, out: &mut String) {
    let help = argument.get_help().unwrap_or_default().to_string();
    let (help, default) = help.split_once(" [default: ").unwrap_or((&help, ""));
    let default = default.trim_end_matches(']');
    let unit = argument
        .get_value_names()
        .and_then(|names| names.first())
        .map_or("", |name| name.as_str());
    let variable = argument.get_env().unwrap_or_default().display();
    let _ = write!(
        out,
        "\n# {help}\n# Unit: {}. Environment: {variable}.\n",
        meaning(unit)
    );

    let bare = matches!(unit, "N" | "BYTES" | "TRUE|FALSE");
    let _ = match default {
        // Said in words: what happens without it.
        "" | "none" => writeln!(out, "# Default: none.\n#{name} = \"{unit}\""),
        words if words.starts_with("the ") => {
            writeln!(out, "# Default: {words}.\n#{name} = \"{unit}\"")
        }
        value if bare => writeln!(out, "{name} = {value}"),
        value => writeln!(out, "{name} = \"{value}\""),
    };
}

fn meaning(unit: &str) -> &str {
    match unit {
        "N" => "a number",
        "BYTES" => "bytes",
        "SPAN" => "a time with its unit: s, m, h or d",
        "TRUE|FALSE" => "true or false",
        "OPEN|INVITE|CLOSED" => "open, invite or closed",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Settings};
    use super::*;

    #[test]
    fn the_file_parses_back_to_the_defaults() {
        let text = text();
        let settings: Settings = toml::from_str(&text).unwrap();
        let (read, default) = (
            settings.resolve().unwrap(),
            Config::load(["hushwire-relay"]).unwrap(),
        );
        assert_eq!(read.limits, default.limits);
        assert_eq!(format!("{read:?}"), format!("{default:?}"));
    }

    #[test]
    fn every_setting_is_in_it_once_and_none_is_left_to_the_default() {
        let text = text();
        for argument in Arguments::command().get_arguments() {
            let name = argument.get_long().unwrap();
            if ["config", "help", "version"].contains(&name) {
                continue;
            }
            let lines: Vec<_> = text
                .lines()
                .filter(|line| {
                    line.trim_start_matches('#')
                        .starts_with(&format!("{name} = "))
                })
                .collect();
            assert_eq!(lines.len(), 1, "{name}: {lines:?}");
            let commented = lines[0].starts_with('#');
            let without = [
                "key",
                "store",
                "trunk",
                "metrics",
                "advertise",
                "listen-ws",
                "listen-tls",
                "tls-cert",
                "tls-key",
            ];
            assert_eq!(commented, without.contains(&name), "{name}");
        }
    }
}
