//! Files that are known to be whole: beside each lies the digest of its bytes, its seal.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use blitz_predict::place::in_place;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use sha2::{Digest, Sha256};

use super::same_file::is_same;
use crate::error::CheckpointError;

/// What a file's digest says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// The file has the bytes that were written.
    Whole,
    /// It has others.
    Broken,
    /// It has no digest: another program wrote it, or an earlier version.
    Missing,
}

/// The bytes of the file at `path`, and what its seal says of them. Both may have been renamed since.
///
/// A record is made of these: one that Burn loads from a path is read when its tensors are first used, from what lies
/// there by then.
pub fn read(path: &Path) -> io::Result<(Vec<u8>, Seal)> {
    read_lines(path, |_| true)
}

/// As [`read`], of a file whose name says what it is. One of another name that was put in its place, with its seal, is
/// broken.
#[cfg(feature = "train")]
pub fn read_by_name(path: &Path) -> io::Result<(Vec<u8>, Seal)> {
    let name = path.file_name();
    read_lines(path, |sealed| Path::new(sealed).file_name() == name)
}

fn read_lines(path: &Path, is_name: impl Fn(&str) -> bool) -> io::Result<(Vec<u8>, Seal)> {
    let mut before = None;
    loop {
        let bytes = fs::read(path)?;
        let seal = match fs::read_to_string(seal_of(path)) {
            Ok(seal) => seal,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok((bytes, Seal::Missing));
            }
            // Not text any more.
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return Ok((bytes, Seal::Broken));
            }
            Err(error) => return Err(error),
        };
        let digest = hexadecimal(Sha256::digest(&bytes));
        // Two lines are the seal of a file that was about to be replaced, or just was.
        let mut seals = seal.lines().filter_map(|line| line.split_once(' '));
        // `sha256sum --binary` writes a star before the name.
        let is_it = |name: &str| is_name(name.trim_start_matches([' ', '*']));
        if seals.any(|(sealed, name)| sealed == digest && is_it(name)) {
            return Ok((bytes, Seal::Whole));
        }
        // The file, and then its seal, may have been replaced between the two looks.
        let now = Some((digest, seal));
        if now == before {
            return Ok((bytes, Seal::Broken));
        }
        before = now;
    }
}

/// The record in the file at `path`.
///
/// # Errors
///
/// Returns an error that names the file if it can't be read, if its seal is of other bytes, or if it is no record.
pub(crate) fn load_record(path: &Path) -> Result<ModuleRecord, CheckpointError> {
    ModuleRecord::from_bytes(whole(path, read)?)
        .map_err(|reason| CheckpointError::unreadable(path, reason))
}

/// The bytes that are read from `path`, unless its seal is of other ones.
pub(super) fn whole(
    path: &Path,
    read: impl FnOnce(&Path) -> io::Result<(Vec<u8>, Seal)>,
) -> Result<Bytes, CheckpointError> {
    match read(path) {
        Ok((_, Seal::Broken)) => Err(CheckpointError::Damaged { path: path.into() }),
        Ok((bytes, _)) => Ok(Bytes::from_bytes_vec(bytes)),
        Err(reason) => Err(CheckpointError::unreadable(path, reason)),
    }
}

/// Whether the file at `path` has a seal, be it right or not.
#[cfg(feature = "train")]
pub(crate) fn is_there(path: &Path) -> bool {
    seal_of(path).exists()
}

/// Removes a file and its seal, if they are there.
#[cfg(feature = "train")]
pub(crate) fn remove_sealed(path: &Path) -> io::Result<()> {
    remove(path)?;
    remove(&seal_of(path))
}

/// A file and its seal.
#[cfg(feature = "train")]
pub(crate) fn with_seal(path: &Path) -> [PathBuf; 2] {
    [path.into(), seal_of(path)]
}

/// The path of the seal: `model-5.bpk.sha256` for `model-5.bpk`.
fn seal_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".sha256");
    name.into()
}

