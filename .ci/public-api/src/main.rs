//! `compare-public-api [--update] JSON LIST`: compares what a crate exports, as rustdoc wrote it into JSON, with the
//! list that is kept, and prints the lines that came and went. Ends with 1 if there are any; with `--update` it writes
//! the list anew.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (update, json, list) = match arguments[..] {
        [json, list] => (false, json, list),
        ["--update", json, list] => (true, json, list),
        _ => return Err("usage: compare-public-api [--update] JSON LIST".into()),
    };
    // Without what every type has: blanket, automatic and derived implementations.
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    // Sorted and each once, so that moving an item changes no line.
    let now: BTreeSet<String> = api.items().map(|item| item.to_string()).collect();
    if update {
        let text: String = now.iter().map(|line| format!("{line}\n")).collect();
        fs::write(list, text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let kept = fs::read_to_string(list)?;
    let kept: BTreeSet<String> = kept.lines().map(String::from).collect();
    for gone in kept.difference(&now) {
        println!("- {gone}");
    }
    for new in now.difference(&kept) {
        println!("+ {new}");
    }
    Ok(ExitCode::from(u8::from(now != kept)))
}
