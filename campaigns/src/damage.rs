//! Damaged files, for every reader: an error with a sentence, or the values as before. Never a panic; never other
//! values where a digest lies beside the file.
//!
//! Without a digest a flipped digit is another number, which nobody can tell from the right one. Such trials are
//! counted by reader.

mod bytes;
mod posteriors;
mod readers;
mod texts;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[cfg(feature = "fuzz")]
use blitz_train::files::seal;

use crate::Limits;
use crate::folders::{room, scratch};
use crate::random::Random;
use crate::tally::Tally;

use bytes::damaged;
use readers::Guard;

#[cfg(feature = "fuzz")]
pub(crate) use bytes::NUMBERS;
pub(crate) use readers::{Reader, readers};

pub(crate) fn run(limits: Limits, tally: &mut Tally) {
    let source = scratch();
    let readers = readers(source.path());
    let mut sound = Vec::new();
    for reader in &readers {
        match attempt(reader, &reader.files) {
            Outcome::Values(values) => sound.push(values),
            outcome => {
                return tally.miss(&format!("{} as it was written: {outcome:?}", reader.name));
            }
        }
    }
    tally.set("readers", readers.len() as u64);
    for trial in limits.trials() {
        let k = trial as usize % readers.len();
        one(&readers[k], &sound[k], limits.seed, trial, tally);
        if (trial + 1).is_multiple_of(1000) {
            tally.progress(&format!("{} trials", trial + 1));
        }
    }
}

/// What a reader made of its files.
#[derive(Debug)]
pub(crate) enum Outcome {
    Values(Vec<u64>),
    Refused(String),
    Panic(String),
}

fn one(reader: &Reader, sound: &[u64], seed: u64, trial: u64, tally: &mut Tally) {
    let mut random = Random::of_trial(seed, trial);
    let mut files = reader.files.clone();
    let place = random.below(files.len());
    let (file, bytes) = &mut files[place];
    let (what, changed) = damaged(bytes, &mut random);
    let case = format!("{}, {file} {what}, trial {trial}", reader.name);
    *bytes = changed;
    tally.trial();
    tally.count("trials");
    match attempt(reader, &files) {
        Outcome::Refused(sentence) => {
            tally.count("refused");
            // Burn's own loaders make a page of ten tensors and what is wrong with each.
            let is_sentence = sentence.len() > 10 && sentence.len() < 4000;
            tally.goal(is_sentence, || {
                format!("{case}: `{sentence}` is no sentence")
            });
        }
        Outcome::Values(values) if values == sound => tally.count("harmless"),
        Outcome::Values(_) if reader.guard == Guard::None => {
            tally.count("other_values_without_a_digest");
            tally.count(&format!("other_values: {}", reader.name));
        }
        Outcome::Values(_) => tally.miss(&format!("{case}: other values, and a digest")),
        Outcome::Panic(message) => tally.miss(&format!("{case}: panic, {message}")),
    }
}

/// Lets `reader` read `files` in a folder of their own.
fn attempt(reader: &Reader, files: &[(String, Vec<u8>)]) -> Outcome {
    let folder = scratch();
    write(folder.path(), files);
    read(reader, folder.path())
}

/// As [`attempt`]; if the file of number `changed` has a digest, then one of what it is now.
#[cfg(feature = "fuzz")]
pub(crate) fn attempt_resealed(
    reader: &Reader,
    files: &[(String, Vec<u8>)],
    changed: usize,
) -> Outcome {
    let folder = scratch();
    write(folder.path(), files);
    let name = &files[changed].0;
    let digest = format!("{name}.sha256");
    if files.iter().any(|(name, _)| *name == digest) {
        room(seal(&folder.path().join(name)));
    }
    read(reader, folder.path())
}

fn write(folder: &Path, files: &[(String, Vec<u8>)]) {
    for (name, bytes) in files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        room(std::fs::create_dir_all(parent));
        room(std::fs::write(path, bytes));
    }
}

fn read(reader: &Reader, folder: &Path) -> Outcome {
    // A panic of the reader's is counted, and told in one line. Any other is one of the campaign, which says more.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let read = catch_unwind(AssertUnwindSafe(|| (reader.read)(folder)));
    std::panic::set_hook(hook);
    match read {
        Ok(Ok(values)) => Outcome::Values(values),
        Ok(Err(sentence)) => Outcome::Refused(sentence),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            Outcome::Panic(text.unwrap_or("of no text").into())
        }
    }
}