/// Seals a file that another program wrote, as it is.
#[cfg(feature = "train")]
pub fn seal(path: &Path) -> io::Result<()> {
    put(&seal_of(path), seal_line(path, path)?.as_bytes())
}

/// Has `write` write a file beside `path`, and puts it in the place of `path` with its seal, as [`in_place`] does.
///
/// The seal comes first, and until the file is in its place it is that of the file before as well. So there are four
/// states in which a process that is killed, or a loss of power, can leave them, and in each the file is whole: the old
/// file with its seal, the old one with both, the new one with both, the new one with its own. An error leaves one of
/// them, too: one of the first two, unless the new file is in its place and its folder or its last seal can't be
/// written. A new file is never there without its seal. Where several write one file at a time, the last that is placed
/// stays, with its seal.
pub fn put_sealed_by(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    put_in_steps(path, write, || {})
}

/// As [`put_sealed_by`], with a look at each state between.
fn put_in_steps(
    path: &Path,
    write: impl FnOnce(&Path) -> io::Result<()>,
    look: impl Fn(),
) -> io::Result<()> {
    let mut placed = None;
    in_place(path, |part| -> io::Result<()> {
        write(part)?;
        look();
        // Not before: what writes may wait for other tasks of its thread, which may save as well.
        let alone = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
        let sealed = seal_line(part, path)?;
        let before = seal_before(path)?;
        put(&seal_of(path), format!("{sealed}{before}").as_bytes())?;
        placed = Some((alone, File::open(part)?, sealed));
        look();
        Ok(())
    })?;
    look();
    match placed {
        Some((_alone, file, sealed)) => seal_placed(path, file, sealed),
        None => Ok(()),
    }
}

/// One thread at a time puts files in their places. Other processes are not kept out.
static WRITERS: Mutex<()> = Mutex::new(());

/// Leaves what is at `path` with its own seal alone: as a rule `placed`, and what another process has put there, if it
/// was the later one.
fn seal_placed(path: &Path, mut placed: File, mut sealed: String) -> io::Result<()> {
    loop {
        let is_placed = match is_same(&placed, path) {
            // Another process has removed it.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            is_placed => is_placed?,
        };
        if !is_placed {
            placed = File::open(path)?;
            sealed = seal_line(path, path)?;
        } else if fs::read_to_string(seal_of(path)).is_ok_and(|seal| seal == sealed) {
            return Ok(());
        }
        put(&seal_of(path), sealed.as_bytes())?;
    }
}

/// The seal of what is at `path` now, empty if nothing is there. One that has none is as good as it is.
fn seal_before(path: &Path) -> io::Result<String> {
    if !path.is_file() {
        return Ok(String::new());
    }
    match fs::read_to_string(seal_of(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => seal_line(path, path),
        // A seal that is no text is that of no file.
        seal => Ok(seal.unwrap_or_default()),
    }
}

/// The seal of the bytes at `of` under the name of `path`, in the form that `sha256sum --check` reads.
fn seal_line(of: &Path, path: &Path) -> io::Result<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!("{}  {name}\n", digest(of)?))
}

/// Writes a file under another name, then puts it in its place: after a kill or a loss of power it has the bytes
/// before, or these.
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    in_place(path, |part| fs::write(part, bytes))
}

/// As [`put`], with a seal.
#[cfg(feature = "train")]
pub fn put_sealed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put_sealed_by(path, |part| fs::write(part, bytes))
}

/// Of a file of any size.
fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    Ok(hexadecimal(hash.finalize()))
}

