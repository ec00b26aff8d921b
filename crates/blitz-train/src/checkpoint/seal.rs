//! Files that are known to be whole: beside each lies the digest of its bytes, its seal.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use blitz_predict::place::in_place;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use sha2::{Digest, Sha256};

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
    let bytes = fs::read(path)?;
    let seal = match fs::read_to_string(seal_of(path)) {
        Ok(seal) => seal,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((bytes, Seal::Missing)),
        // Not text any more.
        Err(error) if error.kind() == ErrorKind::InvalidData => return Ok((bytes, Seal::Broken)),
        Err(error) => return Err(error),
    };
    let digest = hexadecimal(Sha256::digest(&bytes));
    // Two lines are the seal of a file that was about to be replaced, or just was.
    let mut seals = seal.lines().filter_map(|line| line.split_once(' '));
    // `sha256sum --binary` writes a star before the name.
    let is_it = |name: &str| is_name(name.trim_start_matches([' ', '*']));
    let found = match seals.any(|(sealed, name)| sealed == digest && is_it(name)) {
        true => Seal::Whole,
        false => Seal::Broken,
    };
    Ok((bytes, found))
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
/// written. A new file is never there without its seal.
pub fn put_sealed_by(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    put_in_steps(path, write, || {})
}

/// As [`put_sealed_by`], with a look at each state between.
fn put_in_steps(
    path: &Path,
    write: impl FnOnce(&Path) -> io::Result<()>,
    look: impl Fn(),
) -> io::Result<()> {
    let (mut sealed, mut before) = (String::new(), String::new());
    in_place(path, |part| -> io::Result<()> {
        write(part)?;
        look();
        sealed = seal_line(part, path)?;
        before = seal_before(path)?;
        put(&seal_of(path), format!("{sealed}{before}").as_bytes())?;
        look();
        Ok(())
    })?;
    look();
    match before.is_empty() {
        true => Ok(()),
        false => put(&seal_of(path), sealed.as_bytes()),
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
    use std::cell::RefCell;

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
