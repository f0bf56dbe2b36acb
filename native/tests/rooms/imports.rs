//! Which module imports which, by the paths in the sources that begin with `crate`, `super` or `self`.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::path::Path;
use std::slice::Iter;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A module by the segments of its path, without `crate`.
pub type Module = Vec<String>;

/// Modules, and those that each imports.
pub type Imports = BTreeMap<Module, BTreeSet<Module>>;

/// The sources below `root`, by module. Files of tests alone are left out.
pub fn sources(root: &Path) -> BTreeMap<Module, String> {
    let mut sources = BTreeMap::new();
    let mut dirs = vec![root.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let relative = path.strip_prefix(root).expect("below the root").with_extension("");
                let mut module: Module = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
                module.pop_if(|last| last == "mod");
                sources.insert(module, std::fs::read_to_string(&path).expect("a text"));
            }
        }
    }
    sources
}

/// The imports of all modules.
pub fn imports(sources: &BTreeMap<Module, String>) -> Imports {
    let of = |(module, text): (&Module, &String)| {
        let tokens: TokenStream = text.parse().expect("Rust");
        let mut paths = Vec::new();
        collect(tokens, module, &mut paths);
        let imported = paths.iter().filter_map(|path| longest_module(path, sources)).filter(|found| found != module);
        (module.clone(), imported.collect())
    };
    sources.iter().map(of).collect()
}

/// The module that a path leads into. What stands behind it is an item.
fn longest_module(path: &[String], sources: &BTreeMap<Module, String>) -> Option<Module> {
    (1..=path.len())
        .rev()
        .filter_map(|length| path.get(..length))
        .find(|module| sources.contains_key(*module))
        .map(Into::into)
}

/// The absolute paths in the tokens of a module, in those of macros too. Modules for tests alone are left out.
fn collect(tokens: TokenStream, module: &[String], paths: &mut Vec<Module>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut rest = tokens.iter().peekable();
    let mut is_for_tests = false;
    while let Some(token) = rest.next() {
        match token {
            TokenTree::Group(group)
                if group.delimiter() == Delimiter::Bracket && group.to_string() == "[cfg (test)]" =>
            {
                is_for_tests = true;
            }
            TokenTree::Group(group) => {
                let is_item_of_tests = is_for_tests && group.delimiter() == Delimiter::Brace;
                if !is_item_of_tests {
                    collect(group.stream(), module, paths);
                }
                is_for_tests &= !is_item_of_tests;
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => is_for_tests = false,
            TokenTree::Ident(ident) => {
                let start: Module = match ident.to_string().as_str() {
                    "crate" => Vec::new(),
                    "self" => module.to_vec(),
                    "super" => module.split_last().map_or_else(Vec::new, |(_, above)| above.to_vec()),
                    _ => continue,
                };
                if enters(&mut rest) {
                    path(&mut rest, start, paths);
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Whether `::` is next; it is read then.
fn enters(rest: &mut Peekable<Iter<'_, TokenTree>>) -> bool {
    let is_colon = |token: &&TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':');
    rest.next_if(is_colon).is_some() && rest.next_if(is_colon).is_some()
}

/// What follows `::`: more segments, or braces with several paths.
fn path(rest: &mut Peekable<Iter<'_, TokenTree>>, mut start: Module, paths: &mut Vec<Module>) {
    loop {
        match rest.next() {
            Some(TokenTree::Ident(ident)) if ident == "super" => {
                start.pop();
            }
            Some(TokenTree::Ident(ident)) if ident == "self" => {}
            Some(TokenTree::Ident(ident)) => start.push(ident.to_string()),
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
                let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
                for one in tokens.split(is_comma).filter(|one| !one.is_empty()) {
                    path(&mut one.iter().peekable(), start.clone(), paths);
                }
                return;
            }
            _ => break,
        }
        if !enters(rest) {
            break;
        }
    }
    paths.push(start);
}