fn hexadecimal(digest: impl AsRef<[u8]>) -> String {
    let digits = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

/// Removes a file, if it is there.
#[cfg(feature = "train")]
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// A process can be killed before the seal, between the seal and the file, and between the file and its last seal.
    #[test]
    fn a_file_and_its_seal_are_whole_wherever_the_process_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let seals = || fs::read_to_string(seal_of(&path)).unwrap();
        put_sealed(&path, b"old").unwrap();
        let old_seal = seals();
        let states = RefCell::new(Vec::new());
        let look = || {
            assert_eq!(read(&path).unwrap().1, Seal::Whole);
            let text = fs::read_to_string(&path).unwrap();
            states.borrow_mut().push((text, seals().lines().count()));
        };
        let write = |part: &Path| fs::write(part, "new");
        put_in_steps(&path, write, look).unwrap();
        look();
        let expected = [("old", 1), ("old", 2), ("new", 2), ("new", 1)];
        let expected = expected.map(|(text, seals)| (text.to_string(), seals));
        assert_eq!(states.take(), expected);
        assert_ne!(seals(), old_seal);
        fs::write(&path, "nev").unwrap();
        assert_eq!(read(&path).unwrap().1, Seal::Broken);
        // Neither is the seal of a file that was broken before one of it as it is.
        assert_eq!(seal_before(&path).unwrap(), seals());
    }

    #[test]
    fn a_new_file_is_never_there_without_its_seal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let look = || assert!(!path.exists() || read(&path).unwrap().1 == Seal::Whole);
        put_in_steps(&path, |part| fs::write(part, "new"), look).unwrap();
        assert_eq!(read(&path).unwrap().1, Seal::Whole);
    }

    /// The other one comes between any two steps of the first.
    #[cfg(unix)]
    #[test]
    fn of_two_processes_that_write_one_file_the_last_one_stays_whole() {
        for is_new in [false, true] {
            for step in 0..3 {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("file");
                if !is_new {
                    put_sealed(&path, b"old").unwrap();
                }
                let steps = Cell::new(0);
                let look = || {
                    if steps.replace(steps.get() + 1) == step {
                        let write = |part: &Path| fs::write(part, "theirs");
                        as_another_process(&path, write);
                    }
                };
                put_in_steps(&path, |part| fs::write(part, "ours"), look).unwrap();
                let (bytes, seal) = read(&path).unwrap();
                assert_eq!(seal, Seal::Whole, "step {step}, new: {is_new}");
                let last: &[u8] = if step == 2 { b"theirs" } else { b"ours" };
                assert_eq!(bytes, last, "step {step}, new: {is_new}");
                let seals = fs::read_to_string(seal_of(&path)).unwrap();
                assert_eq!(seals.lines().count(), 1);
            }
        }
    }

    /// Puts a sealed file in its place past the writers of this process.
    #[cfg(unix)]
    fn as_another_process(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) {
        let mut sealed = String::new();
        in_place(path, |part| -> io::Result<()> {
            write(part)?;
            sealed = seal_line(part, path)?;
            let before = seal_before(path)?;
            put(&seal_of(path), format!("{sealed}{before}").as_bytes())
        })
        .unwrap();
        seal_placed(path, File::open(path).unwrap(), sealed).unwrap();
    }

    #[test]
    fn threads_that_write_and_read_one_file_see_it_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        put_sealed(&path, b"first").unwrap();
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let path = &path;
                scope.spawn(move || {
                    for round in 0..60 {
                        let text = format!("{writer} {round}").repeat(500);
                        put_sealed(path, text.as_bytes()).unwrap();
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..600 {
                        assert_eq!(read(&path).unwrap().1, Seal::Whole);
                    }
                });
            }
        });
        assert_eq!(read(&path).unwrap().1, Seal::Whole);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn what_a_link_leads_to_is_replaced_and_its_seal_is_beside_the_link() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("big")).unwrap();
        std::os::unix::fs::symlink(at("big/model.bpk"), at("model.bpk")).unwrap();
        for text in ["old", "new"] {
            put_sealed(&at("model.bpk"), text.as_bytes()).unwrap();
            assert!(at("model.bpk").is_symlink());
            assert_eq!(fs::read_to_string(at("big/model.bpk")).unwrap(), text);
            assert_eq!(read_by_name(&at("model.bpk")).unwrap().1, Seal::Whole);
        }
    }
}
