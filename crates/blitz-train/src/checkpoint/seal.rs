//! Files that are known to be whole: beside each lies the digest of its bytes, its seal.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

#[cfg(feature = "train")]
use blitz_predict::place::in_place;
use sha2::{Digest, Sha256};

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

/// Compares the file at `path` with its seal. Both may have been renamed since.
pub fn check(path: &Path) -> io::Result<Seal> {
    check_lines(path, |_| true)
}

/// As [`check`], of a file whose name says what it is. One of another name that was put in its place, with its seal, is broken.
#[cfg(feature = "train")]
pub fn check_by_name(path: &Path) -> io::Result<Seal> {
    let name = path.file_name();
    check_lines(path, |sealed| Path::new(sealed).file_name() == name)
}

fn check_lines(path: &Path, is_name: impl Fn(&str) -> bool) -> io::Result<Seal> {
    let seal = match fs::read_to_string(seal_of(path)) {
        Ok(seal) => seal,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Seal::Missing),
        // Not text any more.
        Err(error) if error.kind() == ErrorKind::InvalidData => return Ok(Seal::Broken),
        Err(error) => return Err(error),
    };
    let digest = digest(path)?;
    // Two lines are the seal of a file that was about to be replaced, or just was.
    let mut seals = seal.lines().filter_map(|line| line.split_once(' '));
    // `sha256sum --binary` writes a star before the name.
    let is_it = |name: &str| is_name(name.trim_start_matches([' ', '*']));
    Ok(
        match seals.any(|(sealed, name)| sealed == digest && is_it(name)) {
            true => Seal::Whole,
            false => Seal::Broken,
        },
    )
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

/// Moves a file and its seal to another folder, in the place of what is there.
#[cfg(feature = "train")]
pub(crate) fn move_sealed(path: &Path, folder: &Path) -> io::Result<()> {
    for from in [path.to_path_buf(), seal_of(path)] {
        let to = folder.join(from.file_name().unwrap_or_default());
        match fs::rename(&from, to) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The path of the seal: `model-5.bpk.sha256` for `model-5.bpk`.
fn seal_of(path: &Path) -> PathBuf {
    with_suffix(path, ".sha256")
}

/// Seals a file that another program wrote, as it is.
#[cfg(feature = "train")]
pub fn seal(path: &Path) -> io::Result<()> {
    put_seal(path, &seal_line(path, path)?)
}

/// Has `write` write a file beside `path`, and puts it in the place of `path` with its seal.
///
/// The seal comes first, and until the file is in its place it is that of the file before as well. So there are four states in which a process that is killed, or
/// a loss of power, can leave them, and in each the file is whole: the old file with its seal, the old one with both, the new one with both, the new one with its own.
/// An error leaves one of the first two. A new file is never there without its seal.
pub fn put_sealed_by(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let part = with_suffix(path, &format!(".{}.part", std::process::id()));
    let placed = write(&part).and_then(|()| replace(&part, path));
    if placed.is_err() {
        // The first error says why.
        let _ = remove(&part);
    }
    placed
}

fn replace(part: &Path, path: &Path) -> io::Result<()> {
    // Windows syncs no file that is open for reading alone.
    File::options().write(true).open(part)?.sync_all()?;
    let sealed = seal_line(part, path)?;
    let before = seal_before(path)?;
    put_seal(path, &format!("{sealed}{before}"))?;
    fs::rename(part, path)?;
    sync_folder(path)?;
    match before.is_empty() {
        true => Ok(()),
        false => put_seal(path, &sealed),
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

/// Writes the seal under another name, then puts it in its place, so that it is there whole or not at all.
fn put_seal(path: &Path, text: &str) -> io::Result<()> {
    let seal = seal_of(path);
    let scratch = with_suffix(&seal, &format!(".{}.part", std::process::id()));
    let written = write_synced(&scratch, text.as_bytes());
    if let Err(error) = written.and_then(|()| fs::rename(&scratch, &seal)) {
        // The first error says why; a disk that is full may refuse this, too.
        let _ = remove(&scratch);
        return Err(error);
    }
    sync_folder(path)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Writes a file under another name, then puts it in its place: after a kill or a loss of power it has the bytes before, or these.
#[cfg(feature = "train")]
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    in_place(path, |part| write_synced(part, bytes))?;
    sync_folder(path)
}

/// As [`put`], with a seal.
#[cfg(feature = "train")]
pub fn put_sealed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put_sealed_by(path, |part| write_synced(part, bytes))
}

/// Has the folder's entries survive a loss of power. Only Unix opens folders.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

/// In hexadecimal digits.
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
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process can be killed before the seal, between the seal and the file, and between the file and its last seal.
    #[test]
    fn a_file_and_its_seal_are_whole_wherever_the_process_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let put = |text: &str| put_sealed_by(&path, |part| write_synced(part, text.as_bytes()));
        put("old").unwrap();
        let old_seal = fs::read_to_string(seal_of(&path)).unwrap();
        let part = folder.path().join("part");
        fs::write(&part, "new").unwrap();
        let new_seal = seal_line(&part, &path).unwrap();
        assert_eq!(seal_before(&path).unwrap(), old_seal);
        put_seal(&path, &format!("{new_seal}{old_seal}")).unwrap();
        for (text, expected) in [
            ("old", Seal::Whole),
            ("new", Seal::Whole),
            ("nev", Seal::Broken),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(check(&path).unwrap(), expected, "{text}");
        }
        put("new").unwrap();
        assert_eq!(fs::read_to_string(seal_of(&path)).unwrap(), new_seal);
        // Neither is the seal of a file that was broken before one of it as it is.
        fs::write(&path, "nev").unwrap();
        assert_eq!(seal_before(&path).unwrap(), new_seal);
    }
}
