//! What a setting is called where the operator wrote it: `emq.plugin.kafka.spool.dir` in a conf file, `spool_dir` in EMQX 5's
//! configuration. Every text that names a setting names it by a `Key`; the code knows settings by the conf file's names.

use std::fmt::{self, Display};
use std::sync::atomic::{AtomicBool, Ordering};

/// What every key begins with in a conf file.
const PREFIX: &str = "emq.plugin.kafka.";

/// The blocks whose entries have names with dots.
const BLOCKS: [&str; 2] = ["hook", "rdkafka"];

/// Where settings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// A conf file of EMQ 2.3 or EMQX 4.
    Conf,
    /// The configuration of EMQX 5, or its dashboard.
    Hocon,
}

/// A VM runs in one broker for as long as it lives.
static HOCON: AtomicBool = AtomicBool::new(false);

impl Naming {
    /// From now on texts name settings like this.
    pub fn use_it(self) {
        HOCON.store(self == Self::Hocon, Ordering::Relaxed);
    }

    fn in_use() -> Self {
        if HOCON.load(Ordering::Relaxed) { Self::Hocon } else { Self::Conf }
    }

    /// The file to look into.
    #[must_use]
    pub fn file() -> &'static str {
        match Self::in_use() {
            Self::Conf => "etc/plugins/emq_plugin_kafka.conf",
            Self::Hocon => "data/plugins/emq_plugin_kafka/config.hocon, or the plugin's page in the dashboard",
        }
    }
}

/// A setting, by its name in the conf file without the prefix. Shown as the operator wrote it.
#[derive(Debug, Clone, Copy)]
pub struct Key<'k>(pub &'k str);

impl Key<'_> {
    fn show(self, naming: Naming, out: &mut impl fmt::Write) -> fmt::Result {
        if naming == Naming::Conf {
            out.write_str(PREFIX)?;
            return write_shown(self.0, "", out);
        }
        let in_block = self.0.split_once('.').filter(|(block, name)| BLOCKS.contains(block) && !name.is_empty());
        let Some((block, name)) = in_block else { return write_shown(&self.0.replace('.', "_"), "", out) };
        write!(out, "{block}.\"")?;
        write_shown(name, "\"\\", out)?;
        out.write_char('"')
    }
}

/// The name of a rule is an operator's text: control characters, and those that would end the name, are escaped.
fn write_shown(name: &str, special: &str, out: &mut impl fmt::Write) -> fmt::Result {
    for character in name.chars() {
        match character {
            _ if special.contains(character) => write!(out, "\\{character}")?,
            _ if character.is_control() => write!(out, "{}", character.escape_unicode())?,
            _ => out.write_char(character)?,
        }
    }
    Ok(())
}

impl Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(Naming::in_use(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(key: &str) -> (String, String) {
        let as_in = |naming| {
            let mut text = String::new();
            Key(key).show(naming, &mut text).expect("a string takes all");
            text
        };
        (as_in(Naming::Conf), as_in(Naming::Hocon))
    }

    #[test]
    fn a_setting_is_called_as_it_is_written() {
        for (key, conf, hocon) in [
            ("topic", "emq.plugin.kafka.topic", "topic"),
            ("sasl.password_file", "emq.plugin.kafka.sasl.password_file", "sasl_password_file"),
            ("ssl.*", "emq.plugin.kafka.ssl.*", "ssl_*"),
            (
                "rdkafka.socket.timeout.ms",
                "emq.plugin.kafka.rdkafka.socket.timeout.ms",
                "rdkafka.\"socket.timeout.ms\"",
            ),
            ("hook.message.publish.1", "emq.plugin.kafka.hook.message.publish.1", "hook.\"message.publish.1\""),
            ("hook.", "emq.plugin.kafka.hook.", "hook_"),
        ] {
            assert_eq!(shown(key), (conf.to_owned(), hocon.to_owned()));
        }
    }

    #[test]
    fn odd_names_of_rules_are_shown_as_text() {
        let (conf, hocon) = shown("hook.message.publish.\u{1b}[1mé\"x\n");
        assert_eq!(conf, "emq.plugin.kafka.hook.message.publish.\\u{1b}[1mé\"x\\u{a}");
        assert_eq!(hocon, "hook.\"message.publish.\\u{1b}[1mé\\\"x\\u{a}\"");
    }
}
