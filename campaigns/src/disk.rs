//! Disks that are full, folders that can't be written to or vanish: an error with the path, and what was saved before
//! loads.
//!
//! A limit on the size of files takes the place of a full disk, so that nothing has to be mounted. It is set by `ulimit -f`
//! of a shell.

use std::path::Path;
use std::process::Command;

use burn::train::Interrupter;

use crate::Limits;
use crate::folders::{Ended, Process, room, scratch, training};
use crate::random::Random;
use crate::tally::Tally;
use crate::work::{self, MODEL, checkpoints, model};

const EPOCHS: usize = 3;
const LONG: usize = 100_000;
/// Beyond any file of the training, in blocks of 1024 bytes.
const LARGEST: usize = 12;

pub(crate) fn run(limits: Limits, tally: &mut Tally) {
    for trial in limits.trials() {
        let mut random = Random::of_trial(limits.seed, trial);
        match trial % 4 {
            0 => full(random.below(LARGEST), tally),
            1 => no_folder(tally),
            2 => vanishing(tally),
            _ => unwritable_model(tally),
        }
        tally.trial();
        tally.count("trials");
    }
}

/// No file may grow beyond so many blocks, as on a disk that is full.
fn full(blocks: usize, tally: &mut Tally) {
    let folder = scratch();
    let out = folder.path();
    let never = Interrupter::new();
    let trained = work::train(1, out, EPOCHS, None, &never);
    let trained = trained.unwrap_or_else(|error| panic!("a training with room: {error}"));
    trained.save(out.join(MODEL)).expect("room for a model");
    let child = training(out, EPOCHS + 2, true);
    let mut shell = Command::new("bash");
    // A write beyond the limit is to be an error, not a signal.
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\""])
        .arg(blocks.to_string())
        .arg(child.get_program())
        .args(child.get_args());
    let ended = Process::start(&mut shell).end();
    match ended.by_itself(0) {
        true => tally.count("files_below_the_limit"),
        false => {
            tally.count("full_disks");
            refused(&ended, out, "a full disk", tally);
        }
    }
    still_there(out, "a full disk", tally);
}

/// The training's folder is a file, or in a file system that takes no folders.
fn no_folder(tally: &mut Tally) {
    let folder = scratch();
    let file = folder.path().join("file");
    room(std::fs::write(&file, ""));
    for out in [file.join("run"), "/proc/run".into()] {
        let ended = Process::start(&mut training(&out, EPOCHS, false)).end();
        tally.count("impossible_folders");
        refused(&ended, &out, "a folder that can't be made", tally);
    }
}

/// The folder of metrics and checkpoints becomes a file while the training runs.
fn vanishing(tally: &mut Tally) {
    let folder = scratch();
    let out = folder.path().join("run");
    let mut process = Process::start(&mut training(&out, LONG, false));
    process.wait_for(&out.join("checkpoint/scheduler-2.bpk"));
    let kept = folder.path().join("kept");
    let moved = std::fs::rename(&out, &kept).and_then(|()| std::fs::write(&out, ""));
    tally.goal(moved.is_ok(), || format!("{moved:?}"));
    let ended = process.end();
    tally.count("vanished_folders");
    refused(&ended, &out, "a folder that vanishes", tally);
    let last = checkpoints(&kept).last_whole();
    tally.goal(matches!(last, Ok(Some(_))), || {
        format!("in a folder that was moved: {last:?}")
    });
}

/// The model's place is taken by a folder.
fn unwritable_model(tally: &mut Tally) {
    let folder = scratch();
    let out = folder.path();
    room(std::fs::create_dir(out.join(MODEL)));
    let ended = Process::start(&mut training(out, EPOCHS, false)).end();
    tally.count("unwritable_models");
    refused(&ended, out, "a model whose place is taken", tally);
    let last = checkpoints(out).last_whole();
    tally.goal(last == Ok(Some(EPOCHS)), || {
        format!("beside an unwritable model: {last:?}")
    });
}

/// It ended in order, with a sentence that has the path.
fn refused(ended: &Ended, path: &Path, what: &str, tally: &mut Tally) {
    tally.goal(ended.by_itself(2) && !ended.panicked(), || {
        format!("{what}: {ended:?}")
    });
    let path = path.display().to_string();
    tally.goal(ended.said.contains(&path), || {
        format!("{what}: no path in {:?}", ended.said)
    });
}

/// What was saved before loads, be it whole.
fn still_there(out: &Path, what: &str, tally: &mut Tally) {
    let last = checkpoints(out).last_whole();
    let is_there = matches!(last, Ok(Some(epoch)) if epoch >= EPOCHS);
    tally.goal(is_there, || format!("{what}: {last:?}"));
    let loaded = model(2).load(out.join(MODEL));
    tally.goal(loaded.is_ok(), || {
        format!("{what}: the model: {:?}", loaded.err())
    });
}
