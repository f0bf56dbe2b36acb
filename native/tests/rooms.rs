//! The plan of the house: a room of `native/src` imports rooms that stand above it in the list, never one below; and within a room
//! there is no circle. ARCHITECTURE.md shows who imports whom: `ROOMS=write cargo test --test rooms` writes it anew.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "rooms/imports.rs"]
mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use imports::{Imports, Module, imports, sources};

/// From the top. The list in `native/src/lib.rs` is the same.
const ROOMS: [&str; 12] =
    ["event", "rules", "record", "config", "metrics", "account", "spool", "kafka", "probe", "flow", "exporter", "nif"];

const BEGIN: &str = "<!-- rooms: begin -->\n";
const END: &str = "<!-- rooms: end -->\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn of_the_library() -> Imports {
    let mut sources = sources(&root());
    sources.remove(&vec!["lib".to_owned()]);
    imports(&sources)
}

fn floor(module: &Module) -> Option<usize> {
    ROOMS.iter().position(|room| module.first().is_some_and(|first| first == room))
}

/// Imports of a room that stands below, and modules without a room.
fn wrong_way(imports: &Imports) -> Vec<String> {
    let mut wrong = Vec::new();
    for (module, imported) in imports {
        if floor(module).is_none() {
            wrong.push(format!("{} is in no room", module.join("::")));
        }
        let below = imported.iter().filter(|other| floor(other) > floor(module));
        wrong.extend(below.map(|other| format!("{} imports {}", module.join("::"), other.join("::"))));
    }
    wrong
}

/// The modules that lead back to themselves within the folder that they stand in, `depth` segments below the root. A module and those
/// inside it are one.
fn circles(imports: &Imports, depth: usize) -> Vec<String> {
    let mut direct: BTreeMap<&[String], BTreeSet<&[String]>> = BTreeMap::new();
    for (module, imported) in imports {
        for other in imported {
            if let (Some(from), Some(to)) = (module.get(..depth), other.get(..depth))
                && from != to
                && from.get(..depth - 1) == to.get(..depth - 1)
            {
                direct.entry(from).or_default().insert(to);
            }
        }
    }
    let reaches_itself = |start: &[String]| {
        let mut seen = BTreeSet::new();
        let mut next = vec![start];
        while let Some(module) = next.pop() {
            for other in direct.get(module).into_iter().flatten() {
                if *other == start {
                    return true;
                }
                if seen.insert(*other) {
                    next.push(*other);
                }
            }
        }
        false
    };
    direct.keys().filter(|module| reaches_itself(module)).map(|module| module.join("::")).collect()
}

/// Who imports whom, a line a room.
fn picture(imports: &Imports) -> String {
    let mut of_room: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (module, imported) in imports {
        let Some(room) = floor(module) else { continue };
        of_room.entry(room).or_default().extend(imported.iter().filter_map(floor).filter(|other| *other != room));
    }
    let mut text = String::from("```text\n");
    for (room, name) in ROOMS.iter().enumerate() {
        let cells = ROOMS.iter().enumerate().map(|(other, header)| {
            let is_imported = of_room.get(&room).is_some_and(|imported| imported.contains(&other));
            let shown = if is_imported { *header } else { "" };
            format!("{shown:width$}", width = header.len())
        });
        let line = format!("{name:9}| {}", cells.collect::<Vec<_>>().join(" "));
        writeln!(text, "{}", line.trim_end()).expect("a text takes it");
    }
    text + "```\n"
}

fn crate_of(files: &[(&str, &str)]) -> Imports {
    let module = |path: &str| path.split('/').map(str::to_owned).collect::<Module>();
    imports(&files.iter().map(|(path, text)| (module(path), (*text).to_owned())).collect())
}

#[test]
fn a_room_imports_rooms_above_it_only() {
    assert_eq!(wrong_way(&of_the_library()), Vec::<String>::new());
}

#[test]
fn no_circle_is_in_a_room_nor_in_the_other_crates() {
    assert_eq!(circles(&of_the_library(), 2), Vec::<String>::new());
    for other in ["spool/src", "../bench/src", "../bench/src/sink", "../bench/src/bin/raw", "../bench/src/bin/mqtt"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(other);
        assert_eq!(circles(&imports(&sources(&root)), 1), Vec::<String>::new(), "{other}");
    }
}

#[test]
fn the_list_of_rooms_is_in_the_library_too() {
    let library = std::fs::read_to_string(root().join("lib.rs")).expect("the library");
    let listed: Vec<_> = library
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `")?.split_once('`'))
        .map(|(room, _)| room)
        .collect();
    assert_eq!(listed, ROOMS);
}

#[test]
fn the_picture_in_architecture_is_that_of_the_imports() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
    let text = std::fs::read_to_string(&file).expect("ARCHITECTURE.md");
    let (before, rest) = text.split_once(BEGIN).expect("where the picture begins");
    let (shown, after) = rest.split_once(END).expect("where the picture ends");
    let picture = picture(&of_the_library());
    if std::env::var("ROOMS").is_ok_and(|wanted| wanted == "write") {
        std::fs::write(&file, [before, BEGIN, &picture, END, after].concat()).expect("written");
    } else {
        assert_eq!(shown, picture, "ROOMS=write cargo test --test rooms writes it anew");
    }
}

#[test]
fn an_import_of_a_room_below_is_found_however_it_is_written() {
    for text in [
        "use crate::kafka::client::Client;",
        "use crate::{event::Event, kafka::{self, client::Client}};",
        "fn f() { let _ = crate::kafka::client::open(); }",
        "fn f() { println!(\"{}\", crate::kafka::client::NAME) }",
        "use super::super::kafka::client;",
    ] {
        let imports = crate_of(&[("spool/store", text), ("kafka/client", ""), ("kafka", ""), ("event", "")]);
        assert_eq!(wrong_way(&imports).len(), 1 + usize::from(text.contains("self")), "{text}");
    }
    let files = [("spool/store", "#[cfg(test)] mod tests { use crate::kafka::client; }"), ("kafka/client", "")];
    assert_eq!(wrong_way(&crate_of(&files)), Vec::<String>::new(), "tests may");
    assert_eq!(wrong_way(&crate_of(&[("cellar/x", "")])), ["cellar::x is in no room"]);
}

#[test]
fn a_circle_is_found_over_any_number_of_files_and_a_module_with_its_parts_is_none() {
    let circle = [
        ("kafka/a", "use crate::kafka::b::B;"),
        ("kafka/b", "use super::c;"),
        ("kafka/c/part", "use crate::kafka::a::A;"),
        ("kafka/c", ""),
    ];
    assert_eq!(circles(&crate_of(&circle), 2), ["kafka::a", "kafka::b", "kafka::c"]);
    let parts = [("kafka/a", "use self::part::P;"), ("kafka/a/part", "use super::A;")];
    assert_eq!(circles(&crate_of(&parts), 2), Vec::<String>::new());
}
